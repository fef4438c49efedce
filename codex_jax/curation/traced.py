"""Problems from functions whose calls were recorded while a project's own tests ran."""

import ast
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path

from codex_jax.curation import tracer
from codex_jax.curation.call_tests import calls_test
from codex_jax.curation.hosting import with_written
from codex_jax.curation.made_problem import MadeProblem, NotMade, Outcome
from codex_jax.curation.needed_code import NotStandaloneError, split_program
from codex_jax.curation.needed_packages import TOP
from codex_jax.curation.projects import Project
from codex_jax.curation.replay import choose, replay
from codex_jax.curation.source_module import SourceModule, find_in, first_line, module_name
from codex_jax.sandbox.check import Check, Policy
from codex_jax.sandbox.checker_files import TEMPORARY
from codex_jax.sandbox.pool import CheckJob, Run
from codex_jax.storage.jsonl import Json

MIN_TESTS = 2
MAX_FAILURES = 10  # of tests, that the report describes
BATCH = 8  # files of tests that run in one process
LONGER = 5.0  # the time for all calls of a function, as a multiple of the time for one run
STOP = 0.7  # the part of the time after which no further test starts
# Settings of the project that need plugins or fail for other reasons than its tests are not used.
OPTIONS = [
    "--continue-on-collection-errors",
    *["-o", "addopts=", "-o", "filterwarnings=", "-o", "required_plugins=", "-o", "xfail_strict="],
]
POLICY = Policy(packages=("pytest",), scratch_files=8000)
HOST = 'run_tests = vars(load())["run_tests"]\n'
RECORD = """\
import json

def check(candidate):
    found = candidate(*{arguments!r})
    with open({path!r}, "w") as file:
        json.dump(found, file)
"""
Batch = tuple[str, ...]  # files of tests, all of one folder


def trace_jobs(project: Project, batches: Iterable[Batch], seconds: float) -> dict[str, CheckJob[Json]]:
    """For each batch, by its key, the job that runs it and records calls. seconds: of CPU time, for each file.

    An answer has the "result" of the sandbox and, unless the process was ended, what tracer.run_tests returns.
    """
    program = Path(tracer.__file__).read_text()

    def job(run: Run, batch: Batch) -> Json:
        limit = seconds * len(batch)
        options = [*OPTIONS, *(["--doctest-modules"] if {*batch} & {*project.doctests} else [])]
        with tempfile.TemporaryDirectory(prefix="codex_jax_", dir=TEMPORARY[0]) as folder:
            path = Path(folder) / "found"
            arguments = (project.files, [*project.folders, TOP], [*batch], options, STOP * limit)
            test = RECORD.format(path=str(path), arguments=arguments)
            result = run(Check(program, "run_tests", test, with_written(HOST), cpu_seconds=limit, policy=POLICY))
            found = json.loads(path.read_text()) if result.passed else {}
        return {"result": result.status, **found}

    return {key_of(project, batch): partial(job, batch=batch) for batch in batches}


def key_of(project: Project, batch: Batch) -> str:
    """Identifies a batch among those of all projects."""
    return "\n".join((project.label, *batch))


def batches_of(project: Project) -> list[Batch]:
    """The files of tests and of doctests."""
    batches: list[Batch] = []
    for files in (project.tests, project.doctests):
        for _, group in groupby(sorted(files, key=lambda file: (_folder(file), file)), key=_folder):
            some = [*group]
            batches += [tuple(some[n : n + BATCH]) for n in range(0, len(some), BATCH)]
    return batches


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def ended(project: Project, batches: Iterable[Batch], answers: Mapping[str, Json]) -> list[Batch]:
    """The files of the batches that did not run to their end, each as a batch of its own."""
    found = [batch for batch in batches if "exit" not in answers[key_of(project, batch)] and len(batch) > 1]
    return [(file,) for batch in found for file in batch]


def report_of_tests(project: Project, batches: Iterable[Batch], answers: Mapping[str, Json]) -> Json:
    """How the tests went, and what the sandbox ended."""
    counts: Counter[str] = Counter()
    stopped: dict[str, str] = {}
    failures: list[str] = []
    for batch in batches:
        answer = answers[key_of(project, batch)]
        counts.update(answer.get("tests", {}))
        failures += answer.get("failures", [])
        if "exit" not in answer and len(batch) == 1:
            stopped[batch[0]] = answer["result"]
    report: Json = {"files": len({*project.tests, *project.doctests}), **counts, "ended": stopped}
    report |= {"failures": failures[:MAX_FAILURES]} if failures else {}
    return {**report, **({"missing": [*project.missing]} if project.missing else {})}


@dataclass
class TracedFunction:
    """A function with its calls as source: arguments -> what it gives, as in tracer.py."""

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
        return f"{self.project.label}/{self.file}:{self.line}"


def traced_functions(project: Project, answers: Iterable[Json]) -> list[TracedFunction]:
    """The functions that the tests called."""
    found: dict[tracer.Key, TracedFunction] = {}

    def function(file: str, line: int, name: str) -> TracedFunction:
        return found.setdefault((file, line, name), TracedFunction(project, file, line, name, {}, {}))

    for answer in answers:
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


def replay_jobs(functions: Iterable[TracedFunction], timeout: float) -> Iterator[tuple[str, CheckJob[Json]]]:
    """For each function, its label and the job that repeats its calls.

    An answer has fields of a problem, or "reason".
    """

    @cache
    def finder(name: str) -> "ModuleOf":
        return ModuleOf(projects[name])

    functions = [*functions]
    projects = {one.project.name: one.project for one in functions}
    for one in functions:
        yield one.label, partial(_replayed, one, finder(one.project.name), timeout)


class ModuleOf:
    """Finds the module of a project's file."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._find = find_in(project.files, project.folders)

    def __call__(self, file: str) -> SourceModule | None:
        """The module; None if the file cannot be parsed, or is another one than the module that is imported."""
        module = self._find(module_name(file, self._project.folders))
        same = module is not None and self._project.files.get(file) == self._project.files.get(module.file)
        return module if same else None


def _replayed(one: TracedFunction, module_of: ModuleOf, timeout: float, run: Run) -> Json:
    if len(one.calls) < MIN_TESTS:
        return {"reason": max(one.reasons, key=lambda reason: one.reasons[reason], default="few_calls")}
    try:
        prompt, solution = _split(one, module_of(one.file))
    except NotStandaloneError as error:
        return {"reason": str(error)}
    calls = choose(replay(prompt + solution, one.name, list(one.calls.items()), LONGER * timeout, run))
    if len(calls) < MIN_TESTS:
        return {"reason": "another_answer_on_replay"}
    if len({call.value for call in calls}) == 1:
        return {"reason": "always_the_same_answer"}
    if all(call.value.startswith(tracer.RAISES) for call in calls):
        return {"reason": "only_raises"}
    return {"prompt": prompt, "canonical_solution": solution, "test": calls_test(calls)}


def _split(one: TracedFunction, module: SourceModule | None) -> tuple[str, str]:
    for node in module.tree.body if module else ():
        if isinstance(node, ast.FunctionDef) and node.name == one.name and first_line(node) == one.line:
            assert module is not None
            if module.bindings[node.name] != [module.tree.body.index(node)]:
                raise NotStandaloneError("defined_twice")
            return split_program(module, node, set())
    raise NotStandaloneError("not_on_top_level" if module else "no_source")


def traced_outcome(one: TracedFunction, answer: Json) -> Outcome:
    """The problem, or why there is none."""
    if "reason" in answer:
        return NotMade(one.label, answer["reason"], one.project.name)
    return MadeProblem(
        task_id=f"trace/{one.project.name}/{one.file}/{one.name}",
        entry_point=one.name,
        source="trace",
        licence=one.project.licence,
        provenance=one.label,
        repo=one.project.name,
        **answer,
    )
