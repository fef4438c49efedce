"""Plans sampling: compiles the sampler's real programs for a TPU slice that this machine does not have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from codex_jax.config import Dtype, MeshConfig, ModelConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.planning.chips import parse_topology, slice_devices
from codex_jax.planning.compiling import P50K_EOT, Plan, compile_lowered, shard_bytes
from codex_jax.planning.hlo import read_costs
from codex_jax.planning.token_step import (
    PROBLEMS,
    SAMPLES,
    TOKENS,
    TokenStep,
    human_eval_seconds,
    largest_batch,
    project_prefill,
    project_step,
    trip_count,
)
from codex_jax.planning.units import COUNT, GIB, MIB, MILLISECONDS, MINUTES
from codex_jax.problems.problem import PAPER_STOPS
from codex_jax.sampling import rows
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.programs import (
    check_mesh,
    copies_of,
    jitted,
    param_shapes,
    slots_for,
    state_shapes,
    weight_shapes,
)
from codex_jax.sampling.sampler import for_decoding
from codex_jax.sampling.scheduler import Layout, buckets, layout

P50K_TOKENS = 50_281  # p50k's tokens; the rest of the model's vocabulary is padding


@dataclass(frozen=True)
class DecodeSettings:
    """The samples that --decode plans for."""

    batch: int = 100  # samples that each copy of the model draws at a time
    prompt: int = 285  # tokens of the longest prompt; 95% of HumanEval's prompts are no longer
    max_new_tokens: int = 300  # tokens per sample
    dtype: Dtype | None = None  # dtype of matrix products, weights and cache; default: the run's compute dtype
    int8: bool = False  # keep the layers' weights in int8

    @property
    def params(self) -> SamplingParams:
        """The sampling parameters."""
        return SamplingParams(max_new_tokens=self.max_new_tokens, stops=PAPER_STOPS)

    def check(self, context: int) -> None:
        """InputError for settings that `sample` would refuse for a model with this context length."""
        self.params.check()
        if self.batch < 1 or self.prompt < 1:
            raise InputError(f"--batch and --prompt must be at least 1, not {self.batch} and {self.prompt}")
        if self.prompt + 1 >= context:
            raise InputError(f"--prompt {self.prompt} leaves no room in the context of {context}")

    def layout(self, copies: int) -> Layout:
        """The scheduler's layout for HumanEval on this number of copies of the model."""
        return layout([SampleRequest((), 0, range(SAMPLES))] * PROBLEMS, self.batch, copies)


@dataclass(frozen=True)
class DecodeSpeed:
    """Projected times of sampling."""

    step: TokenStep
    prefill_seconds: Annotated[float, "prefill of one prompt for each copy of the model", MILLISECONDS]
    tokens_per_second: float  # of all chips
    human_eval_seconds: Annotated[float, f"HumanEval, {PROBLEMS} x {SAMPLES} x {TOKENS} tokens", MINUTES]


@dataclass(frozen=True)
class DecodePlan(Plan):
    """The memory and speed of sampling on a slice; bytes are per chip. A place or slot holds one token or padding."""

    dtype: str
    int8: bool
    rows: Annotated[int, "samples at a time, all chips", COUNT]
    prompts: Annotated[int, "prompts that they continue", COUNT]
    places: Annotated[int, "places per prompt", COUNT]
    slots: Annotated[int, "slots per sample", COUNT]
    weight_bytes: Annotated[int, "weights", GIB]
    loading_bytes: Annotated[int, "while weights are loaded", GIB]  # weights are converted one at a time
    loads: bool  # whether loading_bytes fit in HBM
    prefix_bytes: Annotated[int, "keys and values of prompts", GIB]
    suffix_bytes: Annotated[int, "keys and values of samples", GIB]
    bytes_a_sample: Annotated[int, "keys and values of one sample", MIB]
    padding_bytes: Annotated[int, "padding of arrays, and stop tables", GIB]
    prefill_temporary_bytes: Annotated[int, "temporary arrays of the prefill", GIB]
    largest_batch: Annotated[int, "largest --batch, estimated", COUNT]
    speed: DecodeSpeed | None

    null_keys = ("step", "prefill_seconds", "human_eval_seconds")


def lower_sampler(
    config: ModelConfig, settings: DecodeSettings, mesh: Mesh, shape: Layout, places: int, slots: int
) -> tuple[Any, Any, dict[str, int]]:
    """Lowers the sampler; returns (the program that draws tokens, the program that prefills, bytes kept per device).

    InputError if sizes do not divide over the mesh.
    """
    check_mesh(config, mesh)
    params, copies = settings.params, copies_of(mesh)
    eot, vocabulary = min(P50K_EOT, config.vocab_size - 1), min(P50K_TOKENS, config.vocab_size)
    whole = NamedSharding(mesh, PartitionSpec())

    def integers(*sizes: int, sharding: NamedSharding | None = None) -> Any:
        return jax.ShapeDtypeStruct(sizes, "int32", sharding=sharding)

    weights, state = weight_shapes(config, mesh, settings.int8), state_shapes(config, mesh, shape, places, slots)
    tables = rows.make_stop_tables(params.stops, params.program_key.min_tokens, [b""], 0).tables.shape[:2]
    stop_shapes = (*tables, vocabulary), (), ()
    stops = rows.StopTables(*(integers(*sizes, sharding=whole) for sizes in stop_shapes))
    programs, scalars = jitted(config, eot, mesh), rows.make_sampling_scalars(params)
    with jax.set_mesh(mesh):
        advance = programs.advance.lower(params.program_key, scalars, stops, weights, state, integers(), integers())
        place = programs.place.lower(weights, state, integers(copies), integers(copies, places), integers(copies))

    loaded = param_shapes(config, mesh)  # before conversion, one weight at a time
    return (
        advance,
        place,
        {
            "weight_bytes": shard_bytes(weights),
            "loading_bytes": shard_bytes(loaded) + max(map(shard_bytes, jax.tree.leaves(loaded["blocks"]))),
            "prefix_bytes": shard_bytes(state.prefix),
            "suffix_bytes": shard_bytes(state.suffix),
        },
    )


def plan_decoding(
    model: ModelConfig,
    mesh_config: MeshConfig,
    settings: DecodeSettings,
    topology: str,
    hlo: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> DecodePlan:
    """Compiles the sampler's two programs for a slice and projects their speed.

    hlo: file for the text of the program that draws tokens; the prefill's goes to HLO.prefill. say: reports progress.
    """
    settings.check(model.context)
    config, tpu = for_decoding(model, settings.dtype), parse_topology(topology)
    chip, cores = tpu.chip, tpu.chip.cores
    mesh = make_mesh(mesh_config, slice_devices(topology))
    copies = copies_of(mesh)
    shape, places, slots = settings.layout(copies), buckets([settings.prompt])[-1], slots_for(config, settings.params)
    batch = shape.groups * shape.rows
    advance_lowered, place_lowered, kept = lower_sampler(config, settings, mesh, shape, places, slots)
    say(f"compiling two programs for {topology}: some seconds per layer")
    advance = compile_lowered(advance_lowered, hlo)
    place = compile_lowered(place_lowered, hlo and f"{hlo}.prefill")

    weights, prefix, suffix = kept["weight_bytes"], kept["prefix_bytes"], kept["suffix_bytes"]
    held = weights + prefix + suffix
    peak = max(advance.peak, place.peak)
    # The peak without weights and prompts is assumed to be proportional to the number of rows.
    growing = max(suffix, advance.peak - weights - prefix)
    loads = kept["loading_bytes"] * cores <= chip.hbm_bytes
    speed = None
    if advance.text and place.text:
        costs = read_costs(advance.text, chip.copy_cycles, trip_count)
        step = project_step(costs, config, tpu, mesh, batch, places + slots, held)
        prefill = project_prefill(read_costs(place.text, chip.copy_cycles), config, tpu, mesh, places, weights)
        total = human_eval_seconds(step.tokens_per_second, prefill, copies)
        speed = DecodeSpeed(step, prefill, step.tokens_per_second, total)
    return DecodePlan(
        fits=speed is not None and loads and peak * cores <= chip.hbm_bytes,
        topology=topology,
        chips=tpu.chips,
        mesh=dict(mesh.shape),
        hbm_bytes=chip.hbm_bytes,
        peak_bytes=peak * cores,
        temporary_bytes=advance.temporary * cores,
        compile_seconds=advance.seconds + place.seconds,
        speed=speed,
        dtype=config.compute_dtype,
        int8=settings.int8,
        rows=batch,
        prompts=shape.groups,
        places=places,
        slots=slots,
        loads=loads,
        bytes_a_sample=suffix // (batch // copies) * cores,
        padding_bytes=max(0, advance.arguments - held) * cores,
        prefill_temporary_bytes=place.temporary * cores,
        largest_batch=largest_batch(chip.hbm_bytes // cores, peak, batch // copies, growing),
        **{name: size * cores for name, size in kept.items()},
    )
