"""The whole pipeline on a small scale: pretrain, fine-tune, sample, score and report, in minutes on a CPU.

`make demo` runs it. This file is also the experiment file of both training runs.
"""

import itertools
import json
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from codex_jax import cli
from codex_jax.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.errors import InputError

SEQ_LEN = 288  # tokens: enough for a chain of four blocks with its solution
MICROBATCH = 4  # sequences: steps are faster with microbatches that fit the processor's cache
NEW_TOKENS = 144  # per sample: more than the longest solution has

config = TrainConfig(
    name="demo",
    model=ModelConfig(layers=4, width=192, heads=3, context=SEQ_LEN + 32, unroll=4),
    data=DataConfig(path="runs/demo/data/stdlib"),
    # Small models train well with a higher learning rate than the paper's. The run is short, and so is its warm-up.
    optimizer=OptimizerConfig(peak_learning_rate=2e-3, warmup_steps=30),
    steps=110,
    batch_size=16,
    accumulation=16 // MICROBATCH,
    eval_batches=10,
)

ROOT = Path(__file__).resolve().parent.parent
SECONDS = "seconds.json"  # in OUT: the time of each stage; a folder without it was not written by the demo
# What a demo writes in OUT, and what the next one deletes.
OWN = ("data", "base", "supervised", "base.jsonl*", "supervised.jsonl*", "report.md", "results.json", SECONDS)
OWN += ("headline.*", "rankings.*", "blocks.*", "best_of.*")
OWN += ("codex_d", "ranked.jsonl*", "docstrings.jsonl*", "graded.jsonl*")  # of demo_paper.py


@dataclass(frozen=True)
class Args:
    """Runs the demo. Each stage is a public command, which is printed before it runs."""

    out: Path = Path("runs/demo")  # folder for data, runs, samples and the report; an earlier demo is overwritten
    seed: int = 0
    steps: int = config.steps  # pretraining steps
    supervised_steps: int = 800  # fine-tuning steps
    supervised_batch_size: int = 8  # sequences; for the same number of tokens, smaller batches work better
    # The paper uses a tenth of the pretraining rate. After so little pretraining, a higher rate works better.
    supervised_learning_rate: float = 2e-3
    n: int = 100  # samples per held-out problem


class StageFailedError(Exception):
    """The command of a stage failed."""

    def __init__(self, command: str, code: int) -> None:
        """code: the exit code of the command, and of the demo."""
        super().__init__(f"exit code {code} from: {command}")
        self.code = code


class Stages:
    """Runs one command after another, and writes how many seconds each took to OUT/seconds.json."""

    def __init__(self, out: Path) -> None:
        """out: the demo's folder."""
        self.out = out
        self.seconds: dict[str, float] = {}

    def run(self, stage: str, *command: object) -> None:
        """Prints and runs `python COMMAND...` in the root of the repository."""
        words = [str(word) for word in command]
        text = shlex.join(["python", *words])
        print(f"\n[{stage}] {text}", flush=True)
        began = time.monotonic()
        code = subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode
        if code:
            raise StageFailedError(text, code if code > 0 else 128 - code)
        self.seconds[stage] = round(time.monotonic() - began, 2)
        (self.out / SECONDS).write_text(json.dumps(self.seconds, indent=2) + "\n")


def prepare(folder: Path) -> Path:
    """Creates OUT, or deletes an earlier demo's files in it; returns its path relative to the repository's root."""
    folder = folder.resolve()
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / SECONDS).is_file():
            raise InputError(f"{folder} holds other files: choose another --out")
        for path in itertools.chain.from_iterable(folder.glob(pattern) for pattern in OWN):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SECONDS).write_text("{}\n")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from None
    return folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder


def run_stages(args: Args, stages: Stages, out: Path) -> None:
    """Runs all stages, from source files to the report."""
    python_data, blocks_data, problems = out / "data/stdlib", out / "data/building_blocks", out / "data/problems"
    base, supervised = out / "base", out / "supervised"
    heldout = problems / "heldout.jsonl"
    seed = ("--seed", args.seed)

    # 1. Pretraining on source files.
    corpus = ("-m", "codex_jax.corpus")
    stages.run("corpus", *corpus, "stdlib", "--out", python_data, "--tokenizer", "train:1024", "--seq-len", SEQ_LEN)
    train = ("-m", "codex_jax.train", "experiments/demo.py")
    stages.run("pretrain", *train, "--run-dir", base, "--data.path", python_data, "--steps", args.steps, *seed)

    # 2. Fine-tuning on problems with their solutions.
    stages.run("problems", "data/building_blocks/generate.py", "--out", problems, *seed)
    source = f"problems:{problems / 'train.jsonl'}"
    tokenizer = base / "tokenizer"
    stages.run(
        "fine-tuning corpus", *corpus, source, "--out", blocks_data, "--tokenizer", tokenizer, "--seq-len", SEQ_LEN
    )
    tuning = ("--steps", args.supervised_steps, "--optimizer.peak-learning-rate", args.supervised_learning_rate)
    batches = ("--batch-size", args.supervised_batch_size, "--accumulation", args.supervised_batch_size // MICROBATCH)
    origin = ("--init-from", base, "--data.path", blocks_data)
    stages.run("fine-tune", *train, "--run-dir", supervised, *origin, *tuning, *batches, *seed)

    # 3. Sampling and scoring held-out problems.
    sampling = ("--n", args.n, "--temperature", 0.8, "--top-p", 0.95, "--max-new-tokens", NEW_TOKENS)
    ks = ",".join(str(k) for k in (1, 10, 100) if k <= args.n)
    results = []
    for run in (base, supervised):
        samples = out / f"{run.name}.jsonl"
        target = ("--problems", heldout, *sampling, *seed, "--out", samples)
        stages.run(f"sample {run.name}", "-m", "codex_jax.sample", "--run", run, *target)
        stages.run(f"score {run.name}", "-m", "codex_jax.score", samples, "--problems", heldout, "--k", ks)
        results.append(f"{run.name}={samples}_results.jsonl")

    # 4. Tables and figures; the run folder OUT/base is an input for its validation bits per byte.
    extra = ("--problems", heldout, "--seconds", out / SECONDS, "--out", out)
    stages.run("report", "-m", "codex_jax.report", *results, base, *extra)


def main(args: Args) -> int:
    """The command."""
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
