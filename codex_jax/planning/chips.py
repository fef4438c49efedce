"""TPU chips, their slices, and JAX devices that describe a slice without having one."""

import importlib.util
import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from codex_jax.errors import InputError


@dataclass(frozen=True)
class Chip:
    """Published specifications of one chip."""

    name: str
    hbm_bytes: int
    peak_flops: float  # bfloat16 FLOP/s
    hbm_bandwidth: float  # bytes/s
    ici_bandwidth: float  # bytes/s along one torus axis that forms a ring, both directions together
    clock: float  # Hz
    cores: int  # JAX devices per chip; the two cores of a megacore are one device
    torus: int  # number of torus axes
    matrix_unit: int = 128  # rows and columns of a matrix unit

    def copy_cycles(self, size: int) -> float:
        """Cycles in which one core reads and writes `size` bytes of HBM."""
        return 2 * size / (self.hbm_bandwidth / self.cores) * self.clock


# Sources: Google Cloud's page of each version; link bandwidths of v4 and later from "How to scale your model" (45 or 90
# GB/s one way), of v3 from "A domain-specific supercomputer for training deep neural networks" (656 Gbit/s one way).
# The clock is the peak divided by the matrix units' FLOPs per cycle.
CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v3", 32 * 1024**3, 123e12, 900e9, 164e9, 0.94e9, cores=2, torus=2),
        Chip("v4", 32 * 1024**3, 275e12, 1228e9, 90e9, 1.05e9, cores=1, torus=3),
        Chip("v5e", 16 * 1024**3, 197e12, 819e9, 90e9, 1.5e9, cores=1, torus=2),
        Chip("v5p", 95 * 1024**3, 459e12, 2765e9, 180e9, 1.75e9, cores=1, torus=3),
        Chip("v6e", 32 * 1024**3, 918e12, 1640e9, 180e9, 1.75e9, cores=1, torus=2, matrix_unit=256),
    )
}

_SMALL_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4")
_CUBES = tuple("x".join(map(str, s)) for s in itertools.combinations_with_replacement((4, 8, 12, 16), 3))
_LITE = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
POD_AXIS = {"v3": 32, "v5e": 16, "v6e": 16}  # chips along one axis of a pod
SHAPES: dict[str, tuple[str, ...]] = {
    "v3": ("2x2", "4x4", "4x8", "8x8", "8x16", "16x16", "16x32", "32x32"),
    "v4": _SMALL_CUBES + _CUBES,
    "v5e": _LITE,
    "v5p": _SMALL_CUBES + _CUBES,
    "v6e": _LITE,
}


class Slice(NamedTuple):
    """A grid of connected chips."""

    chip: Chip
    shape: tuple[int, ...]  # chips along each axis

    @property
    def chips(self) -> int:
        """The number of chips."""
        return math.prod(self.shape)

    @property
    def devices(self) -> int:
        """The number of JAX devices."""
        return self.chips * self.chip.cores

    @property
    def closed_axes(self) -> tuple[bool, ...]:
        """Whether each axis forms a ring.

        v4 and v5p: all axes do if the slice consists of 4x4x4 cubes (Google Cloud's pages). Others: an axis does if it
        is as long as a pod's ("How to scale your model": 16 for v5e and v6e; a v3 pod is 32x32).
        """
        if self.chip.torus == 3:
            return (all(size % 4 == 0 for size in self.shape),) * 3
        return tuple(size == POD_AXIS[self.chip.name] for size in self.shape)

    def ring_bandwidth(self, spans: Sequence[int]) -> float:
        """Bytes/s that each chip of a group sends when the group gathers or reduces.

        spans: the group's chips along each axis. As in "How to scale your model", bytes travel in both directions along
        every axis with more than one chip. An axis counts half if it is not a ring or the group covers only a part of
        it. A group within one chip (the two cores of a v3) counts as one axis.
        """
        rings = [
            1.0 if closed and span == size else 0.5
            for span, size, closed in zip(spans, self.shape, self.closed_axes, strict=True)
            if span > 1
        ]
        return self.chip.ici_bandwidth * (sum(rings) or 1.0)


def parse_topology(name: str) -> Slice:
    """The slice with a name such as v5e:16x16; InputError, with a list of known slices, if it is unknown."""
    kind, _, shape = name.partition(":")
    if kind not in CHIPS:
        known = ", ".join(f"{chip}:{shapes[-1]}" for chip, shapes in SHAPES.items())
        raise InputError(
            f"unknown topology {name!r}: use CHIP:SHAPE with CHIP one of {', '.join(CHIPS)}, such as {known}"
        )
    if shape not in SHAPES[kind]:
        raise InputError(f"unknown topology {name!r}: {kind} comes as {', '.join(SHAPES[kind])}")
    return Slice(CHIPS[kind], tuple(map(int, shape.split("x"))))


def prepare_environment() -> None:
    """Makes JAX use the CPU, and libtpu skip metadata servers and locks. Call it before JAX starts a backend."""
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
    """JAX devices of a slice such as v5e:16x16, for compilation only; InputError if libtpu is not installed."""
    chip, _ = parse_topology(name)
    if importlib.util.find_spec("libtpu") is None:
        raise InputError("compiling for a TPU needs libtpu: make install EXTRA=tpu, or pip install 'codex_jax[tpu]'")
    prepare_environment()
    import jax
    from jax.experimental import topologies

    jax.config.update("jax_platforms", "cpu")
    options = {"chip_config_name": "megacore", "chips_per_host_bounds": (2, 2, 1)} if chip.torus == 3 else {}
    if name.endswith(":1x1"):
        options = {"chips_per_host_bounds": (1, 1, 1)}
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices)
    except Exception as error:  # JaxRuntimeError, ValueError or NotImplementedError, depending on the version
        raise InputError(f"libtpu does not know topology {name}: {error}") from None
