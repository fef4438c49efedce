"""What a test sees of the program, through a whole sandbox."""

import pytest

from codex_jax.sandbox import wire
from codex_jax.sandbox.check import HARNESS, LIMIT, Check
from codex_jax.sandbox.values import MAX_DEPTH
from tests.sandbox.checks import statuses

SAME = "def f(*x):\n    return x[0] if len(x) == 1 else x\n"


def check(program, test, setup=""):
    """A check of the function f; test: the body of the test."""
    body = "".join(f"    {line}\n" for line in test.strip().splitlines())
    return Check(program, "f", "def check(candidate):\n" + body, setup=setup, cpu_seconds=20.0)


def assert_all(expected, checks):
    found = dict(zip(checks, statuses(checks.values()), strict=True))
    assert found == dict.fromkeys(checks, expected)


# name: (program, test)
LAZY = {
    "is no list": ("def f(x):\n    yield x\n", "assert candidate(1) != [1]\nassert list(candidate(1)) == [1]"),
    "is a generator": (
        "def f(x):\n    yield x\n",
        "import types\nassert isinstance(candidate(1), types.GeneratorType)\nassert next(candidate(1)) == 1",
    ),
    "map, zip and chain": (
        "import itertools\ndef f(x):\n    return map(str, x), zip(x, x), itertools.chain(x, x)\n",
        "a, b, c = candidate([1, 2])\nassert (*a, *b, *c) == ('1', '2', (1, 1), (2, 2), 1, 2, 1, 2)",
    ),
    "without end": (
        "import itertools\ndef f():\n    return itertools.count()\n",
        "from itertools import islice\nassert list(islice(candidate(), 3000)) == list(range(3000))",
    ),
    "not further than asked": (
        "seen = []\ndef f(x):\n    if not x:\n        return seen\n"
        "    def g():\n        for n in range(9):\n            seen.append(n)\n            yield n\n    return g()\n",
        "g = candidate(1)\nassert candidate(0) == []\nassert next(g) == 0\nassert candidate(0) == [0]",
    ),
    "long": ("def f(n):\n    yield from range(n)\n", "assert sum(candidate(100_000)) == 4_999_950_000"),
    "an exception after items": (
        "def f(n):\n    yield from range(n)\n    raise KeyError(n)\n",
        "for n in (0, 1, 2500):\n    seen = []\n    try:\n        for x in candidate(n): seen.append(x)\n"
        "    except KeyError as e:\n        assert e.args == (n,) and seen == list(range(n))\n    else: assert False",
    ),
    "iterators of iterators": (
        "import itertools\ndef f(x):\n    return itertools.groupby(x)\n",
        "assert [(key, list(group)) for key, group in candidate('aab')] == [('a', ['a', 'a']), ('b', ['b'])]",
    ),
    "as an argument": (
        "def f(x):\n    return [2 * item for item in x]\n",
        "assert candidate(iter([1])) == candidate(x for x in [1]) == candidate(map(int, '1')) == [2]",
    ),
    "as an argument without end": (
        "import itertools\ndef f(x, n):\n    return list(itertools.islice(x, n))\n",
        "import itertools\nx = itertools.count()\nassert candidate(x, 3) == [0, 1, 2]\nassert next(x) == 3",
    ),
    "as an argument that raises": (
        "def f(x):\n    try:\n        return list(x)\n    except ZeroDivisionError:\n        return 'zero'\n",
        "assert candidate(1 // x for x in (1, 0)) == 'zero'",
    ),
    "back and forth": (
        "def f(x):\n    for item in x:\n        yield item + 1\n",
        "assert list(candidate(candidate(iter([1, 2])))) == [3, 4]",
    ),
    "an argument that calls the program": (
        "def f(x):\n    return 2 * x if isinstance(x, int) else sum(x)\n",
        "assert candidate(candidate(x) for x in range(3)) == 6",
    ),
    "returned as it came": (SAME, "x = iter([1, 2])\nassert candidate(x) is x\nassert list(x) == [1, 2]"),
}


def test_iterators_are_lazy():
    assert_all("passed", {name: check(*parts) for name, parts in LAZY.items()})


CHANGED = {
    "a list": ("def f(x):\n    x.sort()\n", "x = [2, 1]\nassert candidate(x) is None\nassert x == [1, 2]"),
    "all that can change": (
        "def f(g, d, s, b, q):\n    g[0][1] = 5\n    g.append(g[0])\n    d['k'].append(1)\n    d['g'] = g\n"
        "    s.add(3)\n    b[0] = 65\n    q.append(9)\n    q.popleft()\n",
        "from collections import deque\nrow = [1, 2]\ng, l, s = [row], [], {1}\n"
        "b, q = bytearray(b'xy'), deque([1, 2], 3)\n"
        "d = {'k': l}\ncandidate(g, d, s, b, q)\nassert g == [[1, 5], [1, 5]] and g[0] is row and g[1] is row\n"
        "assert d['k'] is l and l == [1] and d['g'] is g and list(d) == ['k', 'g']\n"
        "assert s == {1, 3} and b == bytearray(b'Ay') and list(q) == [2, 9] and q.maxlen == 3",
    ),
    "only types": (
        "def f(x):\n    x[:] = True, 1.0, 1\n",
        "x = [1, 1, 1]\ncandidate(x)\nassert [type(item) for item in x] == [bool, float, int]",
    ),
    "the result is an argument": (
        SAME,
        "a, b = [1], {2: [3]}\nassert candidate(a) is a\nx, y = candidate(a, b)\n"
        "assert x is a and y is b and y[2] is b[2]\nt = (1, [])\nassert candidate(t) is t",
    ),
    "the result contains an argument": (
        "def f(x):\n    x.append([x])\n    return [x, x[-1]]\n",
        "x = [1]\nr = candidate(x)\nassert r[0] is x and x[1] is r[1] and x[1][0] is x",
    ),
    "with an exception": (
        "def f(x):\n    x.clear()\n    raise ValueError(x)\n",
        "x = [1]\ntry: candidate(x)\nexcept ValueError as e: assert x == [] and e.args[0] is x\nelse: assert False",
    ),
    "one object twice": ("def f(x, y):\n    x.append(1)\n    return y\n", "x = []\nassert candidate(x, x) == [1]"),
    "a subclass of the test": (
        "def f(x):\n    x.append(2)\n",
        "class Rows(list): pass\nx = Rows([1])\ncandidate(x)\nassert type(x) is Rows and x == [1, 2]",
    ),
    "an argument that cannot be carried back stays": (
        "def f(x, y):\n    x[0] = object()\n    return 1\n",
        "x = [0]\nassert candidate(x, y=2) == 1\nassert x == [0]",
    ),
}


def test_arguments_change_in_place():
    assert_all("passed", {name: check(*parts) for name, parts in CHANGED.items()})


OWN = "class Bad(ValueError):\n    def __init__(self, n):\n        super().__init__(f'bad {n}')\n        self.n = n\n"
CAUGHT = "try: candidate({})\nexcept {} as e: assert {}\nelse: assert False"
RAISED = {
    "arguments": ("def f(d, k):\n    return d[k]\n", CAUGHT.format("{}, 'a'", "KeyError", "e.args == ('a',)")),
    "an argument that is no text": (
        "def f(x):\n    raise ValueError(x)\n",
        CAUGHT.format("[1]", "ValueError", "e.args[0] == [1]"),
    ),
    "five arguments": (
        "def f(x):\n    return x.decode()\n",
        CAUGHT.format("b'\\xff'", "UnicodeDecodeError", "e.start == 0"),
    ),
    "an exit": ("def f(x):\n    raise SystemExit(x)\n", CAUGHT.format("3", "SystemExit", "e.code == 3")),
    "a file": (
        "def f(x):\n    open(x)\n",
        CAUGHT.format("'no'", "FileNotFoundError", "(e.errno, e.filename) == (2, 'no')"),
    ),
    "the end of an iterator": (
        "def f(x):\n    return next(iter(x))\n",
        CAUGHT.format("[]", "StopIteration", "e.value is None"),
    ),
    "an interrupt": ("def f(x):\n    raise KeyboardInterrupt\n", CAUGHT.format("1", "KeyboardInterrupt", "True")),
    "a class of the setup": (
        OWN + "def f(x):\n    raise Bad(x)\n",
        CAUGHT.format("3", "Bad", "e.n == 3 and str(e) == 'bad 3'"),
    ),
    "a class of the program": (
        "class Mine(KeyError): pass\ndef f(x):\n    raise Mine(x)\n",
        CAUGHT.format("3", "LookupError", "type(e) is KeyError and e.args == (3,)"),
    ),
    "a class of a module": (
        "import json\ndef f(x):\n    return json.loads(x)\n",
        "import json\n" + CAUGHT.format("'{'", "json.JSONDecodeError", "e.pos == 1"),
    ),
    "arguments that cannot be carried": (
        "def f(x):\n    raise ValueError(f)\n",
        CAUGHT.format("1", "ValueError", "'function' in str(e)"),
    ),
    "a cause": (
        "def f(x):\n    try:\n        1 / x\n    except ZeroDivisionError as e:\n        raise ValueError(x) from e\n",
        CAUGHT.format("0", "ValueError", "type(e.__cause__) is ZeroDivisionError"),
    ),
    "a returned exception": (
        "def f(x):\n    return ValueError(x)\n",
        "e = candidate(1)\nassert type(e) is ValueError and e.args == (1,)",
    ),
}


def test_exceptions_arrive_as_raised():
    assert_all("passed", {name: check(*parts, setup=OWN) for name, parts in RAISED.items()})


def test_no_exception_ends_a_test_early():
    loop = "for x in map(candidate, [1, 2]): assert x == 1"
    handled = "try: candidate(1)\nexcept StopIteration: pass\n"
    forms = [loop, f"try:\n    {loop}\nexcept StopIteration: pass", "assert all(map(candidate, [1]))", handled + loop]
    stops = ["StopIteration", "StopIteration(3)", "type('E', (StopIteration,), {})"]
    found = statuses([check(f"def f(x):\n    raise {stop}\n", form) for stop in stops for form in forms])
    assert all(status.startswith("failed: ProgramError: StopIteration:") for status in found), found
    skip = "import unittest\nclass A(unittest.TestCase):\n    def test(self): self.assertEqual(candidate(1), 2)\n"
    skip += "suite = unittest.defaultTestLoader.loadTestsFromTestCase(A)\nresult = unittest.TestResult()\n"
    skip += "suite.run(result)\nassert result.wasSuccessful()"
    program = "import unittest\ndef f(x):\n    raise unittest.SkipTest\n"
    assert statuses([check(program, skip)]) == ["failed: AssertionError"]


def test_iterators_give_only_their_items():
    generates = "def f():\n    x = yield 1\n    yield x\n"
    reads = "import io\ndef f(it=None):\n    return it.read() if it else io.StringIO('a')\n"
    kinds = "import inspect\nassert inspect.isgenerator(candidate()) and candidate().send(None) == 1"
    assert statuses([check(generates, kinds)]) == ["passed"]
    read = HARNESS + "cannot carry the attribute read of an iterator"
    assert statuses([check(reads, "candidate().read()"), check(reads, "candidate(iter('a'))")]) == [read, read]
    caught = "try: candidate().read()\nexcept BaseException: pass"
    assert statuses([check(reads, caught)]) == [read]
    sends = "g = candidate()\nassert next(g) == 1 and g.send(2) == 2"
    assert statuses([check(generates, sends)]) == [HARNESS + "cannot carry values that are sent to a generator"]


def test_what_cannot_be_carried_is_the_harness_s_failure():
    """Also if the test catches everything."""
    caught = "try: candidate({})\nexcept BaseException: pass"
    own = "class Own: pass\ndef f(x):\n    return [Own()]\n"
    assert statuses([check(own, caught.format(1))]) == [HARNESS + "cannot carry a value of type Own"]
    assert statuses([check("def f(x):\n    return f\n", caught.format(1))]) == [
        HARNESS + "cannot carry a value of type function"
    ]
    assert statuses([check(SAME, caught.format("object()"))]) == [HARNESS + "cannot carry a value of type object"]


def test_a_limit_is_named():
    size, deep = f"{wire.MAX_BYTES >> 20} MiB", f"{MAX_DEPTH:,} deep"
    nested = "x = {0}\nfor _ in range(20_000): x = {1}\n"
    build = "def f(n):\n    " + nested.replace("\n", "\n    ").format("[]", "[x]") + "return x\n"
    assert (
        statuses(
            [
                check("def f(n):\n    return 'a' * n\n", f"candidate({wire.MAX_BYTES})"),
                check("def f(n):\n    yield 'a' * n\n", f"next(candidate({wire.MAX_BYTES}))"),
                check(SAME, f"candidate('a' * {wire.MAX_BYTES})"),
                check(build, "candidate(1)"),
                check(SAME, nested.format("()", "(x,)") + "candidate(x)"),
            ]
        )
        == [f"{LIMIT}an answer of more than {size}"] * 3 + [f"{LIMIT}an answer nested more than {deep}"] * 2
    )


def test_large_answers_arrive():
    program = (
        "def f(kind, n):\n    return list(range(n)) if kind == 'list' else bytes(n) if kind == 'bytes' else kind * n\n"
    )
    test = """
assert candidate('list', 2_500_000) == [*range(2_500_000)]
assert candidate('a', 64_000_000) == 'a' * 64_000_000
assert candidate('é', 32_000_000) == 'é' * 32_000_000
assert candidate('bytes', 64_000_000) == bytes(64_000_000)
"""
    assert statuses([check(program, test)]) == ["passed"]


def test_a_missing_function_is_a_name_error():
    assert statuses([check("def g(x): pass\n", "pass")]) == ["failed: NameError: name 'f' is not defined"]


def test_a_test_may_call_from_several_threads():
    test = "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n"
    test += "    assert list(pool.map(candidate, range(200))) == list(range(200))"
    assert statuses([check(SAME, test)]) == ["passed"]


def test_many_calls_do_not_use_up_the_time():
    """Messages take time that the function itself would not take, so after each 1,000 there is more."""
    few, many = (
        Check(
            SAME,
            "f",
            f"def check(candidate):\n    for n in range({count}):\n        assert candidate(n) == n\n",
            cpu_seconds=0.2,
        )
        for count in (10, 30_000)
    )
    assert statuses([few, many]) == ["passed", "passed"]


@pytest.mark.parametrize("text", ["passed", "x" * 5000, "\x1b[0m\n\0"])
def test_a_forged_reason_is_one_short_line_after_the_limit_s_name(text):
    program = f"import json, os, struct\ndef f(x):\n    m = json.dumps(['limit', {text!r}]).encode()\n"
    program += "    os.write(4, struct.pack('<I', len(m)) + m)\n"
    (status,) = statuses([check(program, "candidate(1)")])
    assert status.startswith(LIMIT)
    assert len(status) < 250
    assert "\n" not in status
