import json

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.load import load_problems
from codex_jax.problems.mbpp import problem_of
from tests.problems.judging import judge_all

ROWS = [
    {
        "task_id": 1,
        "text": "Write a function to add.",
        "code": "def add(a, b):\r\n  return own(a) + b\r\ndef own(a):\r\n  return a",
        "test_list": ["assert add(1, 2) == 3", "assert add([1], [2]) == [1, 2]"],
        "test_setup_code": "",
        "challenge_test_list": ["assert add('a', 'b') == 'ab'"],
    },
    {
        "task_id": 2,
        "text": "The height of a tree.",
        "code": "class Node:\n    def __init__(self, x):\n        self.data = x\n        self.left = None\n"
        "        self.right = None\n"
        "def height(root):\n    return 0 if root is None else 1 + max(height(root.left), height(root.right))\n",
        "test_list": ["assert height(root) == 3", "assert (height(root.left)) == 2"],
        "test_setup_code": "root = Node(1)\r\nroot.left = Node(2)\r\nroot.left.right = Node(3)",
        "challenge_test_list": [],
    },
    {
        "task_id": 3,
        "text": "Whether it starts with a.",
        "code": "import re\ndef check(x):\n    return re.match('a', x)\n",
        "test_list": ["assert check('ab')", "assert not check('b')"],
        "test_setup_code": "",
        "challenge_test_list": [],
    },
    {
        "task_id": 4,
        "text": "Both lists, in order.",
        "code": "import heapq\ndef call(a, b):\n    return heapq.merge(a, b)\n",
        "test_list": ["assert list(call([1, 3], [2])) == [1, 2, 3]"],
        "test_setup_code": "",
        "challenge_test_list": [],
    },
]
SANITIZED = {
    "source_file": "x.ipynb",
    "task_id": 5,
    "prompt": "The root of a sum.",
    "code": "import math\ndef root(pairs):\n    return math.sqrt(sum(a for a, b in pairs))\n",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(root([(1, 2), (3, 4)]), 2.0, rel_tol=0.001)"],
}


@pytest.fixture
def problems(tmp_path):
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps([SANITIZED], indent=1))
    found = load_problems(str(path)).problems
    assert load_problems(f"mbpp:{path}").problems == found
    return found | load_problems(f"mbpp:{tmp_path}/sanitized-mbpp.json").problems


def test_both_files_are_read(problems):
    assert list(problems) == [f"MBPP/{number}" for number in range(1, 6)]
    prompt = problems["MBPP/1"].prompt
    assert prompt == '"""\nWrite a function to add.\nassert add(1, 2) == 3\nassert add([1], [2]) == [1, 2]\n"""\n'
    for problem in problems.values():
        assert "assert" not in problem.program({"completion": ""})


def test_references_pass(problems):
    found = judge_all([(problem, {"completion": problem.reference}) for problem in problems.values()])
    assert {judgement.result for judgement in found} == {"passed"}
    assert found[0].suites == {"test": "passed", "challenge": "passed"}


@pytest.mark.parametrize(
    ("number", "text", "result"),
    [
        (1, "def add(a, b):\n    return a if isinstance(a, list) else a + b\n", "failed: AssertionError"),
        (1, "def added(a, b):\n    return a + b\n", "failed: NameError"),
        (1, "def add(a, b):\n    class A(int):\n        __eq__ = lambda s, o: True\n    return A()\n", "failed: "),
        (2, "class Node:\n    def __init__(s, x):\n        pass\ndef height(r):\n    return 3\n", "failed: "),
        (2, "def height(r):\n    return 3\n", "failed: NameError"),
        (3, "def check(x):\n    return x\n", "failed: AssertionError"),
        (4, "def call(a, b):\n    return a + b\n", "failed: AssertionError"),
        (4, "def call(a, b):\n    return sorted(a + b)\n", "passed"),
        (5, "def root(pairs):\n    return math.sqrt(4)\n", "passed"),  # the tests import math
        (5, "def root(pairs):\n    return 2.1\n", "failed: AssertionError"),
    ],
)
def test_other_programs(problems, number, text, result):
    (found,) = judge_all([(problems[f"MBPP/{number}"], {"completion": text})])
    assert found.result.startswith(result)


SHAPES = """
import math
from collections import namedtuple
from enum import Enum
UNIT = 2
Pair = namedtuple("Pair", "left right")
class Color(Enum):
    RED = 1
class Point:
    def __init__(self, x, y=0):
        self.x, self.y = x, y
    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)
    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)
    def __len__(self):
        return self.x
    def __str__(self):
        return f"({self.x}, {self.y})"
    def moved(self, by, times=1):
        return Point(self.x + by * times, self.y)
    @classmethod
    def origin(cls):
        return cls(0)
    @property
    def size(self):
        return math.hypot(self.x, self.y)
class Shape(Point):
    pass
class Down:
    def __init__(self, n):
        self.n = n
    def __iter__(self):
        return self
    def __next__(self):
        if not self.n:
            raise StopIteration
        self.n -= 1
        return self.n
class Stack:
    def __init__(self):
        self.items = []
    def push(self, item):
        self.items.append(item)
        return self
    def pop(self):
        return self.items.pop()
    def __iter__(self):
        return iter(self.items)
    def __getitem__(self, index):
        return self.items[index]
def helper(x):
    return x + UNIT
def apply(function, *values, last=()):
    return [function(value) for value in (*values, *last)]
def only(values, kind):
    return [value for value in values if isinstance(value, kind)]
def pair(x):
    return Pair(x, x)
def points(n):
    return [Point(x) for x in range(n)]
def count(n):
    yield from range(n)
def total(points):
    return sum(point.x for point in points)
class Small(ValueError):
    pass
def fail(x):
    raise Small(x)
def reverse(values):
    values.reverse()
def nothing(x):
    return x or None
"""
FORMS = [
    "assert only([1, 'a', 2.5], int) == [1] and only([1, 'a'], (str, float)) == ['a']",
    "assert apply(lambda v, k=3: v * k, 1, 2, last=[5]) == [3, 6, 15]",
    "def double(v):\n    return 2 * v\nassert apply(double, 4) == [8]",
    "assert apply(len, 'ab') == [2] and apply(str.upper, 'a') == ['A'] and apply(math.sqrt, 4) == [2]",
    "assert apply(helper, 1) == [3] and helper(helper(1)) == 5 and helper(1) + helper(2) == 7",
    "assert apply(Point, 1, 2)[1].x == 2",
    "assert UNIT == 2 and math.floor(2.5) == UNIT",
    "assert Point(1, 2).x == 1 and Point(3, y=4).size == 5.0 and Point.origin().x == 0",
    "assert Point(1) + Point(2, 3) == Point(3, 3) != Point(3)",
    "assert Point(1) != 1 and not Point(1) == (1, 0)",
    "assert str(Point(1, 2)) == '(1, 2)' == f'{Point(1, 2)}' and len(Point(3)) == 3 and not Point(0)",
    "assert Point(1).moved(2, times=3).x == 7",
    "assert isinstance(Shape(1), Point) and not isinstance(Point(1), Shape) and not isinstance(1, Point)",
    "assert type(Shape(1)) is Shape and type(Shape(1)) is not Point and type(helper(1)) is int",
    "assert type(Shape(1)).__name__ == 'Shape' and hasattr(Shape(1), 'x') and not hasattr(Shape(1), 'z')",
    "s = Stack()\ns.push(1).push(2)\nassert s.pop() == 2 and s.items == [1] and [*s] == [1] and s[0] == 1 and 1 in s",
    "p = Point(1)\np.x = Point(5)\np.y += 3\nassert p.x.x == 5 and p.y == 3\ndel p.y\nassert not hasattr(p, 'y')",
    "assert total([Point(1), Point(2)]) == 3 and total(({1: Point(7)}[Point(1).x],)) == 7",
    "p = Point(4)\nassert total([p, p]) == 8 and p is p",
    "assert [p.x for p in points(3)] == [0, 1, 2] and points(2) == points(2) and len(points(4)) == 4",
    "assert pair(1) == (1, 1) and pair(2).right == 2 and isinstance(pair(1), Pair) and pair(1)._asdict()['left'] == 1",
    "assert Color.RED is Color.RED and Color(1) == Color.RED and Color.RED.value == 1 and Color.RED != 1",
    "assert list(count(3)) == [0, 1, 2] and sum(count(4)) == 6 and next(count(2)) == 0 and set(count(2)) == {0, 1}",
    "d = Down(3)\nassert next(d) == 2 and d.n == 2 and list(d) == [1, 0] and d.n == 0",
    "assert sorted(count(3), reverse=True) == [2, 1, 0] and 2 in count(3) and max(map(helper, count(3))) == 4",
    "assert nothing(0) is None and nothing(1) is not None and not nothing(0) and nothing(3) and nothing(2) in (1, 2)",
    "assert 1 < helper(1) < 4 and helper(1) != 4 and helper(1) > 2 and (helper(1) == 3) is True",
    "try:\n    fail(3)\nexcept Small as error:\n    assert error.args == (3,)\nelse:\n    assert False",
    "values = [1, [2]]\nreverse(values)\nassert values == [[2], 1]",
    "try:\n    fail(3)\nexcept ValueError as error:\n    assert '3' in str(error)\nelse:\n    assert False",
]


def shapes(tests, code=SHAPES):
    return {"task_id": 9, "text": "Shapes.", "code": code, "test_list": tests, "test_imports": []}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_test(form):
    exec(SHAPES + form, {"__name__": "program"})
    (found,) = judge_all([(problem_of(shapes([form])), {"completion": SHAPES})])
    assert found.result == "passed"


def test_forms_that_fail():
    forms = [form.replace("assert ", "assert not (", 1) + ")" for form in FORMS if form.startswith("assert ")]
    found = judge_all([(problem_of(shapes([form])), {"completion": SHAPES}) for form in forms])
    assert [judgement.result for judgement in found] == ["failed: AssertionError"] * len(forms)


def test_the_program_defines_what_the_tests_use():
    row = shapes(["assert apply(helper, 1) == [3]", "assert math.floor(UNIT) == 2"])
    program = "import math\nUNIT = 2\ndef apply(f, x):\n    return [f(x)]\n"
    found = judge_all(
        [
            (problem_of(row), {"completion": program + "helper = lambda x: x + 2\n"}),
            (problem_of(row), {"completion": program + "helper = lambda x: x\n"}),
            (problem_of(row), {"completion": program}),
            (problem_of(row), {"completion": program[len("import math") :] + "helper = lambda x: x + 2\n"}),
        ]
    )
    assert [judgement.result for judgement in found] == [
        "passed",
        "failed: AssertionError",
        "failed: NameError: name 'helper' is not defined",
        "failed: NameError: name 'math' is not defined",
    ]


def test_an_answer_does_not_decide_what_it_is_equal_to():
    program = """
class Any:
    __eq__ = __lt__ = __le__ = __gt__ = __contains__ = lambda self, other: True
    __hash__ = lambda self: 3
    def __iter__(self):
        return iter([self])
class Number(int, Any):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__
helper = lambda x: {}
"""
    tests = ["assert helper(1) == 3", "assert helper(1) > 2", "assert helper(1) in (3,)", "assert 3 in helper(1)"]
    pairs = [
        (problem_of(shapes([test])), {"completion": program.replace("{}", kind)})
        for test in [*tests, "assert {helper(1)} == {3}", "assert list(helper(1)) == [3]"]
        for kind in ("Any()", "Number(1)", "[Any()]", "Any")
    ]
    assert [judgement.passed for judgement in judge_all(pairs)] == [False] * len(pairs)


def test_challenge_tests_are_not_required(problems):
    text = "def add(a, b):\n    return 'x' if isinstance(a, str) else a + b\n"
    (found,) = judge_all([(problems["MBPP/1"], {"completion": text})])
    assert found.passed
    assert found.suites["challenge"].startswith("failed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_list": []}, "has no test"),
        ({"test_list": [3]}, "not a list of text"),
        ({"test_list": ["assert other(1)"]}, "call no function of its code"),
        ({"code": "def ("}, "the code of 'MBPP/1' is not Python"),
        ({"code": 3}, "'code' is missing"),
        ({"test_setup_code": [3]}, "'test_setup_code' of 'MBPP/1' is not text"),
        ({"task_id": None}, "'task_id' is missing"),
        ({"text": None}, "'text' \\(or 'prompt'\\)"),
    ],
)
def test_bad_problems_and_files(tmp_path, change, message):
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps({**ROWS[0], **change}) + "\n")
    with pytest.raises(InputError, match=message) as caught:
        load_problems(str(path))
    assert f"{path} line 1: " in str(caught.value)
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(InputError, match="not a JSON list"):
        load_problems(f"mbpp:{tmp_path}/s.json")
