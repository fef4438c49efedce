"""Plans training: compiles a run's real training step for a TPU slice that this machine does not have."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import jax
from jax.sharding import Mesh, NamedSharding

from codex_jax.config import TrainConfig, validate
from codex_jax.parallel.mesh import BATCH, check_divides, make_mesh
from codex_jax.planning.chips import parse_topology, slice_devices
from codex_jax.planning.compiling import P50K_EOT, Plan, compile_lowered, shard_bytes
from codex_jax.planning.hlo import read_costs
from codex_jax.planning.projection import StepProjection, model_flops, project_training
from codex_jax.planning.units import COUNT, FLOPS, GIB
from codex_jax.training.experiment import open_data, resolve
from codex_jax.training.state import abstract_state
from codex_jax.training.step import make_train_step

P50K_VOCAB = 50_304  # 50,281 rounded up to a multiple of 128


@dataclass(frozen=True)
class TrainingPlan(Plan):
    """The memory and speed of a training step on a slice; bytes and FLOPs are per chip."""

    remat: str
    tokens_per_step: Annotated[int, "tokens per step, all chips", COUNT]
    parameter_bytes: Annotated[int, "parameters", GIB]
    optimizer_bytes: Annotated[int, "optimizer", GIB]
    host_bytes: Annotated[int, "optimizer, in the host's memory", GIB]
    model_flops: Annotated[float, "model FLOPs per step (causal half, nothing recomputed)", FLOPS]
    speed: StepProjection | None

    null_keys = ("step_seconds", "mfu", "tokens_per_second", "collective_bytes")


@dataclass(frozen=True)
class Job:
    """A run, with the properties that its data determines."""

    config: TrainConfig  # with the vocabulary's size filled in
    length: int  # tokens per sequence
    masked: bool = False  # whether records have a loss_mask


def job_of(config: TrainConfig) -> Job:
    """Reads a run's job from its data; without data, sequences fill the context and the vocabulary is p50k's.

    InputError for settings that `train` would refuse.
    """
    if config.data.path:
        validate(config)
        data = open_data(config)
        masked = any(getattr(part, "masked", False) for part in getattr(data, "datasets", [data]))
        return Job(resolve(config, data), data.manifest["seq_len"], masked)
    validate(dataclasses.replace(config, data=dataclasses.replace(config.data, path="none")))
    model = dataclasses.replace(config.model, vocab_size=config.model.vocab_size or P50K_VOCAB)
    return Job(dataclasses.replace(config, model=model), config.model.context)


def lower_step(job: Job, mesh: Mesh) -> tuple[Any, dict[str, int]]:
    """Returns (the lowered step, its state's bytes per device); InputError if sizes do not divide over the mesh."""
    config = job.config
    check_divides(config, job.length, mesh)
    state = abstract_state(config, mesh)
    rows = jax.ShapeDtypeStruct((config.batch_size, job.length + 1), "int32", sharding=NamedSharding(mesh, BATCH))
    batch: Any = {"tokens": rows}
    if job.masked:
        batch["loss_mask"] = jax.ShapeDtypeStruct(rows.shape, "uint8", sharding=rows.sharding)
    with jax.set_mesh(mesh):
        step: Any = make_train_step(config, mesh, eot=min(P50K_EOT, config.model.vocab_size - 1))
        lowered = step.lower(state, batch)
    return lowered, {
        "parameter_bytes": shard_bytes(state.params),
        "optimizer_bytes": shard_bytes(state.optimizer),
        "host_bytes": shard_bytes(state.optimizer, "pinned_host"),
    }


def plan_training(job: Job, topology: str, hlo: str = "", say: Callable[[str], None] = lambda _: None) -> TrainingPlan:
    """Compiles the step for a slice and projects its speed. hlo: see compile_lowered; say: reports progress."""
    config, tpu = job.config, parse_topology(topology)
    chip = tpu.chip
    mesh = make_mesh(config.mesh, slice_devices(topology))
    lowered, device_bytes = lower_step(job, mesh)
    chip_bytes = {name: size * chip.cores for name, size in device_bytes.items()}
    say(f"compiling for {tpu.chips} chips of {topology}: a minute or two for a large model")
    compiled = compile_lowered(lowered, hlo)
    peak = compiled.peak * chip.cores
    speed = None
    if compiled.text:
        costs = read_costs(compiled.text, chip.copy_cycles)
        speed = project_training(costs, config, job.length, tpu, mesh, chip_bytes["host_bytes"])
    return TrainingPlan(
        fits=speed is not None and peak <= chip.hbm_bytes,
        topology=topology,
        chips=tpu.chips,
        mesh=dict(mesh.shape),
        hbm_bytes=chip.hbm_bytes,
        peak_bytes=peak,
        temporary_bytes=compiled.temporary * chip.cores,
        compile_seconds=compiled.seconds,
        speed=speed,
        remat=config.model.remat,
        tokens_per_step=config.batch_size * job.length,
        model_flops=model_flops(config, job.length, tpu.chips),
        **chip_bytes,
    )
