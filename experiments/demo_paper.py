"""The second half of the paper on a small scale: Codex-D, docstrings, and ranking by back-translation.

`make demo-paper` runs it after `make demo`, whose runs and samples it takes.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from demo import MICROBATCH, NEW_TOKENS, ROOT, SECONDS, SEQ_LEN, StageFailedError, Stages, prepare

from codex_jax import cli
from codex_jax.errors import InputError


@dataclass(frozen=True)
class Args:
    """Trains Codex-D from the demo's base model, ranks the demo's samples, and grades sampled docstrings."""

    demo: Path = Path("runs/demo")  # a folder that experiments/demo.py wrote
    out: Path = Path("runs/demo_paper")  # folder for data, run, samples and the report; overwritten
    seed: int = 0
    steps: int = 300  # of Codex-D, at most
    n: int = 10  # docstrings per problem


def run_stages(args: Args, stages: Stages, out: Path) -> None:
    """Runs all stages."""
    demo = args.demo
    base, supervised, heldout = demo / "base", demo / "supervised", demo / "data/problems/heldout.jsonl"
    pairs, data, run = out / "data/pairs.jsonl", out / "data/docstrings", out / "codex_d"
    (ROOT / out / "data").mkdir(exist_ok=True)
    seed = ("--seed", args.seed)

    # 1. Codex-D: from code to docstrings. After so little pretraining, its whole rate works better than a tenth.
    train_problems = demo / "data/problems/train.jsonl"
    stages.run("pairs", "-m", "codex_jax.problems", "pairs", "docstring", train_problems, "--out", pairs)
    words = ("--out", data, "--tokenizer", base / "tokenizer", "--seq-len", SEQ_LEN)
    stages.run("corpus of pairs", "-m", "codex_jax.corpus", f"jsonl:{pairs}", *words)
    settings = ("--init-from", base, "--optimizer.init-fraction", 1, "--optimizer.warmup-steps", 30)
    settings += ("--batch-size", 2 * MICROBATCH, "--accumulation", 2, "--model.unroll", 4, "--steps", args.steps)
    settings += ("--eval-every", 50, "--eval-batches", 20, *seed)
    train = ("-m", "codex_jax.train", "experiments/codex_d.py", "--run-dir", run, "--data.path", data)
    stages.run("train Codex-D", *train, *settings)

    # 2. Rankings of the supervised model's samples.
    results, ranked = demo / "supervised.jsonl_results.jsonl", out / "ranked.jsonl"
    rank = ("-m", "codex_jax.rank", results, "--problems", heldout, "--run", run, "--batch", 16, "--skip-long")
    stages.run("rank", *rank, "--out", ranked)

    # 3. Docstrings for the held-out problems, graded by the code that the supervised model writes from them.
    docstrings, graded = out / "docstrings.jsonl", out / "graded.jsonl"
    tasks = ("--problems", f"docstrings:{heldout}", "--n", args.n, "--temperature", 0.8)
    words = (*tasks, "--max-new-tokens", NEW_TOKENS, *seed, "--out", docstrings)
    stages.run("sample docstrings", "-m", "codex_jax.sample", "--run", run, *words)
    words = ("--problems", heldout, "--run", supervised, "--max-new-tokens", NEW_TOKENS, *seed, "--out", graded)
    stages.run("grade docstrings", "-m", "codex_jax.grade", docstrings, *words)

    # 4. Tables and figures.
    words = (f"supervised={ranked}", f"docstrings={graded}", "--seconds", out / SECONDS, "--out", out)
    stages.run("report", "-m", "codex_jax.report", *words)


def main(args: Args) -> int:
    """The command."""
    if not (ROOT / args.demo / "supervised.jsonl_results.jsonl").is_file():
        raise InputError(f"{args.demo} has no results of the demo: run `make demo` first, or give --demo")
    out = prepare(args.out)
    stages = Stages(ROOT / out)
    try:
        run_stages(args, stages, out)
    except StageFailedError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return failure.code
    print(f"\n{sum(stages.seconds.values()):.0f} s in total")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
