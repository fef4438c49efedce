"""python data/building_blocks/generate.py --out DIR: generates problems of chained building blocks."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codex_jax import cli
from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import make_problems, split_chains
from codex_jax.problems.humaneval import write_problems
from codex_jax.problems.problem import Problem


@dataclass(frozen=True)
class Args:
    """Writes DIR/train.jsonl and DIR/heldout.jsonl, in HumanEval's format."""

    out: Path
    seed: int = 0
    train: int = 12_000  # number of training problems; chains of 1 to 4 blocks


def make_splits(seed: int, train: int) -> dict[str, list[Problem]]:
    """The problems of the splits "train" and "heldout"."""
    rng = np.random.default_rng(seed)
    chains = dict(zip(("train", "heldout"), split_chains(seed, train), strict=True))
    return {name: list(make_problems(split, rng)) for name, split in chains.items()}


def main(args: Args) -> None:
    """Runs the command."""
    if not 1000 <= args.train <= 12_000:
        raise InputError(f"--train must be from 1000 to 12000, not {args.train}")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, problems in make_splits(args.seed, args.train).items():
            write_problems(args.out / f"{name}.jsonl", problems)
            print(f"{args.out}/{name}.jsonl: {len(problems)} problems")
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
