"""Problems in the form of EvalPlus's MBPP+, for the oracle test: each rule and each form of input at least once.

EvalPlus applies its rules by the name of the function, and its forms of inputs by the task's number.
"""

from typing import Any

from tests.interop.official import Task


def _task(number: int, source: str, base: list[Any], plus: Any = None, atol: float = 0, mutants: int = 16) -> Task:
    name = source.rpartition("\ndef ")[2].partition("(")[0].removeprefix("def ")
    row = {
        "task_id": f"Mbpp/{number}",
        "prompt": '"""\nA task.\n"""\n',
        "entry_point": name,
        "canonical_solution": source,
        "contract": "",
        "base_input": base,
        "plus_input": plus,
        "atol": atol,
    }
    return Task("mbpp", row, mutants, plus=6 if plus is None else 0)


TASKS = [
    # The rules.
    _task(800, "import re\ndef check_str(s):\n    return re.match('[aeiou]', s)\n", [["abc"], ["xyz"], [""]]),
    _task(801, "def text_match_three(s):\n    return 'found' if 'a' in s else None\n", [["abc"], ["xyz"]]),
    _task(802, "def text_starta_endb(s):\n    return s.startswith('a') or None\n", [["ab"], ["ba"]]),
    _task(
        2, "def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n", [[(3, 4, 5), (5, 7, 4)], [(1,), (2,)]]
    ),
    _task(803, "def find_char_long(s):\n    return [w for w in s.split() if len(w) > 3]\n", [["this is a long text"]]),
    _task(804, "def larg_nnum(x, n):\n    return sorted(x)[-n:]\n", [[[1.5, 2.5, 0.5], 2], [[3, 1, 2], 1]]),
    _task(805, "def Diff(a, b):\n    return list(set(a) ^ set(b))\n", [[[1, 2, 3], [2]], [[], []]]),
    _task(806, "def are_equivalent(a, b):\n    return a == b\n", [[1, 1], [1, 2]]),
    _task(807, "def sum_div(n):\n    return sum(d for d in range(1, n) if n % d == 0)\n", [[8], [12], [7]]),
    _task(810, "def surface_Area(b, s):\n    return 2 * b * s + b * b\n", [[3, 4], [1, 2]], atol=1e-6),
    _task(
        811,
        "def digit_distance_nums(a, b):\n    return sum(map(int, str(abs(a - b))))\n",
        [[1, 2], [23, 56], [123, 256]],
    ),
    # The forms of inputs.
    _task(
        116,
        "def number(t):\n    assert type(t) is tuple\n    return int(''.join(map(str, t)))\n",
        [[(1, 2)], [(4, 5, 6)]],
    ),
    _task(63, "def gap(pairs):\n    return max(abs(a - b) for a, b in set(pairs))\n", [[[(3, 5), (1, 7)]], [[(4, 6)]]]),
    _task(
        75,
        "def multiples(ts, k):\n    return [t for t in ts if {t} and all(x % k == 0 for x in t)]\n",
        [[[(6, 24), (7, 9)], 6]],
    ),
    _task(106, "def joined(xs, t):\n    return t + tuple(xs)\n", [[[5, 6], (9, 10)], [[6], (10,)]]),
    _task(
        115,
        "def empty(ds):\n    return [type(d).__name__ for d in ds if d or type(d) is dict]\n",
        [[[{}, {1, 2}]], [[{}]]],
    ),
    _task(124, "import cmath\ndef angle(a, b):\n    return cmath.phase(a + b)\n", [[0, 1j], [2, 1j], [2.5, 1 + 2j]]),
    _task(252, "import cmath\ndef polar(z):\n    return cmath.polar(z)\n", [[1], [4j], [1.5 - 2j]]),
    _task(250, "def count(t, x):\n    return (hash(t) and t.count(x), x)\n", [[(1, 2, 2), 2], [(1,), 3]]),
    _task(
        259,
        "def largest(a, b):\n    return tuple(tuple(map(max, p, q)) for p, q in zip(a, b))\n",
        [[((1, 3), (4, 5)), ((6, 7), (3, 9))]],
    ),
    _task(278, "def first(t):\n    return [type(x).__name__ for x in t]\n", [[(1, 5, (4, 6), 10)], [((1,), 2)]]),
    _task(307, "def colon(t, m, n):\n    return t[:m] + ([n],)\n", [[("a", [], True), 1, 50]]),
    _task(
        722,
        "def chosen(s, h, w):\n    return {k: v for k, v in s.items() if v > (h, w)}\n",
        [[{"a": (6.2, 70), "b": (5.9, 65)}, 6.0, 70]],
    ),
    _task(
        580,
        "def even(t):\n    return tuple(even(x) if isinstance(x, tuple) else x for x in t)\n",
        [[(4, 5, (7, 6, (2,)))]],
    ),
    # Answers.
    _task(820, "def ratio(a, b):\n    return a / b\n", [[1, 3], [2, 7]]),
    _task(821, "def ratios(xs):\n    return [x / 3 for x in xs]\n", [[[1, 2]], [[5]], [[]]]),
    _task(822, "def mixed(x):\n    return (x, x / 3, str(x))\n", [[1], [2]]),
    _task(
        823, "def table(n):\n    return [[i / (j + 1) for j in range(n)] for i in range(n)]\n", [[2], [3]], atol=1e-4
    ),
    _task(824, "def first_a_float(n):\n    return n / 3 if n == 1 else [n, n / 7]\n", [[1], [2], [3]]),
    _task(825, "def roots(x):\n    return (x ** 0.5, x * 1j)\n", [[2], [3]], atol=1e-6),
    _task(826, "def flag(x):\n    return x > 2\n", [[1], [3]]),
    _task(827, "def nothing(x):\n    return None if x < 2 else x\n", [[1], [3]]),
    _task(828, "def huge(n):\n    return [10 ** n, n / 3]\n", [[30], [40]], atol=1e-6),
    _task(829, "def ragged(n):\n    return [[n / 3], [n / 7, n / 9]]\n", [[1], [2]], atol=1e-6),
    _task(830, "def groups(xs):\n    return {x % 3: [x] for x in xs}\n", [[[1, 2, 3]]]),
    _task(831, "def parts(xs):\n    return {tuple(xs[:2]), tuple(xs[2:])}\n", [[[1, 2, 3]]]),
    _task(832, "def infinite(x):\n    return [float('inf'), x / 3]\n", [[1], [-2]]),
    _task(833, "def changes(xs):\n    xs.append(len(xs))\n    return xs\n", [[[1, 2]], [[]]]),
    # Inputs.
    _task(840, "def name(*letters):\n    return ''.join(letters)\n", [["a", "b"]], plus={"xy": 1, "z": 2}),
    _task(841, "def unasked(x):\n    return x\n", [], plus=[]),
    _task(842, "def unasked(x):\n    return x\n", [], plus={}),
    _task(843, "def by_default(*x):\n    return list(x)\n", [[], [None], [True]], plus=[[1.5, "a", {"k": [1]}]]),
]
