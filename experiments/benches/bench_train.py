"""Training speed: ours beside torch.compile of the same GPT, in one run: python experiments/benches/bench_train.py.

Each contender runs in a process of its own, held to the same cores or on the same GPU (--device gpu), and all are
measured by turns. Ours is the step that codex_jax.train runs, with the layers unrolled and, on a CPU, the batch in
microbatches that fit the processor's cache: the same sum of the same gradients, and one update. PyTorch is measured
where it is installed, here or in the environment that --torch-python names (pip install torch numpy).
"""

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from processes import Device, has_modules, hold_to, where
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.errors import InputError

TORCH = Path(__file__).with_name("torch_gpt.py")
CONTENDERS = {  # name -> (whose, compute dtype)
    "codex_jax float32": ("ours", "float32"),
    "codex_jax bfloat16": ("ours", "bfloat16"),
    "torch.compile float32": ("torch", "float32"),
    "torch.compile bfloat16": ("torch", "bfloat16"),
}
WORKER = "--worker"


@dataclass(frozen=True)
class Args:
    """Measures the contenders by turns and prints the median of each."""

    layers: int = 6
    width: int = 384
    heads: int = 6
    length: int = 256  # tokens a sequence
    vocab: int = 4096
    batch_size: int = 16  # sequences
    accumulation: int = 8  # microbatches of ours; those that fit the processor's cache are faster
    torch_accumulation: int = 1  # PyTorch's
    steps: int = 3  # a measurement
    rounds: int = 7  # measurements of each
    warmup: int = 3  # steps before the first
    device: Device = "cpu"
    threads: int = 2  # cores of each contender on a CPU
    only: str = ""  # a part of the names of those to measure, such as float32
    torch_python: str = sys.executable  # the Python that has PyTorch


def work(settings: dict[str, Any]) -> None:
    """Ours, in a process of its own: a line of facts when compiled; then, for each line read, its times."""
    import jax

    from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
    from codex_jax.parallel.mesh import make_mesh
    from codex_jax.training.state import init_state
    from codex_jax.training.step import make_train_step, to_global

    mesh = make_mesh(MeshConfig())
    model = ModelConfig(
        layers=settings["layers"],
        width=settings["width"],
        heads=settings["heads"],
        context=settings["length"],
        vocab_size=settings["vocab"],
        compute_dtype=settings["dtype"],
        unroll=settings["layers"],
    )
    optimizer = OptimizerConfig(warmup_steps=0)
    config = TrainConfig(model=model, optimizer=optimizer, steps=1_000_000, accumulation=settings["accumulation"])
    tokens = np.random.default_rng(0).integers(1, settings["vocab"], (settings["batch_size"], settings["length"] + 1))
    with jax.set_mesh(mesh):
        state = init_state(config, mesh)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        run = make_train_step(config, mesh, 0)
        batch = to_global(mesh, {"tokens": tokens.astype(np.int32)})
        losses = []
        for _ in range(settings["warmup"]):
            state, metrics = run(state, batch)
            losses.append(float(metrics["loss"]))
        print(json.dumps({"parameters": parameters, "losses": losses, "version": jax.__version__}), flush=True)
        for _ in sys.stdin:
            began = time.perf_counter(), time.process_time()
            for _ in range(settings["steps"]):
                state, metrics = run(state, batch)
                float(metrics["loss"])
            print(time.perf_counter() - began[0], time.process_time() - began[1], flush=True)


class Contender:
    """A process that has compiled its step and waits."""

    def __init__(self, whose: str, dtype: str, args: Args, env: dict[str, str]) -> None:
        """Starts it and waits until it has compiled."""
        settings = json.dumps({**dataclasses.asdict(args), "dtype": dtype})
        python, *script = (args.torch_python, str(TORCH)) if whose == "torch" else (sys.executable, __file__, WORKER)
        self.process = subprocess.Popen(
            [python, *script, settings], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts = json.loads(self._line())
        self.seconds: list[float] = []
        self.processor: list[float] = []  # seconds, of all cores together

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise InputError("a contender stopped before its time: see its message above")
        return line

    def measure(self) -> None:
        """One measurement more."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds, processor = map(float, self._line().split())
        self.seconds.append(seconds)
        self.processor.append(processor)

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()


def show(contenders: dict[str, Contender], args: Args) -> None:
    """The table: tokens a second by the median and by the best measurement, and the median ratio within a round.

    The core-seconds of a step are the least. With --threads 1 they hardly feel what else the machine does; more threads
    also wait busily.
    """
    tokens = args.steps * args.batch_size * args.length
    shape = f"{args.layers} layers, width {args.width}, {args.batch_size} sequences of {args.length} tokens"
    base = next((name for name in contenders if CONTENDERS[name][0] == "torch"), None)
    table = Table(
        "",
        title=f"A training step on {where(args.device, args.threads)}: {shape}, median of {args.rounds}",
        caption=f"ratio: of tokens/s, to {base}" if base else None,
    )
    for column in ("parameters", "first losses", "tokens/s", "fastest", "core-seconds", "ratio"):
        table.add_column(column, justify="right")
    for name, one in contenders.items():
        ratio = ""
        if base:
            ratios = [theirs / ours for ours, theirs in zip(one.seconds, contenders[base].seconds, strict=True)]
            ratio = f"{statistics.median(ratios):.2f}x"
        table.add_row(
            name,
            f"{one.facts['parameters']:,}",
            " ".join(f"{loss:.3f}" for loss in one.facts["losses"][:3]),
            f"{tokens / statistics.median(one.seconds):,.0f}",
            f"{tokens / min(one.seconds):,.0f}",
            f"{min(one.processor) / args.steps:.2f}",
            ratio,
        )
    terminal.tables().print(table)


def main(args: Args) -> None:
    """The command."""
    for name, value in dataclasses.asdict(args).items():
        if isinstance(value, int) and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    if args.width % args.heads:
        raise InputError(f"--width {args.width} must be a multiple of --heads {args.heads}")
    for parts in (args.accumulation, args.torch_accumulation):
        if args.batch_size % parts:
            raise InputError(f"--batch-size {args.batch_size} is no multiple of {parts} microbatches")
    env = hold_to(args.device, args.threads)
    wanted = {name: how for name, how in CONTENDERS.items() if args.only in name}
    if not has_modules(args.torch_python, "torch"):
        print(
            "PyTorch is not installed and is left out: pip install torch, here or in an environment whose Python "
            "--torch-python names",
            file=sys.stderr,
        )
        wanted = {name: how for name, how in wanted.items() if how[0] == "ours"}
    if not wanted:
        raise InputError(f"--only {args.only}: nothing to measure of {', '.join(CONTENDERS)}")
    contenders: dict[str, Contender] = {}
    try:
        with terminal.progress("measuring", len(wanted) * (1 + args.rounds)) as report:
            for name, (whose, dtype) in wanted.items():
                contenders[name] = Contender(whose, dtype, args, env)
                report(1, f"{name} is compiled")
            for _ in range(args.rounds):
                for name, one in contenders.items():
                    one.measure()
                    report(1, name)
        show(contenders, args)
    finally:
        for one in contenders.values():
            one.close()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        work(json.loads(sys.argv[2]))
    else:
        sys.exit(cli.run(main, Args))
