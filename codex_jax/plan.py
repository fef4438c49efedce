"""python -m codex_jax.plan EXPERIMENT.py --topology v5e:16x16 [flags]: what a run would take on a TPU slice.

Compiles the real training step for a slice that need not be here. Every flag of codex_jax.train works. Without data,
sequences are as long as --model.context and the vocabulary is p50k's. Per chip:

- Model FLOPs: 6 for each weight of a matrix product and token, and attention's products with the causal half only;
  nothing is added for what the backward pass computes again. MFU is these over step time and peak.
- Compute time: the compiler's estimated cycles over the clock, copies bounded by the time HBM takes to read and write
  them; Pallas attention kernels, which carry no estimate, at half the peak.
- Communication: the bytes a chip sends round a ring over the bandwidth of the torus axes its group spans. What the
  compiler made asynchronous runs beside compute, everything else waits for it:
  step = max(compute, asynchronous communication) + waiting communication.

By the same estimates a chain of bf16 matrix products runs at 88 to 97% of peak (v6e: 70%, so its MFU is a low guess),
and a stream through HBM at 71 to 94% of its bandwidth. Input, evaluation and checkpoints are not counted. Exits 1 where
it does not fit.
"""

import dataclasses
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from rich import box
from rich.filesize import decimal
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.config import ModelConfig, TrainConfig, validate
from codex_jax.errors import InputError
from codex_jax.model.gpt import GPT
from codex_jax.parallel.compiled import Collective, Costs, read_costs
from codex_jax.parallel.mesh import BATCH, make_mesh
from codex_jax.parallel.topology import Chip, parse_topology, prepare_environment, slice_devices
from codex_jax.train import load_experiment
from codex_jax.training.optimizer import make_optimizer
from codex_jax.training.state import state_shardings
from codex_jax.training.step import make_train_step, on_mesh

P50K_VOCAB = 50_304  # 50,281 rounded up to a multiple of 128
P50K_EOT = 50_256
KERNEL_EFFICIENCY = 0.5  # of peak, for attention kernels
KERNEL_PRODUCTS = {"dkv": 4, "dq": 3, "fwd": 2}  # products of attention in one kernel
PLANNED_TOKENS = 100e9
G = {"T": 1024**4, "G": 1024**3, "M": 1024**2, "K": 1024, "": 1}


@dataclass(frozen=True)
class PlanConfig(TrainConfig):
    """A run, and the slice to plan it for."""

    topology: str = ""  # CHIP:SHAPE, such as v5e:16x16 or v4:4x4x4
    json: bool = False  # prints one JSON object
    hlo: str = ""  # a file to write the compiled program's text to


def flops_per_token(model: ModelConfig) -> float:
    """Model FLOPs of one training token, by the convention above."""
    products = 12 * model.layers * model.width**2 + model.vocab_size * model.width
    return 6.0 * products + 6.0 * model.layers * model.context * model.width


def shard_bytes(shapes: Any, placed: Any) -> int:
    """Bytes of a tree on one device."""

    def one(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> int:
        shape = jax.ShapeDtypeStruct(sharding.shard_shape(leaf.shape), leaf.dtype)
        return shape.size * shape.dtype.itemsize

    return sum(jax.tree.leaves(jax.tree.map(one, shapes, placed)))


def axes_spanned(group: tuple[int, ...], mesh: Mesh) -> int:
    """Torus axes along which the chips of a group differ; at least 1."""
    coords = [tuple(mesh.devices.flat[i].coords) for i in group]
    return max(1, sum(len(set(axis)) > 1 for axis in zip(*coords, strict=True)))


def communication_seconds(collectives: list[Collective], chip: Chip, mesh: Mesh) -> float:
    """Seconds of all of them, one after the other."""
    return sum(c.bytes * c.times / chip.ici_bandwidth / axes_spanned(c.group, mesh) for c in collectives)


def kernel_seconds(costs: Costs, config: TrainConfig, chip: Chip, chips: int) -> float:
    """Seconds of the attention kernels, which carry no estimate."""
    model = config.model
    product = config.batch_size / config.accumulation / chips * model.context**2 * model.width  # the causal half
    counts = (
        (next((n for key, n in KERNEL_PRODUCTS.items() if key in k), 2), t) for k, t in costs.custom_calls.items()
    )
    return sum(n * times for n, times in counts) * product / chip.peak_flops / KERNEL_EFFICIENCY


def exhausted_bytes(message: str) -> int | None:
    """Bytes the compiler says it needed, from its message on running out of HBM; None for another message."""
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    found = re.search(r"Used ([\d.]+)([TGMK]?) of|temporaries \(([\d.]+)([TGMK]?)\)", message)
    if not found:
        return None
    number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    return round(float(number) * G[unit])


def prepare(config: TrainConfig) -> TrainConfig:
    """Fills what data would decide; InputError for settings that cannot train."""
    model = dataclasses.replace(config.model, vocab_size=config.model.vocab_size or P50K_VOCAB)
    config = dataclasses.replace(config, model=model)
    validate(dataclasses.replace(config, data=dataclasses.replace(config.data, path=config.data.path or "none")))
    return config


def lower(config: TrainConfig, mesh: Mesh) -> tuple[Any, int, int]:
    """(the lowered step, parameter and optimizer bytes a device); InputError on a batch that does not divide."""
    ways = mesh.shape["data"] * mesh.shape["fsdp"] * config.accumulation
    if config.batch_size % ways:
        raise InputError(f"--batch-size {config.batch_size} must be a multiple of data x fsdp x accumulation = {ways}")
    model, optimizer = GPT(config.model), make_optimizer(config.optimizer, config.steps)
    shapes, placed = state_shardings(model, optimizer, mesh)
    state = jax.tree.map(lambda s, p: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=p), shapes, placed)
    rows = (config.batch_size, config.model.context + 1)
    batch: Any = {"tokens": jax.ShapeDtypeStruct(rows, "int32", sharding=NamedSharding(mesh, BATCH))}
    eot = min(P50K_EOT, config.model.vocab_size - 1)
    with on_mesh(mesh):
        step: Any = make_train_step(model, optimizer, mesh, eot, config.accumulation)
        lowered = step.lower(state, batch)
    return lowered, shard_bytes(shapes.params, placed.params), shard_bytes(shapes.optimizer, placed.optimizer)


def plan(config: PlanConfig) -> dict[str, Any]:
    """Compiles the step and returns what --json prints."""
    chip, _ = parse_topology(config.topology)
    devices = slice_devices(config.topology)
    mesh = make_mesh(config.mesh, devices)
    chips = len(devices) // chip.cores
    lowered, params, optimizer = lower(config, mesh)
    tokens = config.batch_size * config.model.context
    flops = flops_per_token(config.model) * tokens
    result: dict[str, Any] = {
        "fits": False,
        "topology": config.topology,
        "chips": chips,
        "mesh": dict(mesh.shape),
        "tokens_per_step": tokens,
        "hbm_bytes": chip.hbm_bytes,
        "parameter_bytes": params * chip.cores,
        "optimizer_bytes": optimizer * chip.cores,
        "model_flops": flops / chips,
    }
    print(f"compiling for {chips} chips of {config.topology}: a minute or two for a large model", file=sys.stderr)
    began = time.monotonic()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        needed = exhausted_bytes(str(error))
        if needed is None:
            raise InputError(f"the compiler refused this step: {str(error)[:300]}") from None
        needed *= chip.cores
        unknown = dict.fromkeys(("step_seconds", "mfu", "tokens_per_second", "collective_bytes"))
        spent = time.monotonic() - began
        return result | {"temporary_bytes": needed, "peak_bytes": needed, "compile_seconds": spent} | unknown
    result["compile_seconds"] = time.monotonic() - began
    text = compiled.as_text()
    if config.hlo:
        try:
            Path(config.hlo).write_text(text)
        except OSError as error:
            raise InputError(f"cannot write --hlo {config.hlo}: {error.strerror}") from None

    memory = compiled.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    temporary = memory.temp_size_in_bytes * chip.cores
    peak = held * chip.cores + temporary + memory.generated_code_size_in_bytes * chip.cores

    core_bandwidth = chip.hbm_bandwidth / chip.cores
    costs = read_costs(text, lambda size: 2 * size / core_bandwidth * chip.clock)
    compute = costs.cycles / chip.clock + kernel_seconds(costs, config, chip, chips)
    waiting = communication_seconds([c for c in costs.collectives if c.waits], chip, mesh)
    beside = communication_seconds([c for c in costs.collectives if not c.waits], chip, mesh)
    seconds = max(compute, beside) + waiting
    return result | {
        "fits": peak <= chip.hbm_bytes,
        "temporary_bytes": temporary,
        "peak_bytes": peak,
        "collective_bytes": costs.collective_bytes(),
        "cycles": round(costs.cycles),
        "kernels": dict(costs.custom_calls),
        "compute_seconds": compute,
        "waiting_seconds": waiting,
        "asynchronous_seconds": beside,
        "step_seconds": seconds,
        "mfu": flops / chips / seconds / chip.peak_flops,
        "tokens_per_second": tokens / seconds,
        "days_for_100b_tokens": PLANNED_TOKENS / (tokens / seconds) / 86_400,
    }


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    mesh = " x ".join(f"{name} {size}" for name, size in result["mesh"].items())
    title = f"{result['topology']}: {result['chips']} chips, mesh {mesh}, {result['tokens_per_step']:,} tokens a step"
    table = Table("per chip and step", "", box=box.SIMPLE)
    table.columns[1].justify = "right"

    def gib(count: int) -> str:
        return f"{count / 1024**3:.2f} GiB"

    for label, key in (
        ("parameters", "parameter"),
        ("optimizer", "optimizer"),
        ("activations, temporary", "temporary"),
    ):
        table.add_row(label, gib(result[f"{key}_bytes"]))
    verdict = "fits" if result["fits"] else "does not fit"
    table.add_row("peak", f"{gib(result['peak_bytes'])} of {gib(result['hbm_bytes'])}: {verdict}")
    table.add_row("model FLOPs (causal half, nothing twice)", f"{result['model_flops']:.3e}")
    if result["step_seconds"] is not None:
        for kind, count in result["collective_bytes"].items():
            if count:
                table.add_row(f"sent by {kind}", decimal(count))
        table.add_row("estimated cycles", f"{result['cycles']:,}")
        table.add_row("compute", f"{result['compute_seconds']:.3f} s")
        table.add_row("communication that waits", f"{result['waiting_seconds']:.3f} s")
        table.add_row("communication beside compute", f"{result['asynchronous_seconds']:.3f} s")
        table.add_row("projected step", f"{result['step_seconds']:.3f} s")
        table.add_row("projected MFU", f"{result['mfu']:.3f}")
        table.add_row("tokens/s, all chips", f"{result['tokens_per_second']:,.0f}")
        table.add_row("days for 100 billion tokens", f"{result['days_for_100b_tokens']:.1f}")
    table.add_row("compiled in", f"{result['compile_seconds']:.0f} s")
    out = terminal.tables()
    out.print(title, highlight=False)
    out.print(table)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    args = list(sys.argv[1:] if argv is None else argv)

    def body() -> int:
        if not args or args[0].startswith("-"):
            print(__doc__)
            cli.parse(PlanConfig, args or ["--help"])
            raise InputError("name an experiment file first, such as experiments/tiny.py")
        prepare_environment()
        experiment = load_experiment(Path(args[0]))
        fields = {field.name: getattr(experiment, field.name) for field in dataclasses.fields(TrainConfig)}
        config: Any = prepare(cli.parse(PlanConfig, args[1:], default=PlanConfig(**fields)))
        result = plan(config)
        if config.json:
            print(json.dumps(result))
        else:
            show(result)
        return 0 if result["fits"] else 1

    return cli.guarded(body)


if __name__ == "__main__":
    sys.exit(main())
