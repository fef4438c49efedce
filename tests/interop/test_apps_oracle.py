"""Compares verdicts with the official grader's, which APPS_GRADER names: eval/testing_util.py of hendrycks/apps.

The grader needs numpy. Its only use of pyext is RuntimeModule.from_string, which is defined here.
"""

import importlib.util
import inspect
import json
import os
import sys
import types
from collections import Counter
from pathlib import Path

import pytest

from codex_jax.problems.apps import problems_with_tests
from tests.problems.apps_programs import REASONS, Case, cases
from tests.problems.judging import judge_all
from tests.problems.test_apps import write

GRADER = os.environ.get("APPS_GRADER", "")


class RuntimeModule:
    @staticmethod
    def from_string(name, _doc, source):
        scope = {}
        exec(source, scope)
        sys.modules[name] = module = types.ModuleType(name)
        vars(module).update(scope)
        return module


@pytest.fixture
def official(monkeypatch, tmp_path):
    """A function from a case to the official verdict."""
    if not GRADER:
        pytest.skip(
            "APPS_GRADER does not name eval/testing_util.py of hendrycks/apps, which is not part of this project"
        )
    monkeypatch.setitem(sys.modules, "pyext", types.SimpleNamespace(RuntimeModule=RuntimeModule))
    spec = importlib.util.spec_from_file_location("testing_util", GRADER)
    grader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grader)
    by_folder = "prob_path" in inspect.signature(grader.run_test).parameters

    def results(tests):
        if not by_folder:
            return {"problem": {"input_output": json.loads(json.dumps(tests))}}
        (tmp_path / "input_output.json").write_text(json.dumps(tests))
        return {"prob_path": str(tmp_path)}

    def verdict(case):
        read, write_end = os.pipe()
        pid = os.fork()  # the grader changes its process, and the program may end it
        if not pid:
            leave, passed = os._exit, False
            try:
                null = os.open(os.devnull, os.O_RDWR)
                for descriptor in range(3):
                    os.dup2(null, descriptor)
                found = grader.run_test(**results(case.tests), test=case.program)
                passed = len(found) == len(case.tests["inputs"]) and all(value > 0 for value in found)
            finally:
                os.write(write_end, b"passed" if passed else b"failed")
                leave(0)
        os.close(write_end)
        with os.fdopen(read, "rb") as file:
            os.waitpid(pid, 0)
            return file.read() == b"passed"

    return verdict


def differences(folder: Path, chosen: list[Case], official) -> list[tuple[Case, bool, bool]]:
    """(case, official verdict, verdict here) where they differ."""
    names = {}
    for case in chosen:
        key = json.dumps(case.tests)
        if key not in names:
            names[key] = f"{len(names):04}"
            write(folder / names[key], input_output=key)
    problems = {problem.task_id: problem for problem in problems_with_tests(folder)}
    pairs = [(problems[f"apps/{names[json.dumps(case.tests)]}"], {"solution": case.program}) for case in chosen]
    theirs = [official(case) for case in chosen]
    ours = [judgement.passed for judgement in judge_all(pairs, timeout=4.0)]
    found = zip(chosen, theirs, ours, strict=True)
    return [each for each in found if each[1] != each[2]]


def test_verdicts_are_the_official_ones_except_for_the_documented_reasons(official, tmp_path):
    chosen = cases()
    found = differences(tmp_path / "problems", chosen, official)
    problems = len({json.dumps(case.tests) for case in chosen})
    counts = Counter(case.reason for case, _, _ in found)
    print(f"{problems} problems, {len(chosen)} programs, {len(chosen) - len(found)} verdicts agree; {dict(counts)}")
    unexplained = [each for each in found if REASONS.get(each[0].reason) != each[1:]]
    assert not unexplained, Counter((case.kind, case.name, theirs) for case, theirs, _ in unexplained)
    assert problems >= 200
    assert {case.reason for case in chosen} == {"", *REASONS}
