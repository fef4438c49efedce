"""python data/building_blocks/generate.py --out DIR: training and held-out problems of chained building blocks."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codex_jax import cli
from codex_jax.benchmarks.building_blocks import make_problems, split_chains
from codex_jax.benchmarks.problem import write_problems
from codex_jax.errors import InputError


@dataclass(frozen=True)
class Args:
    """Writes DIR/train.jsonl and DIR/heldout.jsonl, in HumanEval's form."""

    out: Path
    seed: int = 0
    train: int = 6000  # training problems, chains of 1 to 4 blocks


def main(args: Args) -> None:
    """The command."""
    if not 1000 <= args.train <= 12_000:
        raise InputError(f"--train must be from 1000 to 12000, not {args.train}")
    train, heldout = split_chains(args.seed, args.train)
    rng = np.random.default_rng(args.seed)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, chains in (("train", train), ("heldout", heldout)):
            write_problems(args.out / f"{name}.jsonl", make_problems(chains, rng))
            print(f"{args.out}/{name}.jsonl: {len(chains)} problems")
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
