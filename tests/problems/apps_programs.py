"""APPS problems and programs for them, right and wrong, to compare this project's verdicts with the official grader's.

A program that the two graders judge differently on purpose names the reason, which docs/scoring.md explains.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

# Reasons for a difference: (official verdict, verdict here).
REASONS = {
    "sets": (True, False),  # the official grader compares sets of lines and words
    "whole numbers": (True, False),  # it compares integers as floats
    "first item": (True, False),  # it also accepts the first item of the expected list
    "dropped": (False, True),  # it drops arguments, or expected dicts, after a first dict
    "only the first dict": (True, False),  # as it drops the other expected dicts
    "equal by its own word": (True, False),  # it believes a value's own __eq__
    "function": (False, True),  # it runs a program as the body of a function
    "streams": (False, True),  # its standard streams are text in memory
    "files": (True, False),  # its open() gives the input for every name
    "removed": (False, True),  # it has no exit(), os.getcwd() or resource, and ends with the program
    "fresh state": (False, True),  # it runs all tests in one process
    "text search": (False, True),  # it searches the program's text for "class Solution"
    "line ends": (False, True),  # it counts an expected line of spaces, and ends only the output's lines at a form feed
}


STEP = 7


class Case(NamedTuple):
    """A program for a problem."""

    kind: str
    tests: dict  # the contents of input_output.json
    name: str
    program: str
    reason: str = ""  # one of REASONS, if the verdicts may differ


def cases(seed: int = 0) -> list[Case]:
    """All cases: about 260 problems, each with several programs."""
    rng = random.Random(seed)
    made = []
    for kind, make in STDIN.items():
        for number in range(10):
            solve, inputs, outputs = make(rng)
            programs = list(_stdin_programs(solve))[number % STEP :: STEP]  # a share, different for each problem
            made += [Case(kind, {"inputs": inputs, "outputs": outputs}, *row) for row in programs]
    for output, printed in LINE_ENDS:
        tests = {"inputs": [""], "outputs": [output]}
        made.append(Case("line ends", tests, repr(printed), f"print({printed!r}, end='')\n", "line ends"))
    for kind, (make_call, programs) in CALLS.items():
        for number in range(10):
            inputs, outputs = make_call(rng)
            head = "class Solution:\n    def f(self, *a):\n        return f(*a)\n" if number % 2 else ""
            tests = {"fn_name": "f", "inputs": inputs, "outputs": outputs}
            rows = [(name, f"{text}\n{head}", why) for name, text, why in programs] + list(CALL_STYLES)
            made += [Case(kind, tests, *row) for row in rows[number % 3 :: 3]]
    return made


# Programs on standard input. A solution defines solve(words), whose rows are lists of values to print.
def _rows_text(rows: list) -> str:
    return "".join(" ".join(map(str, row)) + "\n" for row in rows)


def _stdin_problem(rng: random.Random, solve: str, texts: list[str]):
    scope: dict = {}
    exec(solve, scope)
    outputs = [_rows_text(scope["solve"](text.split())) for text in texts]
    layout = rng.randrange(4)  # the release has several layouts of one text
    if layout == 1:
        return solve, [text.split("\n") for text in texts], [text.rstrip("\n").split("\n") for text in outputs]
    if layout == 2:
        return solve, [text.replace("\n", "\r\n") for text in texts], [each.replace("\n", "\r\n") for each in outputs]
    return solve, texts, [text.rstrip("\n") for text in outputs] if layout == 3 else outputs


def _numbers(rng: random.Random, low: int, high: int, most: int = 8) -> str:
    count = rng.randint(2, most)
    return f"{count}\n{' '.join(str(rng.randint(low, high)) for _ in range(count))}\n"


def _simple(body: str, low: int, high: int):
    solve = f"def solve(w):\n    xs = list(map(int, w[1:]))\n    return {body}\n"
    return lambda rng: _stdin_problem(rng, solve, [_numbers(rng, low, high) for _ in range(3)])


STDIN = {
    "sum": _simple("[[sum(xs)]]", -9, 9),
    "large sum": _simple("[[sum(xs)]]", 10**6, 10**7),
    "huge product": _simple("[[__import__('math').prod(xs)]]", 10**9, 10**10),
    "sorted": _simple("[sorted(xs)]", -99, 99),
    "one per line": _simple("[[x] for x in xs]", 0, 20),
    "yes or no": _simple("[['YES' if x % 2 else 'NO'] for x in xs]", 0, 9),
    "mean": _simple("[[sum(xs) / len(xs)]]", -9, 9),
    "mean and largest": _simple("[[sum(xs) / len(xs), float(max(xs))]]", 1, 99),
    "small fractions": _simple("[[x / 10**7] for x in xs]", 1, 99),
    "fractions": _simple("[[x / 7] for x in xs]", 1, 10**6),
    "numbered cases": _simple("[[f'Case #{n}:', x * x] for n, x in enumerate(xs, 1)]", 0, 20),
    "count and rows": _simple("[[len(xs)], xs, sorted(xs)]", 0, 9),
}
LINE_ENDS = [
    ("1\n2\n", "1\r2"),
    ("1\n\n2", "1\n2"),
    ("1\n \n2", "1\n \n2"),
    ("1\n \n2", "1\n\n2"),
    ("1\n \n2", "1\n2"),
    ("1\f2\n", "1\f2\n"),
    ("1\f2\n", "1\n2\n"),
    ("1 2\n", "1\f2\n"),
    (" \n", ""),
    ("", " \n\n"),
    ("1\u00a02", "1 2"),
    ("\u00a01", "1"),
    ("a\u00e9\n", "a\u00e9"),
    ("\U0001f600", "\U0001f600\n"),
    ("inf", "Infinity"),
    ("1e999", "inf"),
    ("-inf", "inf"),
    ("nan", "nan"),
    ("nan", "NaN"),
    ("nan 1", "nan 1.0"),
    ("10", "1_0.0"),
    ("4", "\uff14"),
    ("YES 0.5", "YES 0.50"),
    ("0.0004", "0"),
    ("0.0006", "0"),
    ("1000000.5 1", "1000000.6 1"),
    ("1000000.5\n1", "1000000.6\n1"),
]
SHOW = "for row in rows:\n    print(*row)\n"
READ = "import sys\nrows = solve(sys.stdin.read().split())\n"
TEXT = "text = ''.join(' '.join(map(str, row)) + '\\n' for row in rows)\n"
# name: (code after READ, the reason for a difference)
PRINTERS = {
    "plain": ("for row in rows:\n    print(*row)\n", ""),
    "one text": (TEXT + "print(text)\n", ""),
    "no last line feed": (TEXT + "print(text.rstrip(), end='')\n", ""),
    "spaces at the ends": ("for row in rows:\n    print('', *row, '')\n", ""),
    "blank lines": ("print()\nfor row in rows:\n    print(*row, end='\\n\\n')\n", ""),
    "wide": ("for row in rows:\n    print(*row, sep='   ')\n", ""),
    "tabs": ("for row in rows:\n    print(*row, sep='\\t')\n", ""),
    "carriage returns": ("for row in rows:\n    print(*row, end='\\r\\n')\n", ""),
    "one line": ("print(*[x for row in rows for x in row])\n", "sets"),
    "a line each": ("for row in rows:\n    print(*row, sep='\\n')\n", ""),
    "a comma": ("for row in rows:\n    print(*row, sep=', ')\n", ""),
    "as lists": ("for row in rows:\n    print(row)\n", ""),
    "lower case": (TEXT + "print(text.lower())\n", ""),
    "with a heading": ("print('Answer:')\nfor row in rows:\n    print(*row)\n", ""),
    "an extra line": ("for row in rows:\n    print(*row)\nprint(0)\n", "sets"),
    "nothing": ("", ""),
    "first row alone": ("print(*rows[0])\n", "sets"),
    "lines reversed": ("for row in rows[::-1]:\n    print(*row)\n", "sets"),
    "words reversed": ("for row in rows:\n    print(*row[::-1])\n", "sets"),
    "every line twice": ("for row in rows:\n    print(*row)\n    print(*row)\n", "sets"),
    "no line twice": ("for row in dict.fromkeys(map(tuple, rows)):\n    print(*row)\n", "sets"),
    "one more": (
        "for row in rows:\n    print(*[x + 1 if isinstance(x, (int, float)) else x for x in row])\n",
        "whole numbers",
    ),
    "much more": ("for row in rows:\n    print(*[x * 2 + 7 if isinstance(x, (int, float)) else x for x in row])\n", ""),
    "as floats": ("for row in rows:\n    print(*[float(x) if isinstance(x, int) else x for x in row])\n", ""),
    "a plus sign": (
        "for row in rows:\n    print(*[f'{x:+}' if isinstance(x, (int, float)) else x for x in row])\n",
        "whole numbers",
    ),
    "leading zeros": (
        "for row in rows:\n    print(*[f'{x:030}' if isinstance(x, (int, float)) else x for x in row])\n",
        "whole numbers",
    ),
    **{
        f"{spec}": (f"for row in rows:\n    print(*[{spec!r} % x if isinstance(x, float) else x for x in row])\n", "")
        for spec in ("%.2f", "%.3f", "%.4f", "%.6f", "%.9f", "%.15f", "%.3e", "%.10e", "%g")
    },
    "relative error": (
        "for row in rows:\n    print(*[x * (1 + 3e-6) if isinstance(x, float) else x for x in row])\n",
        "",
    ),
    "larger error": (
        "for row in rows:\n    print(*[x * (1 + 3e-5) if isinstance(x, float) else x for x in row])\n",
        "",
    ),
    "absolute error": ("for row in rows:\n    print(*[x + 2e-7 if isinstance(x, float) else x for x in row])\n", ""),
    "not a number": (
        "for row in rows:\n    print(*[x * float('nan') if isinstance(x, float) else x for x in row])\n",
        "",
    ),
    "infinity": ("for row in rows:\n    print(*[x * float('inf') if isinstance(x, float) else x for x in row])\n", ""),
    "raises at the end": ("for row in rows:\n    print(*row)\n1 / 0\n", ""),
    "reads past the end": ("for row in rows:\n    print(*row)\ninput()\n", ""),
    "to stderr": ("for row in rows:\n    print(*row, file=sys.stderr)\n", ""),
    "status 0": ("for row in rows:\n    print(*row)\nsys.exit()\n", ""),
    "status 1": ("for row in rows:\n    print(*row)\nsys.exit(1)\n", ""),
    "message at exit": ("for row in rows:\n    print(*row)\nsys.exit('done')\n", ""),
    "raises SystemExit": ("for row in rows:\n    print(*row)\nraise SystemExit\n", ""),
    "exit": ("for row in rows:\n    print(*row)\nexit()\n", "removed"),
    "resource": (f"import resource\n{SHOW}", "removed"),
    "folder": (f"import os\nos.getcwd()\n{SHOW}", "removed"),
    "_exit": (TEXT + "import os\nprint(text)\nsys.stdout.flush()\nos._exit(0)\n", "removed"),
    "write": (TEXT + "sys.stdout.write(text)\n", ""),
    "flushed": ("for row in rows:\n    print(*row, flush=True)\nsys.stdout.flush()\n", ""),
    "named stdout": (TEXT + "stdout.write(text)\n", "streams"),
    "buffer": (TEXT + "sys.stdout.buffer.write(text.encode())\n", "streams"),
    "descriptor": (TEXT + "import os\nos.write(1, text.encode())\n", "streams"),
    "closed": (TEXT + "print(text)\nsys.stdout.close()\n", "streams"),
    "thread": (
        "import threading\ndef show():\n    for row in rows:\n        print(*row)\n"
        "thread = threading.Thread(target=show)\nthread.start()\nthread.join()\n",
        "",
    ),
    "guarded": ("if __name__ == '__main__':\n    for row in rows:\n        print(*row)\n", "function"),
    "global": (
        "total = 0\ndef show():\n    global total\n    total += 1\n    for row in rows:\n        print(*row)\nshow()\n",
        "function",
    ),
    "star import": ("from string import *\nfor row in rows:\n    print(*row)\n", "function"),
    "module": ("import __main__\nfor row in __main__.rows:\n    print(*row)\n", "function"),
    "own file": (
        TEXT + "with open('output', 'w') as file:\n    file.write(text)\n"
        "with open('output') as file:\n    print(file.read())\n",
        "streams",
    ),
    "prelude": ("for row in rows:\n    print(*row)\nassert gcd(12, 18) == 6 and nlargest(1, [2, 3]) == [3]\n", ""),
    "not in the prelude": ("for row in rows:\n    print(*row)\nbisect.bisect([], 1)\n", ""),
    "recursive": (
        "def show(n):\n    if n < len(rows):\n        print(*rows[n])\n        show(n + 1)\nshow(0)\n",
        "",
    ),
}
# name: (a whole program around {solve}, the reason for a difference)
READERS = {
    "input": ("n = input()\nrows = solve([n, *input().split()])\n", ""),
    "readline": ("n = sys.stdin.readline()\nrows = solve([n, *sys.stdin.readline().split()])\n", ""),
    "readlines": ("rows = solve(''.join(sys.stdin.readlines()).split())\n", ""),
    "lines": ("rows = solve(' '.join(line for line in sys.stdin).split())\n", ""),
    "named stdin": ("n = stdin.readline()\nrows = solve([n, *stdin.readline().split()])\n", ""),
    "until the end": (
        "words = []\ntry:\n    while True:\n        words += input().split()\n"
        "except EOFError:\n    rows = solve(words)\n",
        "",
    ),
    "descriptor 0": ("rows = solve(open(0).read().split())\n", ""),
    "binary": ("rows = solve(sys.stdin.buffer.read().decode().split())\n", "streams"),
    "a file": ("rows = solve(open('input.txt').read().split())\n", "files"),
    "too few": ("n = input()\nrows = solve([n])\n", ""),
    "syntax": ("rows = solve(\n", ""),
    "unknown module": ("import no_such_module\nrows = solve(sys.stdin.read().split())\n", ""),
}


def _stdin_programs(solve: str) -> Iterator[tuple[str, str, str]]:
    """(name, program, reason) triples."""
    for name, (code, reason) in PRINTERS.items():
        yield name, f"{solve}{READ}{code}", reason
    for name, (code, reason) in READERS.items():
        yield name, f"{solve}{code}{SHOW}", reason
    yield "future", f"from __future__ import annotations\n{solve}{READ}{SHOW}", "function"


# Functions that are called.
def _calls(function, make):
    """A maker of (inputs, outputs): three calls of the function with made arguments."""

    def made(rng: random.Random):
        inputs = [make(rng) for _ in range(3)]
        return inputs, [function(*arguments) for arguments in inputs]

    return made


def _wrapped(maker):
    def made(rng: random.Random):
        inputs, outputs = maker(rng)
        return inputs, [[value] for value in outputs]

    return made


def _xs(rng: random.Random) -> list:
    return [[rng.randint(0, 9) for _ in range(rng.randint(2, 5))]]


def _table(rng: random.Random) -> list:
    return [{str(rng.randint(0, 99)): rng.randint(0, 9) for _ in range(4)}]


def _named_table(rng: random.Random) -> list:
    return [{rng.choice("abcdef"): rng.randint(0, 9) for _ in range(4)}]


INT = (
    ("right", "def f(xs):\n    return sum(xs)", ""),
    ("float", "def f(xs):\n    return float(sum(xs))", ""),
    ("nearly", "def f(xs):\n    return sum(xs) + 1e-9", ""),
    ("wrong", "def f(xs):\n    return sum(xs) + 1", ""),
    ("text", "def f(xs):\n    return str(sum(xs))", ""),
    ("printed", "def f(xs):\n    print(sum(xs))", ""),
    ("list", "def f(xs):\n    return [sum(xs)]", ""),
    ("tuple", "def f(xs):\n    return (sum(xs),)", ""),
    ("fraction", "def f(xs):\n    return fractions.Fraction(sum(xs))", ""),
    ("complex", "def f(xs):\n    return complex(sum(xs))", ""),
    ("int subclass", "class N(int):\n    pass\ndef f(xs):\n    return N(sum(xs))", ""),
    ("raises", "def f(xs):\n    return sum(xs) / 0", ""),
    ("exits", "def f(xs):\n    sys.exit(0)", ""),
    ("no function", "def g(xs):\n    return sum(xs)", ""),
    (
        "by its own word",
        "class E:\n    def __eq__(self, other):\n        return True\ndef f(xs):\n    return E()",
        "equal by its own word",
    ),
    ("state", "seen = []\ndef f(xs):\n    seen.append(1)\n    return sum(xs) if len(seen) == 1 else 0", "fresh state"),
    ("in a comment", "# no class Solution\ndef f(xs):\n    return sum(xs)", "text search"),
    ("guard", "def f(xs):\n    return sum(xs)\nif __name__ == '__main__':\n    1 / 0", ""),
)
LIST = (
    ("right", "def f(xs):\n    return sorted(xs)", ""),
    ("tuple", "def f(xs):\n    return tuple(sorted(xs))", ""),
    ("reversed", "def f(xs):\n    return sorted(xs)[::-1] + [0]", ""),
    ("set", "def f(xs):\n    return set(xs)", ""),
    ("iterator", "def f(xs):\n    return iter(sorted(xs))", ""),
    ("generator", "def f(xs):\n    yield from sorted(xs)", ""),
    ("deque", "def f(xs):\n    return deque(sorted(xs))", ""),
    ("in place", "def f(xs):\n    xs.sort()", ""),
    ("floats", "def f(xs):\n    return [float(x) for x in sorted(xs)]", ""),
    ("texts", "def f(xs):\n    return [str(x) for x in sorted(xs)]", ""),
    ("first", "def f(xs):\n    return min(xs)", "first item"),
    ("list subclass", "class L(list):\n    pass\ndef f(xs):\n    return L(sorted(xs))", ""),
    ("wrapped", "def f(xs):\n    return [sorted(xs)]", ""),
    ("none", "def f(xs):\n    return None", ""),
)
PAIRS = (
    ("lists", "def f(xs):\n    return [[x, x * x] for x in xs]", ""),
    ("tuples", "def f(xs):\n    return [(x, x * x) for x in xs]", ""),
    ("tuple of tuples", "def f(xs):\n    return tuple((x, x * x) for x in xs)", ""),
    ("tuple of lists", "def f(xs):\n    return tuple([x, x * x] for x in xs)", ""),
    ("first", "def f(xs):\n    return [xs[0], xs[0] * xs[0]]", "first item"),
    ("named tuples", "P = collections.namedtuple('P', 'a b')\ndef f(xs):\n    return [P(x, x * x) for x in xs]", ""),
    ("wrong", "def f(xs):\n    return [[x, x] for x in xs] + [[0, 0]]", ""),
)
TABLES = (
    ("right", "def f(t):\n    return {k: v + 1 for k, v in t.items()}", ""),
    ("integer keys", "def f(t):\n    return {int(k): v + 1 for k, v in t.items()}", ""),
    ("text keys", "def f(t):\n    return {str(k): v + 1 for k, v in t.items()}", ""),
    ("sorted keys", "def f(t):\n    return {k: t[k] + 1 for k in sorted(t)}", ""),
    ("ordered", "def f(t):\n    return OrderedDict((k, t[k] + 1) for k in t)", ""),
    ("counter", "def f(t):\n    return Counter({k: t[k] + 1 for k in t})", ""),
    ("list of one", "def f(t):\n    return [{k: v + 1 for k, v in t.items()}]", ""),
    ("tuple of one", "def f(t):\n    return ({k: v + 1 for k, v in t.items()},)", ""),
    ("items", "def f(t):\n    return [(k, v + 1) for k, v in t.items()]", ""),
    ("keys are added", "def f(t):\n    return {k + 0: v + 1 for k, v in t.items()}", ""),
    ("wrong", "def f(t):\n    return {k: v for k, v in t.items()}", ""),
)
SCALARS = (
    ("right", "def f(x):\n    return x", ""),
    ("equal", "def f(x):\n    return {True: 1, False: 0, 0: False, 1: True, '': None}.get(x, x)", ""),
    ("truth", "def f(x):\n    return bool(x)", ""),
    ("none", "def f(x):\n    return None", ""),
    ("list", "def f(x):\n    return [x]", ""),
    ("twice", "def f(x):\n    return [[x]]", ""),
    ("bytes", "def f(x):\n    return str(x).encode()", ""),
)
TWO = (
    ("right", "def f(t, n):\n    return t.get(n, t.get(str(n)))", "dropped"),
    ("default", "def f(t, n=0):\n    return t.get(n, t.get(str(n)))", "dropped"),
    ("wrong", "def f(t, n):\n    return -1", ""),
)
SEVERAL = (
    ("right", "def f(xs):\n    return [{x: x + 1} for x in xs]", "dropped"),
    ("only the first", "def f(xs):\n    return [{xs[0]: xs[0] + 1}]", "only the first dict"),
    ("only the first, bare", "def f(xs):\n    return {xs[0]: xs[0] + 1}", "only the first dict"),
    ("wrong", "def f(xs):\n    return [{x: x} for x in xs]", ""),
)
CALL_STYLES = (
    ("syntax", "def f(*a):\n    return (\n", ""),
    ("nothing", "pass\n", ""),
    ("raises at once", "raise ValueError\ndef f(*a):\n    return 0\n", ""),
    ("unknown module", "import no_such_module\ndef f(*a):\n    return 0\n", ""),
    ("unused class", "class Solution:\n    pass\ndef f(*a):\n    return a\n", ""),
    ("no arguments", "def f():\n    return 0\n", ""),
)


def _square(xs: list) -> list:
    return [[x, x * x] for x in xs]


def _scalar(rng: random.Random) -> list:
    return [rng.choice([True, False, None, 0, 1, 2.5, "a", "", "3", [], {}, [None], 10**20])]


CALLS = {
    "int": (_calls(sum, _xs), INT),
    "wrapped int": (_wrapped(_calls(sum, _xs)), INT),
    "list": (_calls(sorted, _xs), LIST),
    "wrapped list": (_wrapped(_calls(sorted, _xs)), LIST),
    "pairs": (_calls(_square, _xs), PAIRS),
    "wrapped pairs": (_wrapped(_calls(_square, _xs)), PAIRS),
    "table": (_calls(lambda t: {k: v + 1 for k, v in t.items()}, _table), TABLES),
    "wrapped table": (_wrapped(_calls(lambda t: {k: v + 1 for k, v in t.items()}, _table)), TABLES),
    "named table": (_calls(lambda t: {k: v + 1 for k, v in t.items()}, _named_table), TABLES),
    "scalar": (_calls(lambda x: x, _scalar), SCALARS),
    "table and key": (_calls(lambda t, n: t.get(str(n)), lambda rng: [*_table(rng), rng.randint(0, 99)]), TWO),
    "tables": (_calls(lambda xs: [{str(x): x + 1} for x in xs], _xs), SEVERAL),
}
