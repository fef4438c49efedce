import json

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.load import load_problems
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
        (1, "def added(a, b):\n    return a + b\n", "failed: KeyError"),
        (1, "def add(a, b):\n    class A(int):\n        __eq__ = lambda s, o: True\n    return A()\n", "failed: "),
        (2, "class Node:\n    def __init__(s, x):\n        pass\ndef height(r):\n    return 3\n", "failed: "),
        (2, "def height(r):\n    return 3\n", "failed: KeyError"),
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
