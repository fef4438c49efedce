"""python -m codex_jax.problems trace|doctests|contests|filter|pairs ... --out FILE.jsonl: makes supervised problems."""

import hashlib
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tyro

from codex_jax import cli
from codex_jax.curation.contests import contest_job, outcome_of, read_contests
from codex_jax.curation.doctests import doctest_problems, read_sources
from codex_jax.curation.funnel import Funnel
from codex_jax.curation.made_problem import MadeProblem, NotMade, Outcome
from codex_jax.curation.making import MAX_TIMEOUT, MakingSettings, finish, open_workshop, publish_rows
from codex_jax.curation.pairing import PairsArgs, pair
from codex_jax.curation.projects import read_projects
from codex_jax.curation.sampled import problem_of_row, read_problems, read_results, reason_to_drop
from codex_jax.curation.traced import (
    POLICY,
    batches_of,
    ended,
    replay_jobs,
    report_of_tests,
    trace_jobs,
    traced_functions,
    traced_outcome,
)
from codex_jax.errors import InputError
from codex_jax.reporting.figures import save_figure
from codex_jax.reporting.funnel_figure import draw_funnel
from codex_jax.sandbox.check import STDLIB_ONLY
from codex_jax.sandbox.packages import find_packages
from codex_jax.score import choose_layer
from codex_jax.storage.jsonl import Json
from codex_jax.text.document import Document
from codex_jax.text.filters import licence_filter


@dataclass(frozen=True)
class Args:
    """Makes problems in HumanEval's form from other code, each with tests that its reference solution passes."""

    command: tyro.conf.Positional[str] = ""  # one of the subcommands


@dataclass(frozen=True, kw_only=True)
class DoctestsArgs(MakingSettings):
    """Problems from functions whose docstrings carry examples."""

    sources: tyro.conf.Positional[tuple[str, ...]]  # dir:PATH, pypi:NAME[==VERSION], pypi:@LIST, wheel:PATH, stdlib
    licenses: tuple[str, ...] = ()  # use only files with these SPDX ids, or "permissive"; by default any


@dataclass(frozen=True, kw_only=True)
class ContestsArgs(MakingSettings):
    """Problems from contests, with tests on which several solutions agree."""

    contests: tyro.conf.Positional[str]  # apps:DIR, or a FILE.jsonl of problems with their solutions
    licence: str = ""  # SPDX id of the problems, where the file does not state it


@dataclass(frozen=True, kw_only=True)
class FilterArgs(MakingSettings):
    """Keeps the problems that some sample solves, and whose reference passes each time."""

    problems: tyro.conf.Positional[Path]  # in HumanEval's form
    results: tuple[Path, ...]  # what score wrote for samples of these problems
    drop_solved: bool = False  # also drop problems that every sample solves


@dataclass(frozen=True, kw_only=True)
class TraceArgs(MakingSettings):
    """Problems from functions that a project's own tests call."""

    projects: tyro.conf.Positional[tuple[str, ...]]  # pypi:NAME[==VERSION], sdist:FILE, or dir:PATH, with tests
    licenses: tuple[str, ...] = ()  # use only projects with these SPDX ids, or "permissive"; by default any
    test_seconds: float = 60.0  # CPU seconds for each file of tests


@dataclass(frozen=True)
class ShowArgs:
    """Prints problems of a file whole: where they are from, prompt, solution and tests."""

    problems: tyro.conf.Positional[Path]  # in HumanEval's form
    n: int = 5  # problems to print, drawn at random
    seed: int = 0


def collect(outcomes: Iterable[Outcome], funnel: Funnel) -> list[MadeProblem]:
    """The problems. All outcomes are counted as found, and those that are no problem as dropped."""
    problems = []
    for outcome in outcomes:
        funnel.find(outcome.repo)
        if isinstance(outcome, NotMade):
            funnel.drop(outcome.reason, outcome.name, outcome.repo)
        else:
            problems.append(outcome)
    return problems


def publish(rows: list[Json], settings: MakingSettings, funnel: Funnel, title: str) -> int:
    """Writes the problems, the report and OUT_funnel.png and .svg, its figure. Returns 1 if no problem is left."""
    figure = draw_funnel(funnel.report(), title)
    try:
        save_figure(figure, settings.out.with_name(settings.out.name + "_funnel"))
    except OSError as error:
        raise InputError(f"cannot write the figure of {settings.out}: {error.strerror}") from None
    return publish_rows(rows, settings, funnel, title)


def doctests(args: DoctestsArgs) -> int:
    """Runs the subcommand."""
    args.check()
    if not args.sources:
        raise InputError("name a source, such as dir:PATH or pypi:NAME (see --help)")
    layer = choose_layer(args.unsafe, STDLIB_ONLY)
    refused = licence_filter(args.licenses) if args.licenses else None
    funnel = Funnel()

    def outcomes() -> Iterable[Outcome]:
        for item in read_sources(args.sources):
            for outcome in doctest_problems(item):
                refuse = refused and isinstance(outcome, MadeProblem) and isinstance(item, Document) and refused(item)
                yield NotMade(item.id, "licence", outcome.repo) if refuse else outcome

    problems = collect(outcomes(), funnel)
    with open_workshop(args, layer, {"command": "doctests", "sources": [*args.sources]}) as workshop:
        rows = finish(problems, workshop, funnel)
    return publish(rows, args, funnel, "functions with examples")


def contests(args: ContestsArgs) -> int:
    """Runs the subcommand."""
    path = Path(args.contests.removeprefix("apps:"))
    args.check([path])
    found = {one.name: one for one in read_contests(args.contests, args.licence)}
    layer = choose_layer(args.unsafe, STDLIB_ONLY)
    funnel = Funnel()
    content = hashlib.sha256(repr([*found.values()]).encode("utf-8", "surrogatepass")).hexdigest()
    header = {"command": "contests", "contests": args.contests, "content": content}
    with open_workshop(args, layer, header) as workshop:
        answers = workshop.run("agree", {name: contest_job(one, args.timeout) for name, one in found.items()})
        outcomes = (outcome_of(one, answers[name]) for name, one in found.items())
        rows = finish(collect(outcomes, funnel), workshop, funnel)
    return publish(rows, args, funnel, "problems of contests")


def trace(args: TraceArgs) -> int:
    """Runs the subcommand."""
    args.check()
    if not args.projects:
        raise InputError("name a project, such as dir:PATH (see --help)")
    if not 0 < args.test_seconds <= MAX_TIMEOUT:
        raise InputError(f"--test-seconds must be above 0 and at most {MAX_TIMEOUT:.0f}")
    find_packages(POLICY.packages)
    projects = read_projects(args.projects)
    refused = licence_filter(args.licenses) if args.licenses else lambda _: False
    for one in projects:
        if refused(Document(one.label, one.name, "", "", license=one.licence)):
            raise InputError(f"{one.label} has the licence {one.licence or 'unknown'}: leave it out, or allow it")
    layer = choose_layer(args.unsafe, POLICY)
    content = hashlib.sha256(repr(projects).encode("utf-8", "surrogatepass")).hexdigest()
    header = {"command": "trace", "content": content, "seconds": args.test_seconds}
    funnel = Funnel()
    functions, reports = [], {}
    with open_workshop(args, layer, header) as workshop:
        for project in projects:
            batches = batches_of(project)
            traces = workshop.run(f"trace {project.name}", trace_jobs(project, batches, args.test_seconds))
            alone = ended(project, batches, traces)
            traces |= workshop.run(f"trace {project.name} again", trace_jobs(project, alone, args.test_seconds))
            reports[project.label] = report_of_tests(project, [*batches, *alone], traces)
            functions += traced_functions(project, traces.values())
        answers = workshop.run("replay", dict(replay_jobs(functions, args.timeout)))
        outcomes = (traced_outcome(one, answers[one.label]) for one in functions)
        rows = finish(collect(outcomes, funnel), workshop, funnel)
    funnel.notes |= {"calls": sum(one.seen for one in functions), "tests": reports}
    return publish(rows, args, funnel, "functions that tests call")


def filter_(args: FilterArgs) -> int:
    """Runs the subcommand."""
    args.check([args.problems, *args.results])
    rows = read_problems(args.problems)
    counts = read_results(args.results, rows)
    layer = choose_layer(args.unsafe, STDLIB_ONLY)
    funnel = Funnel()
    outcomes: list[Outcome] = []
    for task_id, row in rows.items():
        reason = reason_to_drop(counts[task_id], args.drop_solved)
        outcomes.append(NotMade(task_id, reason) if reason else problem_of_row(row))
    funnel.notes["samples"] = sum(count.samples for count in counts.values())
    with open_workshop(args, layer, {"command": "filter", "problems": str(args.problems)}) as workshop:
        made = finish(collect(outcomes, funnel), workshop, funnel)
    # A problem keeps all of its fields, and its split.
    kept = [{"split": row["split"], **rows[row["task_id"]]} for row in made]
    return publish(kept, args, funnel, "problems with samples")


def show(args: ShowArgs) -> int:
    """Runs the subcommand."""
    rows = [*read_problems(args.problems).values()]
    if args.n < 1:
        raise InputError("--n must be at least 1")
    for row in random.Random(args.seed).sample(rows, min(args.n, len(rows))):
        place = ", ".join(filter(None, (row.get("provenance"), row.get("licence"))))
        print(f"# {row['task_id']} ({place})" if place else f"# {row['task_id']}")
        print(f"{row['prompt']}{row['canonical_solution']}\n\n{row['test']}\n")
    return 0


def main(args: Args) -> int:
    """Without a subcommand there is nothing to do."""
    fault = f"no subcommand {args.command!r}" if args.command else "no subcommand was given"
    raise InputError(f"{fault}: give one of {', '.join(SUBCOMMANDS)} (see --help)")


SUBCOMMANDS: dict[str, cli.Command] = {
    "contests": (contests, ContestsArgs),
    "doctests": (doctests, DoctestsArgs),
    "filter": (filter_, FilterArgs),
    "pairs": (pair, PairsArgs),
    "show": (show, ShowArgs),
    "trace": (trace, TraceArgs),
}


if __name__ == "__main__":
    sys.exit(cli.run(main, Args, subcommands=SUBCOMMANDS))
