"""Goodput of a run that is preempted, the estimate of the time left against the truth, and the cost of saves.

python experiments/benches/bench_goodput.py [--steps 400] [--preemptions 5]. Prints one JSON object. Run it on an idle
machine: it measures time.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from codex_jax import cli
from codex_jax.runs.history import read_history
from codex_jax.storage.jsonl import Json

EXPERIMENT = """
from codex_jax.config import *
config = TrainConfig(
    name="x", model=ModelConfig(layers=4, width=128, heads=4, context=128, unroll=4), data=DataConfig("data"),
    optimizer=OptimizerConfig(warmup_steps=5), batch_size=16, log_every=1, eval_every=100, eval_batches=2,
)
"""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Args:
    """Trains a small model: once alone, once with preemptions, once with many saves and once with none."""

    steps: int = 400
    preemptions: int = 5


class Runs:
    """A folder with data and an experiment."""

    def __init__(self, root: Path, steps: int) -> None:
        """root: an empty folder."""
        self.root, self.steps = root, steps
        for n in range(60):
            (root / "src" / f"r{n}").mkdir(parents=True)
            text = "".join(f"def function_{n}_{k}(x):\n    return x * {n} + {k}\n" for k in range(20))
            (root / "src" / f"r{n}" / "m.py").write_text(text)
        (root / "x.py").write_text(EXPERIMENT)
        flags = ("--tokenizer", "train:340", "--seq-len", "128", "--no-near-dedupe")
        subprocess.run(
            [sys.executable, "-m", "codex_jax.corpus", "dir:src", "--out", "data", *flags], cwd=root, check=True,
            capture_output=True,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begins to train."""
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(self.root / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        command = [sys.executable, "-m", "codex_jax.train", *words, "--steps", str(self.steps)]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**os.environ, **cache},
            text=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def whole(self, name: str, *flags: str) -> list[tuple[float, str]]:
        """Trains to the end: (time, line) of every line on stderr."""
        process = self.start("x.py", "--run-dir", name, *flags)
        lines = [(time.monotonic(), line) for line in process.stderr or ()]
        assert process.wait() == 0, lines
        return lines

    def preempted(self, name: str, count: int) -> float:
        """Trains with `count` SIGTERMs at equal distances: the seconds from the first start to the end."""
        began, words = time.monotonic(), ("x.py", "--run-dir", name)
        for number in range(count + 1):
            process = self.start(*words)
            words = ("--resume", name)
            at = self.steps * (number + 1) // (count + 1)
            while process.poll() is None and number < count and self.logged(name) < at:
                time.sleep(0.01)
            if number < count:
                process.send_signal(signal.SIGTERM)
            _, error = process.communicate()
            assert process.returncode == 0, error
        return time.monotonic() - began

    def logged(self, name: str) -> int:
        """The lines of metrics."""
        path = self.root / name / "metrics.jsonl"
        return path.read_text().count("\n") if path.exists() else 0

    def phases(self, name: str) -> Json:
        """The seconds of each phase, over all processes of a run."""
        total: Json = {}
        for row in read_history(self.root / name):
            for phase, seconds in row.get("seconds", {}).items():
                total[phase] = round(total.get(phase, 0.0) + seconds, 2)
        return total


def estimates(lines: list[tuple[float, str]], steps: int) -> Json:
    """{percent of the run: {"estimate": seconds left as shown, "truth": seconds}} at about 10, 50 and 90 percent."""
    end, found = lines[-1][0], {}
    for at, line in lines:
        match = re.search(rf"x (\d+)/{steps} .* left (\S+)", line)
        if match and match[2] != "?":
            shown = sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", match[2]))
            found[100 * int(match[1]) / steps] = {"estimate": shown, "truth": round(end - at, 1)}
    nearest = {min(found, key=lambda percent, wanted=wanted: abs(percent - wanted)) for wanted in (10, 50, 90)}
    return {f"{percent:.0f}%": found[percent] for percent in sorted(nearest)}


def main(args: Args) -> None:
    """The command."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder), args.steps)
        runs.whole("warm", "--eval-every", "0")  # fills the cache of compiled programs
        left = estimates(runs.whole("alone"), args.steps)
        wall = runs.preempted("preempted", args.preemptions)
        phases = runs.phases("preempted")
        saves = {}
        for name, every in (("never", str(args.steps)), ("every 20 steps", "20"), ("never again", str(args.steps))):
            runs.whole(name, "--checkpoint-every", every, "--eval-every", "0")
            seconds = runs.phases(name)
            saves[name] = round((seconds["steps"] + seconds["checkpoint"]) / args.steps, 5)
        result = {
            "time_left": left,
            "preempted": {"seconds": round(wall, 1), "goodput": round(phases["steps"] / wall, 3)},
        }
        print(json.dumps({**result, "phases": phases, "seconds_a_step_with_saves": saves}))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
