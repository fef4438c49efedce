"""python -m codex_jax.rank samples.jsonl --problems P --run CODEX_D --out ranked.jsonl: ranks samples.

With --run, each sample gets back_translation_logp: the log probability that the model writes the problem's docstring
after the sample. With --by, only the best samples of each problem are written.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from codex_jax import cli, terminal
from codex_jax.config import Dtype, HostsConfig, MeshConfig
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.problems.load import Benchmark, load_problems
from codex_jax.sampling.back_translation import Translation, back_translate, translations
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import check_seed
from codex_jax.sampling.sampler import COPIES, load_engine
from codex_jax.scoring.bleu import bleu
from codex_jax.scoring.ranking import By, has_ranking, in_order
from codex_jax.scoring.results import check_out, delete_journal, journal_path
from codex_jax.scoring.samples import digest, read_samples
from codex_jax.storage.journal import Journal, open_journal
from codex_jax.storage.jsonl import Json, write_objects

FIELD = "back_translation_logp"


@dataclass(frozen=True, kw_only=True)
class Args:
    """Ranks samples, or results of samples; an interrupted command resumes."""

    samples: tyro.conf.Positional[Path]  # samples.jsonl, or the results that score wrote for it
    problems: str  # the problems of the samples: humaneval, building_blocks, or a FILE in HumanEval's form
    out: Path  # ranked.jsonl
    run: Path | None = None  # a run that was trained to write docstrings: adds back_translation_logp (nats)
    skip_long: bool = False  # leave out samples that are too long for the model
    bleu: bool = False  # add bleu, against the reference solution, from 0 to 100 (needs the extra: bleu)
    by: By | None = None  # write only the best samples of each problem by this ranking; oracle needs results
    best: int = 1  # with --by: samples per problem
    seed: int = 0  # of --by random
    batch: int = 8  # samples that each copy of the model scores together
    dtype: Dtype | None = None  # dtype of products and weights; default: the run's compute dtype
    int8: bool = False  # keep the layers' weights in int8, with a scale per output
    mesh: MeshConfig = COPIES  # copies of the model, and the devices that each is split over
    hosts: HostsConfig = field(default_factory=HostsConfig)

    def check(self) -> None:
        """InputError for flags out of range, and if the samples would be replaced."""
        if not (self.run or self.by or self.bleu):
            raise InputError("give --run CODEX_D, --bleu or --by mean_logp|sum_logp|back_translation|random|oracle")
        if self.best < 1 or self.batch < 1:
            raise InputError("--best and --batch must be at least 1")
        check_seed(self.seed)
        check_out(self.out, [self.samples, Path(self.problems)])
        if self.out.exists() and self.out.stat().st_size:
            raise InputError(f"{self.out} exists already: delete it, or choose another --out")
        if not self.out.parent.is_dir():
            raise InputError(f"no folder {self.out.parent}: create it, or give another --out")


def add_back_translations(args: Args, run: Path, rows: list[Json], benchmark: Benchmark) -> list[Json]:
    """The samples with back_translation_logp. Equal ones are scored once. Of several hosts, the first writes."""
    engine, origin = load_engine(run, args.mesh, args.dtype, args.int8)
    each = translations(rows, benchmark, engine, args.skip_long)
    pairs = list(dict.fromkeys(pair for pair in each if pair))
    model = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
    header = {"samples": digest(rows), "problems": benchmark.digest, "model": model}
    logps = np.full(len(pairs), np.nan)
    with contextlib.ExitStack() as stack:
        journals: list[Journal] = []  # empty on all hosts but the first

        def open_first() -> None:
            journals.append(stack.enter_context(open_journal(journal_path(args.out), header)))
            read_logps(journals[0], logps)

        hosts.on_first(open_first)
        logps = hosts.of_first(logps)
        score_missing(engine, pairs, logps, journals, args.batch)
    by_pair = dict(zip(pairs, logps.tolist(), strict=True))
    return [{**row, FIELD: by_pair[pair]} for row, pair in zip(rows, each, strict=True) if pair]


def read_logps(journal: Journal, logps: np.ndarray) -> None:
    """Fills in what an earlier command has scored."""
    for number, row in enumerate(journal.rows, 2):
        match row:
            case {"pair": int(index), "logp": float(logp)} if 0 <= index < len(logps):
                logps[index] = logp
            case _:
                raise InputError(f"{journal.path} line {number} is broken: delete the file to start again")


def score_missing(
    engine: Engine, pairs: Sequence[Translation], logps: np.ndarray, journals: Sequence[Journal], batch: int
) -> None:
    """Scores the pairs whose logps are not a number, in place."""
    todo = np.flatnonzero(np.isnan(logps)).tolist()
    done = len(pairs) - len(todo)
    with terminal.progress("rank", len(pairs), shown=bool(journals), done=done) as report:
        for number, logp in back_translate(engine, [pairs[n] for n in todo], batch):
            logps[todo[number]] = logp
            for journal in journals:
                journal.append({"pair": todo[number], "logp": logp})
            report()


def best_samples(rows: list[Json], by: By, best: int, seed: int) -> list[Json]:
    """The best samples of each problem, in the order of the problems' first samples."""
    by_task: dict[str, list[Json]] = {}
    for row in rows:
        by_task.setdefault(row["task_id"], []).append(row)
    return [row for task in by_task.values() for row in in_order(task, by, seed)[:best]]


def main(args: Args) -> None:
    """The command."""
    args.check()
    benchmark = load_problems(args.problems)
    rows = read_samples(args.samples, benchmark, skip_bad=False)
    if args.by and not (args.by == "back_translation" and args.run):
        best_samples(rows, args.by, args.best, args.seed)  # reports a missing field before work begins
    if args.bleu:
        bleu("", "")
    if args.run:
        hosts.join(args.hosts)
        given, rows = len(rows), add_back_translations(args, args.run, rows, benchmark)
        if len(rows) < given:
            terminal.note(f"{given - len(rows)} of {given} samples are too long for {args.run} and are left out")
    for row in rows if args.bleu else ():
        problem = benchmark.problems[row["task_id"]]
        row["bleu"] = bleu(problem.program(row).removeprefix(problem.prompt), problem.canonical_solution)
    kept = best_samples(rows, args.by, args.best, args.seed) if args.by else rows
    hosts.on_first(lambda: publish(args, kept, rows))


def publish(args: Args, kept: list[Json], rows: list[Json]) -> None:
    """Writes the samples and deletes the journal."""
    try:
        write_objects(args.out, kept)
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None
    delete_journal(args.out)
    passed = f", {sum(row['passed'] for row in kept)} of which pass" if has_ranking(kept, "oracle") else ""
    terminal.say(f"{args.out}: {len(kept):,} of {len(rows):,} samples{passed}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run(main, Args))
