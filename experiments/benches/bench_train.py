"""python experiments/benches/bench_train.py: training speed, compared with torch.compile of the same GPT.

Each program runs in its own process, on the same cores or the same GPU (--device gpu). They are measured in turn.
codex_jax runs the step of codex_jax.train with all layers unrolled. On a CPU it splits its batch into microbatches that
fit the cache. PyTorch is included if it is installed, here or for --torch-python (pip install torch numpy).
"""

import dataclasses
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from processes import Device, Worker, device_text, has_modules, pin
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.errors import InputError

TORCH = Path(__file__).with_name("torch_gpt.py")
WORKER = "--worker"
DTYPES = {  # program -> its compute dtype
    "codex_jax float32": "float32",
    "codex_jax bfloat16": "bfloat16",
    "torch.compile float32": "float32",
    "torch.compile bfloat16": "bfloat16",
}


@dataclass(frozen=True)
class Args:
    """Measures the programs in turn and prints the median of each."""

    layers: int = 6
    width: int = 384
    heads: int = 6
    length: int = 256  # tokens per sequence
    vocab: int = 4096
    batch_size: int = 16  # sequences
    accumulation: int = 8  # microbatches of codex_jax; on a CPU it is faster if they fit the processor's cache
    torch_accumulation: int = 1  # microbatches of PyTorch
    steps: int = 3  # per measurement
    rounds: int = 7  # measurements of each program
    warmup: int = 3  # steps before the first measurement
    device: Device = "cpu"
    threads: int = 2  # cores of each program on a CPU
    only: str = ""  # measures only programs with this in their names, such as float32
    torch_python: str = sys.executable  # the Python that has PyTorch


def work(settings: dict[str, Any]) -> None:
    """The process of codex_jax: prints a line of facts once compiled; then for each line read, the step times."""
    import jax

    from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
    from codex_jax.parallel.mesh import make_mesh
    from codex_jax.training.state import init_state
    from codex_jax.training.step import make_train_step, to_global

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
    mesh = make_mesh(MeshConfig())
    tokens = np.random.default_rng(0).integers(1, settings["vocab"], (settings["batch_size"], settings["length"] + 1))
    with jax.set_mesh(mesh):
        state = init_state(config, mesh)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        train_step = make_train_step(config, mesh, 0)
        batch = to_global(mesh, {"tokens": tokens.astype(np.int32)})
        losses = []
        for _ in range(settings["warmup"]):
            state, metrics = train_step(state, batch)
            losses.append(float(metrics["loss"]))
        print(json.dumps({"parameters": parameters, "losses": losses, "version": jax.__version__}), flush=True)
        for _ in sys.stdin:
            began = time.perf_counter(), time.process_time()
            for _ in range(settings["steps"]):
                state, metrics = train_step(state, batch)
                float(metrics["loss"])
            times = {"seconds": time.perf_counter() - began[0], "core_seconds": time.process_time() - began[1]}
            print(json.dumps(times), flush=True)


def show(facts: dict[str, dict[str, Any]], times: dict[str, list[dict[str, float]]], args: Args) -> None:
    """Prints tokens per second by the median and the fastest measurement, and the median ratio within a round.

    core-seconds are per step, from the measurement with the fewest. With --threads 1 other load on the machine hardly
    changes them; with more threads they include busy waiting.
    """
    tokens = args.steps * args.batch_size * args.length
    shape = f"{args.layers} layers, width {args.width}, {args.batch_size} sequences of {args.length} tokens"
    baseline = next((name for name in times if name.startswith("torch")), None)
    table = Table(
        "",
        title=f"A training step on {device_text(args.device, args.threads)}: {shape}, median of {args.rounds}",
        caption=f"ratio: tokens/s divided by that of {baseline}" if baseline else None,
    )
    for column in ("parameters", "first losses", "tokens/s", "fastest", "core-seconds", "ratio"):
        table.add_column(column, justify="right")
    seconds = {name: [one["seconds"] for one in rounds] for name, rounds in times.items()}
    for name, own in seconds.items():
        ratio = ""
        if baseline:
            ratios = [other / one for one, other in zip(own, seconds[baseline], strict=True)]
            ratio = f"{statistics.median(ratios):.2f}x"
        table.add_row(
            name,
            f"{facts[name]['parameters']:,}",
            " ".join(f"{loss:.3f}" for loss in facts[name]["losses"][:3]),
            f"{tokens / statistics.median(own):,.0f}",
            f"{tokens / min(own):,.0f}",
            f"{min(one['core_seconds'] for one in times[name]) / args.steps:.2f}",
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
    for count in (args.accumulation, args.torch_accumulation):
        if args.batch_size % count:
            raise InputError(f"--batch-size {args.batch_size} must be a multiple of its {count} microbatches")
    env = pin(args.device, args.threads)
    names = [name for name in DTYPES if args.only in name]
    if not has_modules(args.torch_python, "torch"):
        note = "pip install torch numpy, here or for --torch-python"
        print(f"PyTorch is not installed and is not measured: {note}", file=sys.stderr)
        names = [name for name in names if not name.startswith("torch")]
    if not names:
        raise InputError(f"--only {args.only}: nothing to measure among {', '.join(DTYPES)}")
    workers: dict[str, Worker] = {}
    try:
        with terminal.progress("measuring", len(names) * (1 + args.rounds)) as report:
            for name in names:
                torch = name.startswith("torch")
                command = [args.torch_python, str(TORCH)] if torch else [sys.executable, __file__, WORKER]
                workers[name] = Worker(command, {**dataclasses.asdict(args), "dtype": DTYPES[name]}, env)
                report(1, f"{name} is compiled")
            times: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(args.rounds):
                for name in names:
                    times[name].append(workers[name].measure())
                    report(1, name)
        show({name: worker.facts for name, worker in workers.items()}, times, args)
    finally:
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        work(json.loads(sys.argv[2]))
    else:
        sys.exit(cli.run(main, Args))
