import json
import sys

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.apps import read_apps
from codex_jax.problems.compare import long_integers
from codex_jax.problems.load import load_problems
from codex_jax.scoring.judge import Judgement
from tests.problems.judging import judge_all

CALL = {"fn_name": "add", "inputs": [[1, 2], [[1], {"a": 2}]], "outputs": [[3], [1]]}
STDIN = {"inputs": ["1\n2\n", ["3", "4"]], "outputs": ["3\n", ["7"]]}


def write(folder, difficulty="interview", url="u", starter=None, **files):
    """A problem as the release lays it out; a file without content is not written."""
    folder.mkdir(parents=True)
    (folder / "question.txt").write_text(f"Question {folder.name}: \u2264\n")
    (folder / "metadata.json").write_text(json.dumps({"difficulty": difficulty, "url": url}))
    if starter is not None:
        (folder / "starter_code.py").write_text(starter)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def release(tmp_path):
    test = tmp_path / "APPS" / "test"
    write(test / "0000", "interview", solutions=["print(3)", "x"], input_output=STDIN)
    write(test / "0001", "introductory", starter="def add(a, b):\n", solutions=["def add(): 0"], input_output=CALL)
    write(test / "0002", "competition")
    write(test / "0003", "introductory", input_output="", solutions="")
    (test / "README").write_text("not a problem")
    return test


def test_the_release_is_read(release):
    stdin, call, bare, empty = read_apps(release)
    assert [p.problem_id for p in (stdin, call, bare, empty)] == ["0000", "0001", "0002", "0003"]
    assert (stdin.question, stdin.difficulty, stdin.url) == ("Question 0000: \u2264\n", "interview", "u")
    assert (stdin.inputs, stdin.outputs, stdin.fn_name) == (("1\n2\n", "3\n4"), ("3\n", "7"), "")
    assert stdin.solutions == ("print(3)", "x")
    assert stdin.starter_code == ""
    assert (call.fn_name, call.starter_code) == ("add", "def add(a, b):\n")
    assert call.inputs == ([1, 2], [[1], {"a": 2}])
    assert call.outputs == ([3], [1])
    assert {(p.solutions, p.inputs, p.outputs) for p in (bare, empty)} == {((), (), ())}


def test_long_integers_are_read_and_python_s_limit_is_restored(tmp_path):
    limit = sys.get_int_max_str_digits()
    text = '{"fn_name": "f", "inputs": [[1]], "outputs": [%s]}' % ("7" * 5000)
    write(tmp_path / "0000", input_output=text)
    (problem,) = read_apps(tmp_path)
    with long_integers():
        assert str(problem.outputs[0]) == "7" * 5000
    assert sys.get_int_max_str_digits() == limit


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("input_output.json", "{", "not JSON"),
        ("input_output.json", "[" * 100_000, "not JSON"),
        ("input_output.json", "[1]", "not a JSON object"),
        ("input_output.json", '{"inputs": ["1"], "outputs": []}', "1 inputs and 0 outputs"),
        ("input_output.json", '{"inputs": "1", "outputs": "2"}', "not a list"),
        ("input_output.json", '{"inputs": [], "outputs": ""}', "not a list"),
        ("input_output.json", '{"inputs": [1], "outputs": ["1"]}', "no fn_name"),
        ("input_output.json", '{"fn_name": "f", "inputs": ["1"], "outputs": [1]}', "list of arguments"),
        ("input_output.json", '{"fn_name": 3, "inputs": [], "outputs": []}', "fn_name is not text"),
        ("solutions.json", "{}", "not a JSON list"),
        ("solutions.json", "[3]", "not text"),
        ("metadata.json", '{"difficulty": "hard"}', "difficulty is not in"),
        ("metadata.json", "", "difficulty is not in"),
        ("question.txt", b"\xff", "cannot read"),
    ],
)
def test_a_broken_file_is_named(release, name, content, message):
    (release / "0001" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        list(read_apps(release))
    assert str(release / "0001" / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_folder_is_refused(release):
    for folder in (release.parent, release / "none", release / "0000" / "question.txt"):
        with pytest.raises(InputError, match="give the release's APPS/train or APPS/test"):
            read_apps(folder)


SUMS = {
    "inputs": ["1 2\n", "5 6\n", "10 20\n", "30 40\n", "50 60\n"],
    "outputs": ["3\n", "11\n", "30\n", "70\n", "110\n"],
}
SUM_QUESTION = 'Add """two""" numbers.\n\n-----Examples-----\nInput\n1 2\n\nOutput\n3\n\nInput\n5 6\n\nOutput\n11\n'
TOTAL = {"fn_name": "total", "inputs": [[[1, 2, 3], "a"], [[4], "b"]], "outputs": [[6], 4]}
TOTAL_QUESTION = "Sum nums.\n\nExample 1:\nInput: nums = [1, 2, 3], k = 'a'\nOutput: 6\n"
HEAD = "class Solution:\n    def total(self, nums: List[int], k: str) -> int:\n        "
READ = "a, b = map(int, input().split())\n"


@pytest.fixture
def problems(tmp_path):
    write(tmp_path / "0000", "interview", input_output=SUMS, solutions=[f"{READ}print(a + b)\n"])
    (tmp_path / "0000" / "question.txt").write_text(SUM_QUESTION)
    write(tmp_path / "0001", "introductory", starter=HEAD, input_output=TOTAL)
    (tmp_path / "0001" / "question.txt").write_text(TOTAL_QUESTION)
    write(tmp_path / "0002", "competition")
    return load_problems(f"apps:{tmp_path}").problems


def test_prompts_show_an_example_and_the_head(problems):
    assert list(problems) == ["apps/0000", "apps/0001"]  # the third has no tests
    assert [problem.group for problem in problems.values()] == ["interview", "introductory"]
    stdin, call = (problem.prompt for problem in problems.values())
    compile(stdin, "prompt", "exec")
    assert "Add '''two''' numbers." in stdin
    assert "Example input:\n1 2\nExample output:\n3\n" in stdin
    assert 'Example input:\n[1, 2, 3], "a"\nExample output:\n[6]\n' in call
    assert call.endswith('\nThe function total returns the answer.\n"""\n' + HEAD)
    assert stdin.endswith('\nThe program reads standard input and writes standard output.\n"""\n')
    assert [len(suite.cases) for suite in problems["apps/0000"].test_suites()] == [2, 3]


SUM = f"{READ}print(a + b)\n"
RIGHT = {
    "print": SUM,
    "read": "import sys\na, b = map(int, sys.stdin.read().split())\nsys.stdout.write(str(a + b))\nsys.exit(0)\n",
    "descriptors": "import os\na, b = map(int, os.read(0, os.fstat(0).st_size).split())\n"
    "os.write(1, b'%d' % (a + b))\n",
    "open": "a, b = map(int, open(0).read().split())\nopen(1, 'w').write(f'{a + b}.0000001 ')\n",
    "buffer": "import sys\na, b = map(int, sys.stdin.buffer.readline().split())\n"
    "sys.stdout.buffer.write(b'%d' % (a + b))\n",
    "thread": "import threading\ndef main():\n    print(sum(map(int, input().split())))\n"
    "threading.stack_size(1 << 26)\nthreading.Thread(target=main).start()\n",
    "atexit": "import atexit, io, os, sys\nsys.stdout = io.StringIO()\n"
    "atexit.register(lambda: os.write(1, sys.stdout.getvalue().encode()))\n" + SUM,
    "main": "def main():\n    print(sum(map(int, input().split())))\n"
    "if __name__ == '__main__':\n    main()\n    quit()\n",
    "status 1": f"{SUM}exit(1)\n",
    "message": f"{SUM}raise SystemExit('message')\n",
    "_exit": f"import os, sys\n{SUM}sys.stdout.flush()\nos._exit(1)\n",
    "_exit in a thread": f"import os, threading\n{READ}print(a + b, flush=True)\n"
    "threading.Thread(target=os._exit, args=(0,)).start()\nthreading.Event().wait()\n",
    "own files": "import os\nassert os.listdir() == []\n"
    "for name in ('input', 'output', '.standard-input', '.standard-output'):\n    open(name, 'w').write('9 9')\n"
    "os.mkdir('folder')\nos.chdir('folder')\n" + SUM,
    "output is not closed": f"{READ}out = open(1, 'w')\nout.write(str(a + b))\n",
    "output is closed": f"import os, sys\n{READ}print(a + b)\nsys.stdout.close()\nos.close(1)\n",
    "own stream": "import sys\nclass Stream:\n    def __init__(self, file):\n        self.file, self.kept = file, []\n"
    "        self.write = self.kept.append\n    def flush(self):\n        self.file.write(''.join(self.kept))\n"
    f"sys.stdout = Stream(sys.stdout)\n{SUM}",
    "no stream": f"import sys\n{READ}print(a + b, flush=True)\nsys.stdout = None\n",
    "pool": f"from concurrent.futures import ThreadPoolExecutor\n{READ}ThreadPoolExecutor(2).submit(print, a + b)\n",
    "daemon": f"import threading\n{SUM}threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    "deep": "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\n"
    "def add(a, b):\n    return add(a + 1, b - 1) if b else a\n"
    "def main():\n    assert add(0, 10**5) == 10**5\n    print(sum(map(int, input().split())))\n"
    "threading.Thread(target=main).start()\n",
    "module": "from __future__ import annotations\nimport __main__, dataclasses, pickle, sys\n"
    "@dataclasses.dataclass\nclass Pair:\n    a: int\n    b: Pair | int\n"
    "assert sys.argv == [__file__] and sys.modules[__name__] is __main__\n"
    "pair = pickle.loads(pickle.dumps(__main__.Pair(*map(int, input().split()))))\nprint(pair.a + pair.b)\n",
    "fileinput": "import fileinput\nfor line in fileinput.input():\n    print(sum(map(int, line.split())))\n",
    "argparse": f"import argparse\nargparse.ArgumentParser().parse_args()\n{SUM}",
    "to the end": "total = 0\ntry:\n    while True:\n        total += sum(map(int, input().split()))\n"
    "except EOFError:\n    print(total)\n",
    "stderr": f"import sys\n{SUM}print('a note', file=sys.stderr)\n",
    "official names": "a, b = map(int, stdin.readline().split())\nassert gcd(12, 18) == 6 and nlargest(1, [a, b])\n"
    "assert fractions and time and itertools and random.random() < 1 and ceil(sqrt(8)) == 3\n"
    "stdout.write(str(a + b))\n",
}
WRONG = {
    "other": "print(4)\n",
    "more": f"{READ}print(a + b, 0)\n",
    "nothing": "",
    "raises": f"{READ}print(a + b, flush=True)\n1 / 0\n",
    "interrupts": f"{READ}print(a + b, flush=True)\nraise KeyboardInterrupt\n",
    "_exit at once": "import os\nos._exit(0)\n",
    "_exit before a flush": f"import os\n{SUM}os._exit(0)\n",
    "syntax": "print(\n",
    "reads on": f"{READ}print(a + b)\ninput()\n",
    "a file that is not there": f"import sys\nsys.stdin = open('input.txt')\n{SUM}",
    "not among the official names": f"{SUM}bisect\n",
    "asks": "a, b = map(int, input('two numbers: ').split())\nprint(a + b)\n",
}


def test_programs_over_standard_input(problems):
    problem = problems["apps/0000"]
    found = judge_all(
        [(problem, {"completion": text}) for text in (*RIGHT.values(), *WRONG.values(), problem.reference)]
    )
    results = dict(zip((*RIGHT, *WRONG, "reference"), found, strict=True))
    assert {name for name, judgement in results.items() if judgement.passed} == {*RIGHT, "reference"}
    assert {results[name].result.split(":")[0] for name in WRONG} == {"failed"}


def test_outputs_are_carried_as_they_are(tmp_path):
    texts = ["a\ud800b", "a\0b", "\u00e9\U0001f600", "a\r\nb"]
    write(tmp_path / "0000", input_output={"inputs": texts, "outputs": texts})
    (problem,) = load_problems(f"apps:{tmp_path}").problems.values()
    echo = "import sys\nsys.stdout.write(sys.stdin.read())\n"
    raw = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\n"
    bad = "import sys\nsys.stdout.buffer.write(b'\\xff')\n"
    found = judge_all([(problem, {"completion": text}) for text in (echo, raw, bad)])
    assert [judgement.passed for judgement in found] == [True, True, False]


def test_without_a_prelude_nothing_is_defined(problems, tmp_path):
    bare = load_problems(f"apps:{tmp_path}", "none")
    assert bare.digest != load_problems(f"apps:{tmp_path}").digest
    assert [problem.prelude for problem in bare.problems.values()] == ["none"] * 2
    stdin, call = bare.problems.values()
    found = judge_all(
        [
            (stdin, {"completion": SUM}),
            (stdin, {"completion": RIGHT["official names"]}),
            (call, {"solution": "def total(nums, k):\n    return sum(nums)\n"}),
            (call, {"solution": "def total(nums, k):\n    return floor(sum(nums))\n"}),
        ]
    )
    assert [judgement.passed for judgement in found] == [True, False, True, False]


def test_examples_are_a_gate_and_timeouts_are_reported(problems):
    problem = problems["apps/0000"]
    hangs = "    while True:\n        pass\n"
    texts = {
        "learnt": f"{READ}print(3 if a == 1 else 11)\n",
        "fails at once": "print(3)\n",
        "late": f"{READ}if a == 10:\n{hangs}print(a + b)\n",
        "late, then wrong": f"{READ}if a == 10:\n{hangs}print(a + b if a < 10 else 0)\n",
        "late in an example": f"{READ}if a == 1:\n{hangs}print(a + b)\n",
    }
    found = dict(zip(texts, judge_all([(problem, {"completion": text}) for text in texts.values()], 0.3), strict=True))
    wrong = "failed: AssertionError: another output"
    assert found["learnt"] == Judgement(wrong, {"examples": "passed", "test": wrong})
    assert found["fails at once"] == Judgement(wrong, {"examples": wrong, "test": "not run"})
    assert found["late"] == Judgement("timed out", {"examples": "passed", "test": "timed out"})
    assert found["late, then wrong"] == Judgement(wrong, {"examples": "passed", "test": wrong})
    assert found["late in an example"] == Judgement("timed out", {"examples": "timed out", "test": "passed"})


def test_functions_that_are_called(problems):
    problem = problems["apps/0001"]
    texts = {
        "return sum(nums)\n": True,
        "return float(sum(nums))\n": True,
        "return float(sum(nums)) + 1e-9\n": False,
        "return Counter(nums)[4] * 4 or 6\n": True,
        "return floor(sum(nlargest(9, nums)))\n": True,
        "return sum(nums) + (os is None)\n": False,  # not a name that the official grader imports
        "return 6\n": False,
        "return sum(nums) + 1\n": False,
        "print(sum(nums))\n": False,
    }
    wholes = {
        "def total(nums, k):\n    return [sum(nums)]\n": False,  # the list is in the wrong place
        "def total(nums, k):\n    return sum(nums)\n": True,
        "class Solution:\n    pass\ndef total(nums, k):\n    return sum(nums)\n": False,  # the class lacks the method
        "# no class Solution\ndef total(nums, k):\n    return sum(nums)\n": True,
        "def total(nums, k):\n    return sum(nums)\nif __name__ == '__main__':\n    1 / 0\n": True,
        "class Solution:\n    n = 0\n    def total(self, *a):\n        return sum(a[0]) + self.n\n": True,
        "def other(nums, k):\n    return sum(nums)\n": False,
    }
    pairs = [(problem, {"completion": text}) for text in texts] + [(problem, {"solution": text}) for text in wholes]
    found = judge_all(pairs)
    assert [judgement.passed for judgement in found] == [*texts.values(), *wholes.values()]


TABLES = {
    "fn_name": "f",
    "inputs": [[{"2": "b", "1": "a"}], [{"10": "x", "9": "y"}]],
    "outputs": [{"1": 2, "2": 2}, [{"9": 10, "10": 10}]],
}


def test_keys_that_json_made_text_are_integers(tmp_path):
    write(tmp_path / "0000", input_output=TABLES)
    write(tmp_path / "0001", input_output={"fn_name": "f", "inputs": [[{"a": 1}]], "outputs": [{"a": 2}]})
    write(tmp_path / "0002", input_output={"fn_name": "f", "inputs": [[{"1": 5}, 1]], "outputs": [5]})
    numbers, names, two = load_problems(f"apps:{tmp_path}").problems.values()
    programs = [
        (numbers, "def f(t):\n    return {k: max(t) for k in t}\n", True),
        (numbers, "def f(t):\n    return [{k: max(t) for k in t}]\n", True),
        (numbers, "def f(t):\n    return {str(k): max(t) for k in t}\n", False),
        (names, "def f(t):\n    return {k: t[k] + 1 for k in t}\n", True),
        (two, "def f(t, n):\n    return t[n]\n", True),
        (two, "def f(t, n=1):\n    return t[str(n)]\n", False),
    ]
    found = judge_all([(problem, {"solution": program}) for problem, program, _ in programs])
    assert [judgement.passed for judgement in found] == [passed for _, _, passed in programs]


# Prints every text in the memory of its process that begins like this.
SEARCH = """\
import gc, sys
begin, seen, found = "".join(["needle", "-"]), set(), set()
todo = [*gc.get_objects(), *sys._current_frames().values()]
while todo:
    item = todo.pop()
    if id(item) not in seen and item is not seen and item is not todo:
        seen.add(id(item))
        if isinstance(item, (str, bytes)) and begin in str(item) != begin:
            found.add(str(item))
        todo += gc.get_referents(item)
print(*found)
"""


def test_no_expected_output_is_in_the_program(tmp_path):
    write(tmp_path / "0000", input_output={"inputs": ["1\n"], "outputs": ["needle-7716\n"]})
    (problem,) = load_problems(f"apps:{tmp_path}").problems.values()
    texts = [SEARCH, f"kept = ['-'.join(['needle', str(7716)])]\n{SEARCH}"]
    absent, present = judge_all([(problem, {"completion": text}) for text in texts])
    assert absent.result == "failed: AssertionError: another output"
    assert present.passed  # the search finds a text that is in memory
