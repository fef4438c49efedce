"""The real training step of a run, compiled for a slice that need not be here."""

import dataclasses
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding

from codex_jax.config import TrainConfig, validate
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import BATCH, check_divides, make_mesh
from codex_jax.planning.chips import parse_topology, slice_devices
from codex_jax.planning.projection import flops_per_token, project
from codex_jax.training.experiment import open_data, resolve
from codex_jax.training.state import abstract_state, shardings_of
from codex_jax.training.step import make_train_step

P50K_VOCAB = 50_304  # 50,281 rounded up to a multiple of 128
P50K_EOT = 50_256
UNITS = {"T": 1024**4, "G": 1024**3, "M": 1024**2, "K": 1024, "": 1}
UNKNOWN = ("step_seconds", "mfu", "tokens_per_second", "collective_bytes")


@dataclass(frozen=True)
class Job:
    """A run with all that its data decides."""

    config: TrainConfig
    length: int  # tokens a sequence
    masked: bool = False  # whether records have a loss_mask


def job_of(config: TrainConfig) -> Job:
    """Fills what data decides: from --data.path, or the context and p50k's vocabulary; InputError as train's."""
    if config.data.path:
        validate(config)
        data = open_data(config)
        masked = any(getattr(part, "masked", False) for part in getattr(data, "datasets", [data]))
        return Job(resolve(config, data), data.manifest["seq_len"], masked)
    validate(dataclasses.replace(config, data=dataclasses.replace(config.data, path="none")))
    model = dataclasses.replace(config.model, vocab_size=config.model.vocab_size or P50K_VOCAB)
    return Job(dataclasses.replace(config, model=model), config.model.context)


def shard_bytes(shapes: Any, placed: Any, memory: str = "device") -> int:
    """Bytes of a tree on one device, or of what it has in the host's memory ("pinned_host")."""

    def one(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> int:
        if (sharding.memory_kind or "device") != memory:
            return 0
        shape = jax.ShapeDtypeStruct(sharding.shard_shape(leaf.shape), leaf.dtype)
        return shape.size * shape.dtype.itemsize

    return sum(jax.tree.leaves(jax.tree.map(one, shapes, placed)))


@dataclass(frozen=True)
class Lowered:
    """A step before it is compiled, and bytes of its state a device."""

    step: Any
    parameters: int
    optimizer: int
    on_host: int  # of the optimizer


def lower(job: Job, mesh: Mesh) -> Lowered:
    """InputError on sizes that do not divide over the mesh."""
    config = job.config
    check_divides(config, job.length, mesh)
    state = abstract_state(config, mesh)
    placed = shardings_of(state)
    rows = jax.ShapeDtypeStruct((config.batch_size, job.length + 1), "int32", sharding=NamedSharding(mesh, BATCH))
    batch: Any = {"tokens": rows}
    if job.masked:
        batch["loss_mask"] = jax.ShapeDtypeStruct(rows.shape, "uint8", sharding=rows.sharding)
    eot = min(P50K_EOT, config.model.vocab_size - 1)
    with jax.set_mesh(mesh):
        step: Any = make_train_step(config, mesh, eot)
        lowered = step.lower(state, batch)
    held = [shard_bytes(state.optimizer, placed.optimizer, memory) for memory in ("device", "pinned_host")]
    return Lowered(lowered, shard_bytes(state.params, placed.params), *held)


def exhausted_bytes(message: str) -> int | None:
    """Bytes the compiler says it needed, from its message on running out of HBM; None for another message."""
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    found = re.search(r"Used ([\d.]+)([TGMK]?) of|temporaries \(([\d.]+)([TGMK]?)\)", message)
    if not found:
        return None
    number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    return round(float(number) * UNITS[unit])


def write_whole(path: Path, text: str) -> None:
    """The file, whole or not at all; InputError where it cannot be written."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_text(text)
        temporary.rename(path)
    except OSError as error:
        raise InputError(f"cannot write --hlo {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Compiled:
    """A program on one device. Bytes that are held and given back count once."""

    text: str  # "" where the compiler ran out of HBM
    arguments: int
    temporary: int
    peak: int
    seconds: float  # that compiling took


def compile_lowered(lowered: Any, hlo: str = "") -> Compiled:
    """hlo: a file for the compiled text; where the compiler runs out of memory, for the text as it was lowered, and
    below it what it said. InputError where it refuses for another reason."""
    began = time.monotonic()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        needed = exhausted_bytes(str(error))
        if hlo:
            comment = "".join(f"// {line}\n" for line in str(error).splitlines())
            write_whole(Path(hlo), lowered.as_text("hlo") + "\n" + comment)
        if needed is None:
            raise InputError(f"the compiler refused this step: {str(error)[:300]}") from None
        return Compiled("", 0, needed, needed, time.monotonic() - began)
    seconds, text, memory = time.monotonic() - began, compiled.as_text(), compiled.memory_analysis()
    if hlo:
        write_whole(Path(hlo), text)
    arguments, temporary = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    held = arguments + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Compiled(text, arguments, temporary, held + temporary + memory.generated_code_size_in_bytes, seconds)


def plan(job: Job, topology: str, hlo: str = "", say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Compiles the step for a slice and returns what --json prints. hlo: see compile_lowered."""
    config = job.config
    chip, _ = parse_topology(topology)
    devices = slice_devices(topology)
    mesh = make_mesh(config.mesh, devices)
    chips = len(devices) // chip.cores
    lowered = lower(job, mesh)
    tokens = config.batch_size * job.length
    result: dict[str, Any] = {
        "fits": False,
        "topology": topology,
        "chips": chips,
        "mesh": dict(mesh.shape),
        "remat": config.model.remat,
        "tokens_per_step": tokens,
        "hbm_bytes": chip.hbm_bytes,
        "parameter_bytes": lowered.parameters * chip.cores,
        "optimizer_bytes": lowered.optimizer * chip.cores,
        "host_bytes": lowered.on_host * chip.cores,
        "model_flops": flops_per_token(config.model, job.length) * tokens / chips,
    }
    say(f"compiling for {chips} chips of {topology}: a minute or two for a large model")
    compiled = compile_lowered(lowered.step, hlo)
    peak = compiled.peak * chip.cores
    result |= {"temporary_bytes": compiled.temporary * chip.cores, "peak_bytes": peak}
    result["compile_seconds"] = compiled.seconds
    if not compiled.text:
        return result | dict.fromkeys(UNKNOWN)
    result["fits"] = peak <= chip.hbm_bytes
    return result | project(compiled.text, config, job.length, topology, chip, mesh, result["host_bytes"])
