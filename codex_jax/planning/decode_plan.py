"""The sampler's real programs, compiled for a slice that need not be here: whether and how fast a model decodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.planning.chips import parse_topology, slice_devices
from codex_jax.planning.compiling import P50K_EOT, compile_lowered, shard_bytes
from codex_jax.planning.token_step import (
    PROBLEMS,
    SAMPLES,
    human_eval_seconds,
    largest_batch,
    project_prefill,
    project_step,
)
from codex_jax.sampling import rows
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.programs import check_mesh, jitted, param_shapes, slots_for, state_shapes, weight_shapes
from codex_jax.sampling.scheduler import Layout, buckets, layout

P50K_TOKENS = 50_281  # what the model's vocabulary has behind these is padding
UNKNOWN = "step", "prefill_seconds", "human_eval_seconds"


@dataclass(frozen=True)
class DecodeJob:
    """Samples of HumanEval's number of prompts, and a way to draw them."""

    model: ModelConfig  # as it decodes
    mesh: MeshConfig
    prompt: int  # tokens of the longest, without the end-of-text before it
    batch: int  # rows on each copy of the model, at most
    how: SamplingParams
    int8: bool = False

    def check(self) -> None:
        """InputError for what sample would refuse too."""
        self.how.check()
        if self.batch < 1 or self.prompt < 1:
            raise InputError(f"--batch and --prompt must be at least 1, not {self.batch} and {self.prompt}")
        if self.prompt + 1 >= self.model.context:
            raise InputError(f"--prompt {self.prompt} leaves no room in the context of {self.model.context}")

    def layout(self, copies: int) -> Layout:
        """The scheduler's, of HumanEval at 200 samples a problem."""
        return layout([SampleRequest((), 0, range(SAMPLES))] * PROBLEMS, self.batch, copies)


@dataclass(frozen=True)
class Programs:
    """Both before they are compiled, and what they hold all along."""

    advance: Any
    place: Any
    weights: int  # bytes on one device
    prefix: int
    suffix: int
    loading: int  # bytes of the parameters as they are read, and of the largest once more: they are converted in turn


def lower(job: DecodeJob, mesh: Mesh, shape: Layout, places: int, slots: int) -> Programs:
    """InputError on sizes that do not divide over the mesh."""
    config, copies = job.model, mesh.shape["data"] * mesh.shape["fsdp"]
    check_mesh(config, mesh)
    eot, vocabulary = min(P50K_EOT, config.vocab_size - 1), min(P50K_TOKENS, config.vocab_size)
    whole = NamedSharding(mesh, PartitionSpec())

    def number(*sizes: int, sharding: NamedSharding | None = None) -> Any:
        return jax.ShapeDtypeStruct(sizes, "int32", sharding=sharding)

    weights, state = weight_shapes(config, mesh, job.int8), state_shapes(config, mesh, shape, places, slots)
    tables = rows.make_stop_tables(job.how.stops, job.how.program_key.min_tokens, [b""], 0).tables.shape[:2]
    ends = rows.StopTables(number(*tables, vocabulary, sharding=whole), number(sharding=whole), number(sharding=whole))
    programs = jitted(config, eot, mesh)
    with jax.set_mesh(mesh):
        numbers = rows.make_sampling_scalars(job.how)
        advance = programs.advance.lower(job.how.program_key, numbers, ends, weights, state, number(), number())
        prompts = number(copies), number(copies, places), number(copies)
        place = programs.place.lower(weights, state, *prompts)

    def bytes_of(part: Any) -> int:
        return shard_bytes(part, jax.tree.map(lambda leaf: leaf.sharding, part))

    params = param_shapes(config, mesh)
    loading = bytes_of(params) + max(map(bytes_of, jax.tree.leaves(params["blocks"])))
    return Programs(advance, place, bytes_of(weights), bytes_of(state.prefix), bytes_of(state.suffix), loading)


def plan_decoding(
    job: DecodeJob, topology: str, hlo: str = "", say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Compiles both programs for a slice and returns what --json prints; bytes are a chip's.

    hlo: a file for the text of the decoding step's; the prefill's is written beside it, as HLO.prefill.
    """
    config = job.model
    job.check()
    chip, _ = parse_topology(topology)
    devices = slice_devices(topology)
    mesh = make_mesh(job.mesh, devices)
    copies = mesh.shape["data"] * mesh.shape["fsdp"]
    shape, places, slots = job.layout(copies), buckets([job.prompt])[-1], slots_for(config, job.how)
    programs = lower(job, mesh, shape, places, slots)
    rows_of_copy = shape.groups * shape.rows // copies
    say(f"compiling two programs for {topology}: some seconds a layer")
    advance = compile_lowered(programs.advance, hlo)
    place = compile_lowered(programs.place, hlo and f"{hlo}.prefill")

    held = programs.weights + programs.prefix + programs.suffix
    padding = max(0, advance.arguments - held)
    # Of what the step takes, all but weights and prompts is counted as growing with the rows.
    growing = max(programs.suffix, advance.peak - programs.weights - programs.prefix)
    peak = max(advance.peak, place.peak)
    most = largest_batch(chip.hbm_bytes // chip.cores, peak, rows_of_copy, growing)
    loads = programs.loading * chip.cores <= chip.hbm_bytes
    compiled = bool(advance.text and place.text)
    result: dict[str, Any] = {
        "fits": compiled and loads and peak * chip.cores <= chip.hbm_bytes,
        "topology": topology,
        "chips": len(devices) // chip.cores,
        "mesh": dict(mesh.shape),
        "dtype": config.compute_dtype,
        "int8": job.int8,
        "rows": shape.groups * shape.rows,
        "prompts": shape.groups,
        "places": places,
        "slots": slots,
        "hbm_bytes": chip.hbm_bytes,
        "weight_bytes": programs.weights * chip.cores,
        "loading_bytes": programs.loading * chip.cores,
        "loads": loads,
        "prefix_bytes": programs.prefix * chip.cores,
        "bytes_a_sample": programs.suffix // rows_of_copy * chip.cores,
        "suffix_bytes": programs.suffix * chip.cores,
        "padding_bytes": padding * chip.cores,
        "temporary_bytes": advance.temporary * chip.cores,
        "prefill_temporary_bytes": place.temporary * chip.cores,
        "peak_bytes": peak * chip.cores,
        "largest_batch": most,
        "compile_seconds": advance.seconds + place.seconds,
    }
    if not compiled:
        return result | dict.fromkeys(UNKNOWN)
    step = project_step(advance.text, config, topology, mesh, shape, places + slots, held)
    prefill = project_prefill(place.text, config, topology, mesh, places, programs.weights)
    result |= {"step": step, "prefill_seconds": prefill, "tokens_per_second": step["tokens_per_second"]}
    result["human_eval_seconds"] = human_eval_seconds(step["tokens_per_second"], prefill, copies)
    return result
