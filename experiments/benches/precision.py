"""python experiments/benches/precision.py runs/demo: perplexity and pass@k with narrower weights.

RUN is a folder written by `make demo`. Perplexity is that of the base model, per token of its validation split. pass@k
is that of the supervised model, which is sampled and scored as in the demo.
"""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from demo import NEW_TOKENS
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.config import Dtype
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.likelihood import CHUNK
from codex_jax.sampling.sampler import load_engine

BATCH = 32  # records scored together
PRECISIONS: dict[str, tuple[Dtype, bool]] = {
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
    "float32, int8 layers": ("float32", True),
    "bfloat16, int8 layers": ("bfloat16", True),
}


@dataclass(frozen=True)
class Args:
    """Prints a table of perplexity and pass@k."""

    run: tyro.conf.Positional[Path]  # a folder written by the demo
    n: int = 100  # samples per problem
    seed: int = 0


def nats_per_token(engine: Engine, path: Path) -> float:
    """The mean negative log probability of the validation split's tokens, without each record's first."""
    total = count = 0.0
    for batch in open_dataset(path).sequential("validation", BATCH):
        tokens = np.asarray(batch["tokens"], np.int32)[:, :-1]  # a record has one token more than a sequence
        rows, length = tokens.shape
        padded = np.full((BATCH, -(-length // CHUNK) * CHUNK), engine.tokenizer.eot, np.int32)
        padded[:rows, :length] = tokens
        with jax.set_mesh(engine.mesh):
            logps = np.asarray(engine.logps(engine.weights, padded))[:rows, 1:length]
        total, count = total - float(logps.sum(dtype=np.float64)), count + logps.size
    return total / count


def pass_rates(args: Args, name: str, dtype: Dtype, int8: bool) -> dict[str, Any]:
    """Samples the supervised model and returns the output of score --json."""
    problems, samples = args.run / "data/problems/heldout.jsonl", args.run / f"{name.replace(', ', '-')}.jsonl"
    flags = ["--n", str(args.n), "--temperature", "0.8", "--top-p", "0.95", "--max-new-tokens", str(NEW_TOKENS)]
    flags += ["--seed", str(args.seed), "--dtype", dtype, *(["--int8"] if int8 else []), "--out", str(samples)]
    run = ["--run", str(args.run / "supervised"), "--problems", str(problems)]
    subprocess.run([sys.executable, "-m", "codex_jax.sample", *run, *flags, "--resume"], check=True)
    score = [sys.executable, "-m", "codex_jax.score", str(samples), "--problems", str(problems), "--json"]
    done = subprocess.run([*score, "--k", f"1,10,{args.n}"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise InputError(f"cannot score {samples}: see the message above")
    return json.loads(done.stdout)


def main(args: Args) -> None:
    """The command."""
    if not (args.run / "supervised").is_dir():
        raise InputError(f"{args.run} is not a folder written by make demo")
    table = Table("weights", "perplexity", "pass@1", "pass@10", f"pass@{args.n}")
    for name, (dtype, int8) in PRECISIONS.items():
        engine, _ = load_engine(args.run / "base", dtype=dtype, int8=int8)
        perplexity = math.exp(nats_per_token(engine, args.run / "data/stdlib"))
        rates = pass_rates(args, name, dtype, int8)
        shown = [f"{100 * rates[f'pass@{k}']:.2f}%" for k in (1, 10, args.n)]
        table.add_row(name, f"{perplexity:.4f}", *shown)
    terminal.tables().print(table)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
