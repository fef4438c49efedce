"""python experiments/benches/bench_hosts.py: the losses of the same 20 steps with 1, 2 and 4 processes.

All processes run on this machine. Each acts as a host with one device: it connects to the others, reads its own rows
of every batch, and sums gradients over the network.
"""

import json
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.errors import InputError

MESHES = {1: {}, 2: {"data": 2, "fsdp": 1}, 4: {"data": 2, "fsdp": 2}}  # by number of processes
SHOWN_EVERY = 5  # steps


@dataclass(frozen=True)
class Args:
    """Trains a tiny model on this package's own source and prints the losses side by side."""

    steps: int = 20
    seq_len: int = 128  # tokens


def run(command: list[str]) -> None:
    """Runs a command; InputError with its last error line if it fails."""
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise InputError(f"{' '.join(command)} failed: {completed.stderr.strip().splitlines()[-1:]}")


def train(folder: Path, processes: int, args: Args) -> list[float]:
    """Trains with this number of processes and returns the loss of each step."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    name = folder / f"run{processes}"
    experiment = str(Path(__file__).parents[1] / "tiny.py")
    command = [sys.executable, "-m", "codex_jax.train", experiment, "--run-dir", str(name), "--log-every", "1"]
    command += ["--data.path", str(folder / "data"), "--steps", str(args.steps)]
    command += [part for axis, size in MESHES[processes].items() for part in (f"--mesh.{axis}", str(size))]
    hosts = ["--hosts.coordinator", f"localhost:{port}", "--hosts.count", str(processes), "--hosts.index"]
    commands = [[*command, *hosts, str(n)] if processes > 1 else command for n in range(processes)]
    running = [subprocess.Popen(one, stdout=subprocess.DEVNULL) for one in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        raise InputError(f"training with {processes} processes failed: see the messages above")
    rows = [json.loads(line) for line in (name / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def main(args: Args) -> None:
    """The command."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, source = Path(temporary), Path(__file__).parents[2] / "codex_jax"
        corpus = [sys.executable, "-m", "codex_jax.corpus", f"dir:{source}", "--out", str(folder / "data")]
        run([*corpus, "--tokenizer", "train:512", "--seq-len", str(args.seq_len)])
        losses = {count: train(folder, count, args) for count in MESHES}
    table = Table("step", *(f"{count} process{'es' if count > 1 else ''}" for count in losses))
    for step in range(args.steps):
        if not (step + 1) % SHOWN_EVERY or step == 0:
            table.add_row(str(step + 1), *(f"{values[step]:.7f}" for values in losses.values()))
    terminal.tables().print(table)
    largest = max(abs(a - b) for values in losses.values() for a, b in zip(values, losses[1], strict=True))
    print(f"largest difference from one process in {args.steps} steps: {largest:.1e} nats")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
