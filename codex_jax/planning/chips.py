"""TPU chips and slices, and the devices of a slice that is not here."""

import importlib.util
import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codex_jax.errors import InputError


@dataclass(frozen=True)
class Chip:
    """Published figures of one chip; `cores` counts what JAX shows as devices (a megacore is one)."""

    name: str
    hbm_bytes: int
    peak_flops: float  # bf16 FLOP/s
    hbm_bandwidth: float  # bytes/s
    ici_bandwidth: float  # bytes/s along one torus axis that closes to a ring, both directions together
    clock: float  # Hz
    cores: int
    torus: int  # axes
    matrix_unit: int = 128  # rows and columns of one matrix unit


GIB = 1024**3

# Google Cloud's pages of each version; links of v4 and later as in "How to scale your model" (one way 45 or 90 GB/s),
# of v3 as in "A domain-specific supercomputer for training deep neural networks" (656 Gbit/s one way). The clock is
# the peak over the matrix units' multiply-adds a cycle.
CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v3", 32 * GIB, 123e12, 900e9, 164e9, 0.94e9, cores=2, torus=2),
        Chip("v4", 32 * GIB, 275e12, 1228e9, 90e9, 1.05e9, cores=1, torus=3),
        Chip("v5e", 16 * GIB, 197e12, 819e9, 90e9, 1.5e9, cores=1, torus=2),
        Chip("v5p", 95 * GIB, 459e12, 2765e9, 180e9, 1.75e9, cores=1, torus=3),
        Chip("v6e", 32 * GIB, 918e12, 1640e9, 180e9, 1.75e9, cores=1, torus=2, matrix_unit=256),
    )
}

_SMALL_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4")
_CUBES = tuple("x".join(map(str, s)) for s in itertools.combinations_with_replacement((4, 8, 12, 16), 3))
_LITE = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
POD_AXIS = {"v3": 32, "v5e": 16, "v6e": 16}  # chips along an axis of a pod
SHAPES: dict[str, tuple[str, ...]] = {
    "v3": ("2x2", "4x4", "4x8", "8x8", "8x16", "16x16", "16x32", "32x32"),
    "v4": _SMALL_CUBES + _CUBES,
    "v5e": _LITE,
    "v5p": _SMALL_CUBES + _CUBES,
    "v6e": _LITE,
}


def parse_topology(name: str) -> tuple[Chip, tuple[int, ...]]:
    """ "v5e:16x16" -> (its chip, (16, 16)); InputError lists the known ones."""
    kind, _, shape = name.partition(":")
    if kind not in CHIPS:
        known = ", ".join(f"{chip}:{shapes[-1]}" for chip, shapes in SHAPES.items())
        raise InputError(f"unknown topology {name!r}: CHIP:SHAPE with a chip of {', '.join(CHIPS)}, such as {known}")
    if shape not in SHAPES[kind]:
        raise InputError(f"unknown topology {name!r}: {kind} comes as {', '.join(SHAPES[kind])}")
    return CHIPS[kind], tuple(map(int, shape.split("x")))


def closed_axes(name: str) -> tuple[bool, ...]:
    """Which axes of a slice close to a ring: all of whole cubes (v4, v5p), else those as long as a pod's.

    Google Cloud's pages: slices of 4x4x4 and larger are full tori. "How to scale your model": a v5e or v6e axis has
    its wraparound link where it is 16 long; a v3 pod is 32x32.
    """
    chip, shape = parse_topology(name)
    if chip.torus == 3:
        return (all(size % 4 == 0 for size in shape),) * 3
    return tuple(size == POD_AXIS[chip.name] for size in shape)


def ring_bandwidth(name: str, coordinates: Sequence[tuple[int, ...]]) -> float:
    """Bytes/s that each chip of a group sends when it gathers or reduces; coordinates: of the group's chips.

    Bytes go round both ways along every axis that the group spans at once, as in "How to scale your model" (bytes over
    bidirectional bandwidth times axes). Half of that along an axis that is no ring, or of which the group has a part.
    A group within one chip (v3's two cores) counts as one axis.
    """
    chip, shape = parse_topology(name)
    total = 0.0
    for places, size, closed in zip(zip(*coordinates, strict=True), shape, closed_axes(name), strict=False):
        spanned = len(set(places))
        if spanned > 1:
            total += chip.ici_bandwidth / (1 if closed and spanned == size else 2)
    return total or chip.ici_bandwidth


def chips_of(name: str) -> int:
    """How many chips a slice has."""
    return math.prod(parse_topology(name)[1])


def prepare_environment() -> None:
    """Keeps JAX off real accelerators and libtpu off metadata servers and locks; call before JAX starts a backend."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    for name, value in {
        "TPU_ACCELERATOR_TYPE": "v5litepod-1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_STDERR_LOG_LEVEL": "3",
        "TPU_MIN_LOG_LEVEL": "3",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }.items():
        os.environ.setdefault(name, value)


def slice_devices(name: str) -> list[Any]:
    """The devices of a slice such as v5e:16x16, to compile for and not to run on; InputError without libtpu."""
    chip, _ = parse_topology(name)
    if importlib.util.find_spec("libtpu") is None:
        raise InputError("compiling for a TPU needs libtpu: make install EXTRA=tpu, or pip install 'codex_jax[tpu]'")
    prepare_environment()
    import jax
    from jax.experimental import topologies

    jax.config.update("jax_platforms", "cpu")
    extra = {"chip_config_name": "megacore", "chips_per_host_bounds": (2, 2, 1)} if chip.torus == 3 else {}
    if name.endswith(":1x1"):
        extra = {"chips_per_host_bounds": (1, 1, 1)}
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name, **extra).devices)
    except Exception as error:  # JaxRuntimeError, ValueError or NotImplementedError with the version
        raise InputError(f"libtpu does not know topology {name}: {error}") from None
