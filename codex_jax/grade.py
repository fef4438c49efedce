"""python -m codex_jax.grade docstrings.jsonl --problems P --run CODE_RUN --out graded.jsonl: grades docstrings.

docstrings.jsonl is what sample wrote for --problems docstrings:P. A docstring is right if code that a model writes from
it passes the problem's tests (--run), or if a person says so: --sheet writes a sheet, and --grades reads it back.
"""

import hashlib
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro

from codex_jax import cli, sample, terminal
from codex_jax.config import Dtype, HostsConfig, MeshConfig
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.problems.docstrings import Documented, copies_code, prompt_docstring
from codex_jax.problems.load import DOCSTRINGS, Benchmark, load_problems
from codex_jax.problems.problem import PAPER_STOPS, PASSED
from codex_jax.reporting.statistics import summarize
from codex_jax.reporting.tables import NOTE, pass_rates
from codex_jax.sampling.sampler import COPIES, load_engine
from codex_jax.sandbox.check import STDLIB_ONLY
from codex_jax.score import MAX_TIMEOUT, choose_layer, parse_ks
from codex_jax.scoring.grading_sheet import SheetItem, read_grades, sample_name, write_sheet
from codex_jax.scoring.results import check_out, delete_journal
from codex_jax.scoring.sample_files import SampleFile
from codex_jax.scoring.samples import read_samples
from codex_jax.scoring.score_file import score
from codex_jax.storage.jsonl import Json, read_objects, write_objects

COPIED, TOO_LONG, FAILED = "failed: copies the code", "failed: too long to write code from", "failed: no code passes"


@dataclass(frozen=True, kw_only=True)
class Args:
    """Grades sampled docstrings; an interrupted command resumes."""

    samples: tyro.conf.Positional[Path]  # sampled with --problems docstrings:P; or what this command wrote before
    problems: str  # P: humaneval, building_blocks, or a FILE in HumanEval's form
    out: Path | None = None  # graded.jsonl: the docstrings, each with whether it is right
    run: Path | None = None  # a run that writes code, which is drawn from each docstring and run in the sandbox
    sheet: Path | None = None  # a sheet to grade by hand: FILE.csv or FILE.html
    grades: Path | None = None  # a sheet that has been graded: its CSV file, or the one that its HTML page saves
    k: str = "1,10"  # values of k for pass@k, separated by commas
    n: int = 1  # code samples per docstring; it is right if one of them passes
    temperature: float = 0.0  # of the code; 0: greedy
    top_p: float = 0.95
    max_new_tokens: int = 300  # per code sample
    seed: int = 0
    batch: int = 100  # code samples drawn together by each copy of the model
    timeout: float = 3.0  # CPU seconds per test
    workers: int = max(1, os.cpu_count() or 1)  # programs that run at a time
    unsafe: bool = False  # if no sandbox works, only limit resources: programs may then do all that you may do
    dtype: Dtype | None = None  # dtype of products, weights and cache; default: the run's compute dtype
    int8: bool = False  # keep the layers' weights in int8, with a scale per output
    mesh: MeshConfig = COPIES  # copies of the model, and the devices that each is split over
    hosts: HostsConfig = field(default_factory=HostsConfig)

    def check(self) -> None:
        """InputError for flags that exclude each other, and for values out of range."""
        if bool(self.run) + bool(self.sheet) + bool(self.grades) != 1:
            raise InputError("give one of --run CODE_RUN, --sheet FILE.csv|FILE.html and --grades FILE.csv")
        if not self.sheet and self.out is None:
            raise InputError("give --out graded.jsonl")
        if self.sheet and self.sheet.suffix not in (".csv", ".html"):
            raise InputError(f"--sheet {self.sheet}: give FILE.csv or FILE.html")
        if not 0 < self.timeout <= MAX_TIMEOUT or self.workers < 1:
            raise InputError(f"--timeout must be above 0 and at most {MAX_TIMEOUT:.0f}, and --workers at least 1")
        for path in (self.sheet, self.out):
            if path:
                check_out(path, [self.samples, Path(self.problems), *([self.grades] if self.grades else [])])
                if not path.parent.is_dir():
                    raise InputError(f"no folder {path.parent}: create it, or name another file")

    @property
    def of_problems(self) -> str:
        """The problems, whose docstrings were sampled."""
        return self.problems.removeprefix(DOCSTRINGS)

    def drawing(self, code: Path) -> sample.Args:
        """The arguments of sample that draw the code."""
        assert self.run
        partial = code.with_name(code.name + ".partial")
        names = ("n", "temperature", "top_p", "max_new_tokens", "seed", "batch", "dtype", "int8", "mesh", "hosts")
        args = {name: getattr(self, name) for name in names}
        resume = code.exists() or partial.exists()
        return sample.Args(run=self.run, problems="docstrings", out=code, skip_long=True, resume=resume, **args)


def read_docstrings(args: Args) -> tuple[list[Json], Benchmark, dict[str, Documented]]:
    """The sampled docstrings, the problems, and their prompts apart from their own docstrings, by task_id."""
    benchmark = load_problems(args.of_problems)
    rows = read_samples(args.samples, load_problems(DOCSTRINGS + args.of_problems), skip_bad=False)
    if any("completion" not in row for row in rows):
        raise InputError(f"{args.samples} does not hold docstrings: sample them with --problems docstrings:P")
    found = {task_id: prompt_docstring(benchmark.problems[task_id]) for task_id in {row["task_id"] for row in rows}}
    return rows, benchmark, {task_id: one for task_id, one in found.items() if one}


def code_name(row: Json) -> str:
    """Names the problem of writing code from a docstring. Equal docstrings of a problem share it."""
    return f"{row['task_id']}#{hashlib.sha256(row['completion'].encode('utf-8', 'replace')).hexdigest()[:12]}"


def back_generate(args: Args, run: Path) -> None:
    """Draws code for each docstring, runs it, and writes which docstrings are right."""
    assert args.out
    rows, benchmark, prompts = read_docstrings(args)
    tasks, copies = {}, set()
    for row in rows:
        name, problem, found = code_name(row), benchmark.problems[row["task_id"]], prompts[row["task_id"]]
        if copies_code(row["completion"], problem.canonical_solution):
            copies.add(name)
            continue
        prompt = found.with_docstring(row["completion"].encode("utf-8", "replace").decode())
        tasks[name] = replace(problem, task_id=name, prompt=prompt, opening=prompt, reference="", stops=PAPER_STOPS)
    digest = hashlib.sha256(repr([*tasks.values()]).encode("utf-8", "surrogatepass")).hexdigest()
    made = Benchmark("code from docstrings", tasks, digest)
    code = args.out.with_name(args.out.name + "_code.jsonl")
    drawing = args.drawing(code)
    drawing.check()
    layer = choose_layer(args.unsafe, STDLIB_ONLY)
    hosts.join(args.hosts)
    if tasks:
        engine, origin = load_engine(run, args.mesh, args.dtype, args.int8)
        sample.sample_problems(drawing, made, engine, origin)

    def finish() -> None:
        programs = list(read_objects(code)) if tasks else []
        out = code.with_name(code.name + "_results.jsonl")
        verdicts: dict[str, list[Json]] = {}
        if programs:
            for one in score(SampleFile(code, programs, out), made, args.timeout, args.workers, layer):
                verdicts.setdefault(one["task_id"], []).append(one)
            delete_journal(out)
        publish(args, [judged(row, verdicts.get(code_name(row)), code_name(row) in copies) for row in rows])

    hosts.on_first(finish)


def judged(row: Json, programs: list[Json] | None, is_copy: bool) -> Json:
    """A docstring with its verdict, and with the code that decided it."""
    right = [one for one in programs or () if one["passed"]]
    result = COPIED if is_copy else TOO_LONG if programs is None else PASSED if right else FAILED
    code = {"code": (right or programs)[0]["completion"]} if programs else {}
    return {**row, "passed": bool(right), "result": result, **code}


def grade_by_hand(args: Args, grades: Path) -> None:
    """Writes the docstrings that a person has graded, and tells how often back-generation agrees."""
    rows, _, _ = read_docstrings(args)
    given = read_grades(grades)
    known = {(row["task_id"], sample_name(row)): row for row in rows}
    for task_id, number in given:
        if (task_id, number) not in known:
            raise InputError(f"{grades}: sample {number} of {task_id!r} is not in {args.samples}: is it another sheet?")
    graded = [
        {**row, "passed": given[key], "result": PASSED if given[key] else "failed: graded wrong"}
        for key, row in known.items()
        if key in given
    ]
    pairs = [(known[key]["passed"], grade) for key, grade in given.items() if "passed" in known[key]]
    if pairs:
        same = sum(one is other for one, other in pairs)
        terminal.say(f"back-generation agrees on {same} of {len(pairs)} docstrings")
    if len(graded) < len(rows):
        terminal.note(f"{len(rows) - len(graded)} of {len(rows)} docstrings have no grade and are left out")
    publish(args, graded)


def publish(args: Args, rows: list[Json]) -> None:
    """Writes the graded docstrings, and prints their pass@k."""
    assert args.out
    try:
        write_objects(args.out, rows)
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None
    summary = summarize(rows, args.out, ks=parse_ks(args.k))
    for title, table in pass_rates({"docstrings": summary}):
        if len(table) > 1:
            terminal.show(title, table)
    for name, reason in summary.get("omitted", {}).items():
        terminal.note(f"{name} is skipped: {reason}")
    terminal.say(f"{args.out}: {summary['passed']} of {len(rows)} docstrings are right. {NOTE}")


def main(args: Args) -> None:
    """The command."""
    args.check()
    parse_ks(args.k)
    if args.run:
        back_generate(args, args.run)
    elif args.grades:
        grade_by_hand(args, args.grades)
    elif args.sheet:
        rows, benchmark, prompts = read_docstrings(args)

        def item(row: Json) -> SheetItem:
            found, problem = prompts[row["task_id"]], benchmark.problems[row["task_id"]]
            code = found.code + problem.canonical_solution
            return SheetItem(row["task_id"], sample_name(row), code, found.docstring, row["completion"])

        write_sheet(args.sheet, map(item, rows))
        terminal.say(f"{args.sheet}: {len(rows)} docstrings to grade")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run(main, Args))
