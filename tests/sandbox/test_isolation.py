import pytest

from codex_jax.problems.load import load_problems
from codex_jax.sandbox.check import HARNESS, Check
from tests.sandbox.attacks import HERE
from tests.sandbox.checks import problem_check, statuses

# Each program searches the memory that it was forked with for what only the checker may know.
FRAMES = """    pass
import sys
frame = sys._getframe()
while frame:
    for value in list(frame.f_locals.values()):
        if isinstance(value, dict) and "setup" in value:
            exec(value["setup"])
    frame = frame.f_back
"""
HEAP = """    pass
import ctypes
with open("/proc/self/maps") as maps:
    spans = [line.split()[0] for line in maps if " rw-p " in line and "[v" not in line]
for span in spans:
    low, high = (int(end, 16) for end in span.split("-"))
    data = ctypes.string_at(low, high - low)
    at = data.find(b"METADATA")
    while at >= 0:
        if data[at + 8 : at + 10] == b" =":  # as the test has it; the name alone is in this program too
            raise LookupError("the test is here")
        at = data.find(b"METADATA", at + 1)
raise LookupError("nothing found")
"""
# The same, without reading the addresses from /proc.
SCAN = f"""    pass
{(HERE / "scan.txt").read_text()}
this = 7  # METABASE =
if not scan(b"METABASE", b" ="[::-1]):
    raise LookupError("not even what is in this program")
if scan(b"METADATA", b" ="[::-1]):  # as the test has it; the name alone is in this program too
    raise LookupError("the test is here")
raise LookupError("nothing found")
"""


def check(body, test):
    return Check("def f(x):\n" + body, "f", "def check(candidate):\n" + test)


@pytest.mark.parametrize("program", [FRAMES, SCAN, HEAP])
def test_the_program_cannot_find_the_test_in_its_memory(program):
    problem = load_problems("humaneval").problems["HumanEval/0"]
    good = problem_check(problem, problem.canonical_solution)
    first, stolen, last = statuses([good, problem_check(problem, program), good], workers=1)
    assert (first, last) == ("passed", "passed")
    # With Landlock a program cannot open /proc/self/maps, and a root of its own has no /proc.
    heap = ["failed: LookupError: nothing found", "failed: PermissionError", "failed: FileNotFoundError"]
    expected = {FRAMES: ["failed: AssertionError"], SCAN: heap[:1], HEAP: heap}
    assert any(stolen.startswith(status) for status in expected[program])


def test_a_builtin_exception_keeps_its_type():
    test = "    try:\n        candidate(1)\n    except {0}:\n        return\n    assert False\n"
    for name in ("TypeError", "ValueError", "KeyError"):
        solution = f"    raise {name}('no')\n"
        assert statuses([check(solution, test.format(name))]) == ["passed"]


@pytest.mark.parametrize("caught", ["except Exception", "except BaseException", "except"])
def test_a_test_that_catches_everything_cannot_pass_a_program_that_ended(caught):
    test = f"    try:\n        candidate(1)\n    {caught}:\n        return\n"
    programs = ("    import os; os._exit(0)\n", "    return object()\n", "    raise ValueError\n")
    dead, unplain, right = statuses([check(program, test) for program in programs])
    assert dead.startswith("failed: ProgramError: program ended")
    assert unplain == HARNESS + "cannot carry a value of type object"
    assert right == "passed"


@pytest.mark.parametrize("name", ["StopIteration", "StopAsyncIteration"])
def test_a_program_cannot_end_a_loop_of_the_test(name):
    test = "    for value in map(candidate, [1, 2]):\n        assert value == 1\n"
    assert statuses([check(f"    raise {name}\n", test)]) == [f"failed: ProgramError: {name}:"]
