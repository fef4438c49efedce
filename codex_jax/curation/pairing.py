"""python -m codex_jax.problems pairs code|docstring SOURCE...: writes pairs to fine-tune on as JSON lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from codex_jax import terminal
from codex_jax.curation.doctests import PREFIXES, read_sources
from codex_jax.curation.finishing import contaminated
from codex_jax.curation.funnel import Funnel
from codex_jax.curation.made_problem import NotMade
from codex_jax.curation.pairs import Kind, Pair, function_pairs, is_held_out, problem_pairs
from codex_jax.curation.sampled import read_problems
from codex_jax.errors import InputError
from codex_jax.problems.load import protected_texts
from codex_jax.scoring.results import check_out
from codex_jax.storage.jsonl import write_objects
from codex_jax.text.contamination import make_index
from codex_jax.text.document import Document
from codex_jax.text.filters import licence_filter


@dataclass(frozen=True, kw_only=True)
class PairsArgs:
    """Pairs of a prompt and a completion, as {"prompt", "completion"}: python -m codex_jax.corpus jsonl:OUT."""

    kind: tyro.conf.Positional[Kind]  # code: solutions from docstrings (Codex-S); docstring: from code (Codex-D)
    # problems in HumanEval's form, FILE.jsonl; or source files, of whose functions with docstrings pairs are made:
    # dir:PATH, pypi:NAME[==VERSION], pypi:@LIST, wheel:PATH, sdist:PATH, stdlib
    sources: tyro.conf.Positional[tuple[str, ...]]
    out: Path  # pairs.jsonl; OUT_report.json gets the counts
    splits: tuple[str, ...] = ("train", "validation")  # of the problems that have a split
    heldout: Path | None = None  # a file for the problems of the other splits, to sample and score
    protect: tuple[str, ...] = ("humaneval", "building_blocks")
    """Benchmarks whose problems must not be among the functions of source files: as for the other subcommands. Files
    of problems were compared with benchmarks when they were made."""
    licenses: tuple[str, ...] = ()  # use only files with these SPDX ids, or "permissive"; by default any


def pair(args: PairsArgs) -> int:
    """Runs the subcommand. Returns 1 if there is no pair."""
    specs = [spec for spec in args.sources if spec.partition(":")[0] in PREFIXES]
    files = [Path(spec) for spec in args.sources if spec not in specs]
    if not args.sources or not args.splits:
        raise InputError("name a FILE.jsonl of problems or a source such as dir:PATH, and at least one of --splits")
    for path in (args.out, *([args.heldout] if args.heldout else [])):
        check_out(path, files)
        if not path.parent.is_dir():
            raise InputError(f"no folder {path.parent}: create it, or name another file")
    heldout = [row for path in files for row in read_problems(path).values() if is_held_out(row, args.splits)]
    if args.heldout and not heldout:
        raise InputError(f"--heldout {args.heldout}: no problem is in another split than {', '.join(args.splits)}")
    funnel, pairs = Funnel(), list[Pair]()
    seen: set[tuple[str, str]] = set()
    for outcome in _outcomes(args, files, specs):
        funnel.found += 1
        if isinstance(outcome, NotMade):
            funnel.drop(outcome.reason, outcome.name)
        elif (outcome.prompt, outcome.completion) in seen:
            funnel.drop("duplicate", outcome.name)
        else:
            seen.add((outcome.prompt, outcome.completion))
            pairs.append(outcome)
    funnel.notes |= {"kind": args.kind, "sources": [*args.sources], "protected": [*args.protect]}
    try:
        write_objects(args.out, (one.row() for one in pairs))
        if args.heldout:
            write_objects(args.heldout, heldout)
    except OSError as error:
        raise InputError(f"cannot write {args.out} or {args.heldout}: {error.strerror}") from None
    funnel.write(args.out.with_name(args.out.name + "_report.json"))
    funnel.show("functions and problems")
    repos = len({one.repo for one in pairs})
    terminal.say(f"{args.out}: {len(pairs):,} pairs of {repos:,} repositories or problems")
    if args.heldout:
        terminal.say(f"{args.heldout}: {len(heldout):,} problems")
    return int(not pairs)


def _outcomes(args: PairsArgs, files: list[Path], specs: list[str]) -> Iterator[Pair | NotMade]:
    for path in files:
        yield from problem_pairs(path, args.kind, args.splits)
    refused = licence_filter(args.licenses) if args.licenses else None
    protected = make_index(protected_texts(args.protect)) if specs else None
    for item in read_sources(specs):
        if refused and isinstance(item, Document) and refused(item):
            yield NotMade(item.id, "file_licence")
            continue
        for outcome in function_pairs(item, args.kind):
            if isinstance(outcome, Pair) and protected:
                (found,) = contaminated([outcome.prompt + outcome.completion], protected)
                yield NotMade(f"{outcome.name}: {found}", "contaminated") if found else outcome
            else:
                yield outcome
