"""Problems from functions whose calls were recorded while a project's own tests ran."""

import ast
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from codex_jax.curation import tracer
from codex_jax.curation.made_problem import MadeProblem, NotMade, Outcome
from codex_jax.curation.needed_code import NotStandaloneError, SourceModule, first_line, split_program
from codex_jax.curation.replay import choose, replay
from codex_jax.errors import InputError
from codex_jax.sandbox.check import Check, Policy
from codex_jax.sandbox.checker_files import TEMPORARY
from codex_jax.sandbox.pool import CheckJob, Run
from codex_jax.sources.folders import licence_of, read_regular
from codex_jax.storage.jsonl import Json

MAX_FILES = 1500  # of a project; the sandbox holds 2,000
MAX_BYTES = 1_000_000  # of a file
MIN_TESTS = 2
LONGER = 5.0  # the time for all calls of a function, as a multiple of the time for one run
STOP = 0.7  # the part of the time after which no further test starts
RECORD = """\
import json

def check(candidate):
    found = candidate(*{arguments!r})
    with open({path!r}, "w") as file:
        json.dump(found, file)
"""


@dataclass(frozen=True)
class Project:
    """The text files of a project, with those that are its tests."""

    name: str
    licence: str
    files: dict[str, str]  # by their paths
    tests: tuple[str, ...]


def read_project(spec: str) -> Project:
    """The project in dir:PATH. InputError if it has no tests or too many files."""
    kind, _, argument = spec.partition(":")
    if kind != "dir" or not Path(argument).is_dir():
        raise InputError(f"{spec}: give dir:PATH of a project with its tests")
    files: dict[str, str] = {}
    for folder, subfolders, names in os.walk(argument):
        subfolders[:] = sorted(name for name in subfolders if name[0] not in "._" or name.isidentifier())
        for name in sorted(names):
            inner = os.path.relpath(os.path.join(folder, name), argument)
            try:
                data = read_regular(argument, inner, MAX_BYTES + 1)
                if len(data) <= MAX_BYTES:
                    files[inner] = data.decode()
            except (OSError, UnicodeDecodeError):
                continue
    if len(files) > MAX_FILES:
        files = {name: text for name, text in files.items() if name.endswith(".py")}
    if len(files) > MAX_FILES:
        raise InputError(f"{spec} has over {MAX_FILES} Python files: give a smaller project")
    stems = {name: os.path.basename(name).removesuffix(".py") for name in files if name.endswith(".py")}
    tests = tuple(name for name, stem in stems.items() if stem.startswith("test_") or stem.endswith("_test"))
    if not tests:
        raise InputError(f"{spec} has no tests (test_*.py): give a project with its tests")
    return Project(Path(argument).resolve().name, licence_of(argument), files, tests)


def trace_jobs(project: Project, policy: Policy, seconds: float) -> dict[str, CheckJob[Json]]:
    """For each file of tests, the job that runs it and records calls. seconds: of CPU time, for each file.

    An answer has the "result" of the sandbox and, unless the process was ended, what tracer.run_tests returns.
    """
    program = Path(tracer.__file__).read_text()

    def job(run: Run, file: str) -> Json:
        with tempfile.TemporaryDirectory(prefix="codex_jax_", dir=TEMPORARY[0]) as folder:
            path = Path(folder) / "found"
            arguments = (project.files, [".", "src"], file, STOP * seconds)
            test = RECORD.format(path=str(path), arguments=arguments)
            result = run(Check(program, "run_tests", test, cpu_seconds=seconds, policy=policy))
            found = json.loads(path.read_text()) if result.passed else {}
        return {"result": result.status, **found}

    return {f"{project.name}/{file}": partial(job, file=file) for file in project.tests}


def tests_report(project: Project, answers: Mapping[str, Json]) -> Json:
    """How the files of tests went: pytest's exit codes other than 0, and what the sandbox ended."""
    found = {file: answers[f"{project.name}/{file}"] for file in project.tests}
    failed = {file: one["exit"] for file, one in found.items() if one.get("exit")}
    ended = {file: one["result"] for file, one in found.items() if "exit" not in one}
    return {"files": len(found), "failed": failed, "ended": ended}


@dataclass
class TracedFunction:
    """A function with its calls as source: arguments -> result."""

    project: Project
    file: str
    line: int
    name: str
    calls: dict[str, str]
    reasons: dict[str, int]  # calls that were not recorded, by why
    seen: int = 0  # calls in all

    @property
    def label(self) -> str:
        """Its place, which is unique."""
        return f"{self.project.name}/{self.file}:{self.line}"


def traced_functions(project: Project, answers: Mapping[str, Json]) -> list[TracedFunction]:
    """The functions that the tests called."""
    found: dict[tuple[str, int, str], TracedFunction] = {}

    def function(file: str, line: int, name: str) -> TracedFunction:
        return found.setdefault((file, line, name), TracedFunction(project, file, line, name, {}, {}))

    for answer in (answers[f"{project.name}/{file}"] for file in project.tests):
        for *key, arguments, value in answer.get("calls", ()):
            one = function(*key)
            # An answer that changes is no answer: it is none that a replay gives.
            one.calls[arguments] = value if one.calls.get(arguments, value) == value else ""
        for *key, seen, reasons in answer.get("reasons", ()):
            one = function(*key)
            one.seen += seen
            for reason, count in reasons.items():
                one.reasons[reason] = one.reasons.get(reason, 0) + count
    return list(found.values())


def replay_job(one: TracedFunction, timeout: float) -> CheckJob[Json]:
    """The job that repeats a function's calls; its answer has the fields of a problem, or "reason"."""

    def job(run: Run) -> Json:
        if len(one.calls) < MIN_TESTS:
            worst = max(one.reasons, key=lambda reason: one.reasons[reason], default="few_calls")
            return {"reason": worst}
        try:
            prompt, solution = _split(one)
        except NotStandaloneError as error:
            return {"reason": str(error)}
        calls = choose(replay(prompt + solution, one.name, list(one.calls.items()), LONGER * timeout, run))
        if len(calls) < MIN_TESTS:
            return {"reason": "another_answer_on_replay"}
        if len({call.value for call in calls}) == 1:
            return {"reason": "always_the_same_answer"}
        asserts = [f"    assert candidate({call.arguments}) == {call.value}\n" for call in calls]
        test = "def check(candidate):\n" + "".join(asserts)
        return {"prompt": prompt, "canonical_solution": solution, "test": test}

    return job


def _split(one: TracedFunction) -> tuple[str, str]:
    try:
        module = SourceModule(one.project.files[one.file])
    except (KeyError, SyntaxError, ValueError, RecursionError):
        raise NotStandaloneError("no_source") from None
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == one.name and first_line(node) == one.line:
            if module.bindings[node.name] != [module.tree.body.index(node)]:
                raise NotStandaloneError("defined_twice")
            return split_program(module, node, set())
    raise NotStandaloneError("not_on_top_level")


def traced_outcome(one: TracedFunction, answer: Json) -> Outcome:
    """The problem, or why there is none."""
    if "reason" in answer:
        return NotMade(one.label, answer["reason"])
    return MadeProblem(
        task_id=f"trace/{one.project.name}/{one.file}/{one.name}",
        entry_point=one.name,
        source="trace",
        licence=one.project.licence,
        provenance=one.label,
        repo=one.project.name,
        **answer,
    )
