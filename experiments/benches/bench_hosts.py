"""python experiments/benches/bench_hosts.py: the same 20 steps with 1, 2 and 4 processes, and how much losses differ.

Each process is a host of its own with one device: they find each other, read their own slices of every batch and sum
their gradients over the network, as the hosts of a TPU slice do.
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

MESHES = {1: {}, 2: {"data": 2, "fsdp": 1}, 4: {"data": 2, "fsdp": 2}}  # processes: mesh
SHOWN = 5  # a row for so many steps


@dataclass(frozen=True)
class Args:
    """Trains a tiny model on this package's own source and prints the losses side by side."""

    steps: int = 20
    seq_len: int = 128  # tokens


def run(command: list[str]) -> None:
    """InputError with what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")


def train(folder: Path, processes: int, args: Args) -> list[float]:
    """The loss of each step."""
    with socket.socket() as held:
        held.bind(("localhost", 0))
        port = held.getsockname()[1]
    name = folder / f"run{processes}"
    experiment = str(Path(__file__).with_name("tiny.py"))
    command = [sys.executable, "-m", "codex_jax.train", experiment, "--run-dir", str(name), "--log-every", "1"]
    command += ["--data.path", str(folder / "data"), "--steps", str(args.steps)]
    command += [part for axis, size in MESHES[processes].items() for part in (f"--mesh.{axis}", str(size))]
    hosts = ["--hosts.coordinator", f"localhost:{port}", "--hosts.count", str(processes), "--hosts.index"]
    places = [[*hosts, str(n)] if processes > 1 else [] for n in range(processes)]
    started = [subprocess.Popen([*command, *place], stdout=subprocess.DEVNULL) for place in places]
    codes = [process.wait() for process in started]
    if any(codes):
        raise InputError(f"{processes} processes did not train: they say why above")
    rows = [json.loads(line) for line in (name / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def main(args: Args) -> None:
    """The command."""
    with tempfile.TemporaryDirectory() as made:
        folder, source = Path(made), Path(__file__).parents[2] / "codex_jax"
        corpus = [sys.executable, "-m", "codex_jax.corpus", f"dir:{source}", "--out", str(folder / "data")]
        run([*corpus, "--tokenizer", "train:512", "--seq-len", str(args.seq_len)])
        losses = {count: train(folder, count, args) for count in MESHES}
    table = Table("step", *(f"{count} process{'es' if count > 1 else ''}" for count in losses))
    for step in range(args.steps):
        if not (step + 1) % SHOWN or step == 0:
            table.add_row(str(step + 1), *(f"{values[step]:.7f}" for values in losses.values()))
    terminal.tables().print(table)
    most = max(abs(a - b) for values in losses.values() for a, b in zip(values, losses[1], strict=True))
    print(f"largest difference from one process in {args.steps} steps: {most:.1e} nats")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
