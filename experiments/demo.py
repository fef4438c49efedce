"""The whole line in small, on a CPU: pretrain on the standard library, fine-tune on building blocks, sample, score.

Run it with `make demo`. As an experiment file it is also what both of its trainings read their settings from.
"""

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

SEQ_LEN = 288  # tokens: a chain of four blocks with its solution fits
MICROBATCH = 4  # sequences: one that fits the processor's cache is faster
NEW_TOKENS = 144  # a sample: more than the longest solution

config = TrainConfig(
    name="demo",
    model=ModelConfig(layers=4, width=192, heads=3, context=SEQ_LEN + 32, unroll=4),
    data=DataConfig(path="runs/demo/data/stdlib"),
    # So small a model bears a higher rate than the paper's; the warm-up is shortened with the run.
    optimizer=OptimizerConfig(peak_learning_rate=2e-3, warmup_steps=30),
    steps=110,
    batch_size=16,
    accumulation=16 // MICROBATCH,
    eval_batches=10,
)

ROOT = Path(__file__).resolve().parent.parent
SECONDS = "seconds.json"  # also what marks a folder as one that an earlier demo wrote


@dataclass(frozen=True)
class Args:
    """Runs the demo: every stage is a public command, shown before it runs."""

    out: Path = Path("runs/demo")  # folder for data, runs, samples and the report
    seed: int = 0
    steps: int = config.steps  # of pretraining
    supervised_steps: int = 800  # of fine-tuning
    supervised_batch_size: int = 8  # smaller and more of them: it learns more from as many tokens
    # The paper takes a tenth of pretraining's rate; after so short a pretraining there is more to learn.
    supervised_learning_rate: float = 2e-3
    n: int = 100  # samples a held-out problem


class StageFailedError(Exception):
    """A stage's command ended with another exit code than 0."""

    def __init__(self, command: str, code: int) -> None:
        """code: what the driver ends with too."""
        super().__init__(f"exit code {code} from: {command}")
        self.code = code


class Line:
    """Runs stages one after another and keeps their seconds in OUT/seconds.json."""

    def __init__(self, out: Path) -> None:
        """out: the demo's folder."""
        self.out = out
        self.seconds: dict[str, float] = {}

    def run(self, stage: str, *command: object) -> None:
        """Prints and runs `python COMMAND...` in the repository's root."""
        words = [str(word) for word in command]
        shown = shlex.join(["python", *words])
        print(f"\n[{stage}] {shown}", flush=True)
        began = time.monotonic()
        code = subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode
        if code:
            raise StageFailedError(shown, code if code > 0 else 128 - code)
        self.seconds[stage] = round(time.monotonic() - began, 2)
        (self.out / SECONDS).write_text(json.dumps(self.seconds, indent=2) + "\n")


def prepare(folder: Path) -> Path:
    """An empty OUT, as it is named from the root; what an earlier demo left there is removed."""
    folder = folder.resolve()
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / SECONDS).is_file():
            raise InputError(f"{folder} holds other files: choose another --out")
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SECONDS).write_text("{}\n")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from None
    return folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder


def stages(args: Args, line: Line, out: Path) -> None:
    """The line, from sources to report."""
    python_data, blocks_data, problems = out / "data/stdlib", out / "data/building_blocks", out / "data/problems"
    base, supervised = out / "base", out / "supervised"
    heldout = problems / "heldout.jsonl"
    seed = ("--seed", args.seed)

    # 1. Pretraining on source files.
    corpus = ("-m", "codex_jax.corpus")
    line.run("corpus", *corpus, "stdlib", "--out", python_data, "--tokenizer", "train:1024", "--seq-len", SEQ_LEN)
    train = ("-m", "codex_jax.train", "experiments/demo.py")
    line.run("pretrain", *train, "--run-dir", base, "--data.path", python_data, "--steps", args.steps, *seed)

    # 2. Fine-tuning on problems with their solutions.
    line.run("problems", "data/building_blocks/generate.py", "--out", problems, *seed)
    source = f"problems:{problems / 'train.jsonl'}"
    tokenizer = base / "tokenizer"
    line.run(
        "fine-tuning corpus", *corpus, source, "--out", blocks_data, "--tokenizer", tokenizer, "--seq-len", SEQ_LEN
    )
    tuning = ("--steps", args.supervised_steps, "--optimizer.peak-learning-rate", args.supervised_learning_rate)
    batches = ("--batch-size", args.supervised_batch_size, "--accumulation", args.supervised_batch_size // MICROBATCH)
    origin = ("--init-from", base, "--data.path", blocks_data)
    line.run("fine-tune", *train, "--run-dir", supervised, *origin, *tuning, *batches, *seed)

    # 3. Samples of held-out problems, and their verdicts.
    drawing = ("--n", args.n, "--temperature", 0.8, "--top-p", 0.95, "--max-new-tokens", NEW_TOKENS)
    ks = ",".join(str(k) for k in (1, 10, 100) if k <= args.n)
    results = []
    for run in (base, supervised):
        samples = out / f"{run.name}.jsonl"
        target = ("--problems", heldout, *drawing, *seed, "--out", samples)
        line.run(f"sample {run.name}", "-m", "codex_jax.sample", "--run", run, *target)
        line.run(f"score {run.name}", "-m", "codex_jax.score", samples, "--problems", heldout, "--k", ks)
        results.append(f"{run.name}={samples}_results.jsonl")

    # 4. Tables and figures; OUT/base is named for its validation bits per byte.
    extra = ("--problems", heldout, "--seconds", out / SECONDS, "--out", out)
    line.run("report", "-m", "codex_jax.report", *results, base, *extra)


def main(args: Args) -> int:
    """The driver."""
    out = prepare(args.out)
    line = Line(ROOT / out)
    try:
        stages(args, line, out)
    except StageFailedError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return failure.code
    print(f"\n{sum(line.seconds.values()):.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
