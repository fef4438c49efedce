"""Tries faults on real training processes, and prints what happened and what was lost: a table in Markdown.

python experiments/benches/bench_faults.py [--out FILE.md] [--only TEXT]. It takes about five minutes on two cores.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from codex_jax import cli
from codex_jax.runs.folder import finished_steps
from codex_jax.runs.history import read_history
from codex_jax.storage.jsonl import Json

STEPS, EVERY = 60, 5
EXPERIMENT = f"""
from codex_jax.config import *
config = TrainConfig(
    name="x", model=ModelConfig(layers=2, width=64, heads=2, context=64), data=DataConfig("data"),
    optimizer=OptimizerConfig(peak_learning_rate=3e-3, warmup_steps=5), steps={STEPS}, batch_size=8, log_every=1,
    checkpoint_every={EVERY}, keep_checkpoints=4,
)
"""
TIMES = ("tokens_per_second", "step_seconds", "data_seconds", "goodput", "mfu", "memory_gib")
FULL = """
mkdir -p full && mount -t tmpfs -o size={size}k none full || exit 77
{python} -m codex_jax.train x.py --run-dir full/run; code=$?
cp -r full/run {name}; exit $code
"""


@dataclass(frozen=True)
class Args:
    """Tries every fault."""

    out: Path | None = None  # Markdown file to write; default: stdout
    only: str = ""  # only faults with this text in their name


class Bench:
    """A folder with data, an experiment and a run that was left alone."""

    def __init__(self, root: Path) -> None:
        """root: an empty folder."""
        self.root = root
        cache = str(root / "compiled")
        self.environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache}
        self.environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        for n in range(60):
            (root / "src" / f"r{n}").mkdir(parents=True)
            (root / "src" / f"r{n}" / "m.py").write_text(f"def function_{n}(x):\n    return x * {n} + {n}\n# {n}\n")
        (root / "x.py").write_text(EXPERIMENT)
        flags = ("--tokenizer", "train:340", "--seq-len", "64", "--no-near-dedupe")
        for name in ("data", "other"):
            seed = ("--seed", "0" if name == "data" else "7")
            self.check(self.run("corpus", "dir:src", "--out", name, *flags, *seed))
        self.check(self.run("train", "x.py", "--run-dir", "whole"))

    def check(self, done: tuple[int, str]) -> None:
        """The preparation has succeeded."""
        assert done[0] == 0, done[1]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begins python -m codex_jax.WORDS."""
        return subprocess.Popen(
            [sys.executable, "-m", f"codex_jax.{words[0]}", *words[1:]],
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """(exit code, all output)."""
        process = self.start(*words)
        output, _ = process.communicate()
        return process.returncode, output

    def copy(self, name: str) -> Path:
        """A copy of the run that was left alone, without its last checkpoint."""
        run = self.root / name
        shutil.copytree(self.root / "whole", run)
        for step in finished_steps(run):
            if step > STEPS - EVERY:
                shutil.rmtree(run / "checkpoints" / str(step))
        return run

    def digests(self, run: Path) -> Json:
        """The digests of the last state."""
        about = json.loads((run / "checkpoints" / str(STEPS) / "_CHECKPOINT_METADATA").read_text())
        return about["custom_metadata"]["digests"]

    def rows(self, run: Path) -> list[Json]:
        """The lines of metrics that do not depend on the clock."""
        lines = (run / "metrics.jsonl").read_text().splitlines()
        rows = (
            {k: v for k, v in json.loads(line).items() if k not in TIMES and not k.startswith("total_seconds/")}
            for line in lines
        )
        return sorted(rows, key=str)

    def lost(self, run: Path) -> str:
        """What the finished run lacks, compared with the one that was left alone."""
        try:
            if self.digests(run) != self.digests(self.root / "whole"):
                return "OTHER PARAMETERS"
            return "nothing" if self.rows(run) == self.rows(self.root / "whole") else "LINES OF METRICS"
        except OSError as error:
            return f"THE RUN ({error})"

    def resumed(self, name: str, *flags: str) -> tuple[int, str, str]:
        """Goes on with a run to its end: (exit code, output, what was lost)."""
        code, output = self.run("train", "--resume", name, *flags)
        return code, output, self.lost(self.root / name) if code == 0 else "THE RUN DID NOT GO ON"

    def stopped(self, name: str, numbers: list[signal.Signals], when: Callable[[Path], bool]) -> tuple[int, str, str]:
        """Sends signals to a process when a condition holds, and resumes the run."""
        process, run = self.start("train", "x.py", "--run-dir", name), self.root / name
        while process.poll() is None and not when(run):
            time.sleep(0.001)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05 * (len(numbers) > 1))
        output, _ = process.communicate()
        more = ("--resume", name) if (run / "config.json").exists() else ("x.py", "--run-dir", name)
        code, then = self.run("train", *more)
        lost = self.lost(run) if code == 0 else f"THE RUN DID NOT GO ON: {then}"
        return process.returncode, output, lost


def has_steps(count: int) -> Callable[[Path], bool]:
    """Whether the run has logged so many lines."""
    return lambda run: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") >= count


def is_saving(run: Path) -> bool:
    """Whether a checkpoint is being written."""
    return bool([*(run / "checkpoints").glob("*-tmp")])


def is_begun(run: Path) -> bool:
    """Whether there is a run folder: the first step is compiled then."""
    return bool(read_history(run))


def largest(folder: Path) -> Path:
    """The largest file below a folder."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    """Changes the bytes in the middle of a file."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(255 - value for value in data[middle : middle + 8])
    path.write_bytes(data)


NEWEST = f"checkpoints/{STEPS - EVERY}"
CHANGES: dict[str, Callable[[Path], object]] = {
    "newest checkpoint: a file cut short": lambda run: os.truncate(largest(run / NEWEST / "params"), 99),
    "newest checkpoint: 8 bytes changed": lambda run: flip(largest(run / NEWEST / "params")),
    "newest checkpoint: all files empty": lambda run: [
        path.write_bytes(b"") for path in (run / NEWEST).rglob("*") if path.is_file()
    ],
    "newest checkpoint: parameters deleted": lambda run: shutil.rmtree(run / NEWEST / "params"),
    "newest checkpoint: metadata deleted": lambda run: (run / NEWEST / "_CHECKPOINT_METADATA").unlink(),
    "two newest checkpoints damaged": lambda run: [
        shutil.rmtree(run / "checkpoints" / str(step) / "rest") for step in finished_steps(run)[-2:]
    ],
    "metrics.jsonl: last line cut": lambda run: os.truncate(
        run / "metrics.jsonl", (run / "metrics.jsonl").stat().st_size - 7
    ),
    "history.jsonl: last line cut": lambda run: os.truncate(
        run / "history.jsonl", (run / "history.jsonl").stat().st_size - 7
    ),
    "TensorBoard's files deleted": lambda run: shutil.rmtree(run / "events"),
}
REFUSED: dict[str, tuple[str, ...]] = {
    "--resume with another batch size": ("train", "--resume", "run", "--batch-size", "4"),
    "--resume with another seed": ("train", "--resume", "run", "--seed", "3"),
    "--resume with other records": ("train", "--resume", "run", "--data.path", "other"),
    "--resume with another model": ("train", "--resume", "run", "--model.width", "32"),
    "--resume RUN@STEP without such a step": ("train", "--resume", "run@7"),
    "a new run in the folder of another": ("train", "x.py", "--run-dir", "run"),
    "a rate that is not a number": ("train", "x.py", "--run-dir", "no", "--optimizer.peak-learning-rate", "nan"),
    "clip_norm 0": ("train", "x.py", "--run-dir", "no", "--optimizer.clip-norm", "0"),
    "beta 2": ("train", "x.py", "--run-dir", "no", "--optimizer.beta1", "2"),
    "negative warm-up": ("train", "x.py", "--run-dir", "no", "--optimizer.warmup-steps", "-5"),
    "seed -1": ("train", "x.py", "--run-dir", "no", "--seed", "-1"),
    "experiment with a syntax error": ("train", "syntax.py"),
    "experiment with a missing import": ("train", "missing.py"),
    "experiment with an unknown setting": ("train", "unknown.py"),
    "no validation documents": ("train", "x.py", "--run-dir", "no", "--data.validation-split", "valid"),
    "a model larger than the memory": (
        "train",
        "x.py",
        "--run-dir",
        "no",
        "--model.layers",
        "96",
        "--model.width",
        "12288",
    ),
    "--run-dir is a file": ("train", "x.py", "--run-dir", "x.py"),
    "sample --out is a folder": ("sample", "--run", "run", "--problems", "p.jsonl", "--out", "src"),
    "sample --out holds samples": ("sample", "--run", "run", "--problems", "p.jsonl", "--out", "s.jsonl"),
    "sample --run RUN@STEP without such a step": ("sample", "--run", "run@7", "--prompt", "x"),
}


def faults(bench: Bench) -> dict[str, Callable[[str], tuple[int, str, str]]]:
    """Name -> a function of a folder's name -> (exit code, output, what was lost)."""
    kill, term, interrupt = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
    signals = {
        "kill -9 between steps": ([kill], has_steps(23)),
        "kill -9 while a checkpoint is saved": ([kill], is_saving),
        "kill -9 before the first step": ([kill], is_begun),
        "SIGTERM between steps": ([term], has_steps(23)),
        "SIGTERM while a checkpoint is saved": ([term], is_saving),
        "SIGTERM before the first step": ([term], is_begun),
        "SIGINT between steps": ([interrupt], has_steps(23)),
        "SIGTERM twice": ([term, term], has_steps(23)),
    }
    found: dict[str, Callable[[str], tuple[int, str, str]]] = {}
    for fault, (numbers, when) in signals.items():
        found[fault] = lambda name, numbers=numbers, when=when: bench.stopped(name, numbers, when)

    def changed(name: str, change: Callable[[Path], object]) -> tuple[int, str, str]:
        change(bench.copy(name))
        return bench.resumed(name)

    def refused(words: tuple[str, ...]) -> tuple[int, str, str]:
        before = sorted(path.name for path in bench.root.iterdir())
        code, output = bench.run(*words)
        after = sorted(path.name for path in bench.root.iterdir())
        return code, output, "nothing" if before == after else "FILES WERE WRITTEN"

    def in_use(name: str) -> tuple[int, str, str]:
        first = bench.start("train", "x.py", "--run-dir", name)
        while first.poll() is None and not is_begun(bench.root / name):
            time.sleep(0.001)
        code, output = bench.run("train", "--resume", name)
        first.communicate()
        return code, output, bench.lost(bench.root / name)

    def full(name: str) -> tuple[int, str, str]:
        checkpoint = bench.root / "whole" / "checkpoints" / str(STEPS)
        size = sum(path.stat().st_size for path in checkpoint.rglob("*")) / 1024
        script = FULL.format(size=int(2.6 * size), python=sys.executable, name=name)
        command = ["unshare", "-rm", "sh", "-c", script]
        done = subprocess.run(
            command, cwd=bench.root, env=bench.environment, capture_output=True, text=True, check=False
        )
        first = done.stderr.strip().splitlines()
        code, _, lost = bench.resumed(name)
        return done.returncode, first[0] if first else "", lost if code == 0 else "THE RUN DID NOT GO ON"

    def diverged(name: str) -> tuple[int, str, str]:
        code, output = bench.run("train", "x.py", "--run-dir", name, "--optimizer.peak-learning-rate", "1e29")
        saved = finished_steps(bench.root / name)
        return code, output, f"nothing: no checkpoint with such numbers ({len(saved)} saved)"

    for fault, change in CHANGES.items():
        found[fault] = lambda name, change=change: changed(name, change)
    found |= {
        "a second process in the run folder": in_use,
        "the disk is full": full,
        "the loss is not finite": diverged,
    }
    for fault, words in REFUSED.items():
        found[fault] = lambda name, words=words: refused(words)
    return found


def main(args: Args) -> int:
    """The command."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        shutil.copytree(bench.root / "whole", bench.root / "run")
        (bench.root / "syntax.py").write_text("config = TrainConfig(\n")
        (bench.root / "missing.py").write_text("import no_such_module\n")
        (bench.root / "unknown.py").write_text(
            "from codex_jax.config import TrainConfig\nconfig = TrainConfig(depth=3)\n"
        )
        (bench.root / "s.jsonl").write_text('{"task_id": "a"}\n')
        problem = {"task_id": "a", "prompt": "x", "entry_point": "f", "canonical_solution": "", "test": "pass"}
        (bench.root / "p.jsonl").write_text(json.dumps(problem) + "\n")
        lines = ["| fault | exit code | last line | lost |", "|---|---|---|---|"]
        bad = 0
        for number, (fault, attempt) in enumerate(faults(bench).items()):
            if args.only not in fault:
                continue
            code, output, lost = attempt(f"fault{number}")
            last = (output.strip().splitlines() or [""])[-1]
            bad += not lost.startswith("nothing") or "Traceback" in output
            lines.append(f"| {fault} | {code} | {last.replace('|', '/')[:230]} | {lost} |")
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    if args.out:
        args.out.write_text(text)
    else:
        print(text)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
