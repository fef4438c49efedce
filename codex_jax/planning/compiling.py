"""Compiles a program for a TPU slice that this machine does not have, and defines the figures that every plan has."""

import dataclasses
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax

from codex_jax.errors import InputError
from codex_jax.planning.units import GIB, SECONDS
from codex_jax.storage.atomic import write_text_atomic

P50K_EOT = 50_256
BYTE_UNITS = {"T": 1024**4, "G": 1024**3, "M": 1024**2, "K": 1024, "": 1}


@dataclass(frozen=True)
class Plan:
    """The memory and speed of a program on a slice; bytes are per chip."""

    fits: bool
    topology: str
    chips: int
    mesh: dict[str, int]  # devices along each axis
    hbm_bytes: Annotated[int, "HBM", GIB]
    peak_bytes: Annotated[int, "peak", GIB]
    temporary_bytes: Annotated[int, "activations and other temporary arrays", GIB]
    compile_seconds: Annotated[float, "compiled in", SECONDS]
    speed: Any  # a dataclass of projected times; None if HBM does not suffice

    null_keys: ClassVar[tuple[str, ...]]  # keys of the JSON object that are null if there is no speed

    def to_json(self) -> dict[str, Any]:
        """The object that plan --json prints: the plan's fields and those of `speed`."""
        values = dataclasses.asdict(self)
        speed = values.pop("speed") or dict.fromkeys(self.null_keys)
        return values | speed


def shard_bytes(tree: Any, memory: str = "device") -> int:
    """Bytes per device of a tree of ShapeDtypeStructs with NamedShardings, in memory "device" or "pinned_host"."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if (leaf.sharding.memory_kind or "device") == memory]
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)


def exhausted_bytes(message: str) -> int | None:
    """The bytes needed according to the compiler's out-of-memory message; None for any other message."""
    found = re.search(r"RESOURCE_EXHAUSTED.*?(?:Used |temporaries \()([\d.]+)([TGMK]?)(?: of|\))", message, re.DOTALL)
    return round(float(found[1]) * BYTE_UNITS[found[2]]) if found else None


def write_hlo(path: str, text: str) -> None:
    """Writes the file given as --hlo; InputError if that fails."""
    try:
        write_text_atomic(Path(path), text)
    except OSError as error:
        raise InputError(f"cannot write --hlo {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Compiled:
    """A compiled program; bytes are per device, and donated buffers count once."""

    text: str  # HLO; "" if HBM does not suffice
    arguments: int
    temporary: int
    peak: int
    seconds: float  # compilation time


def compile_lowered(lowered: Any, hlo: str = "") -> Compiled:
    """Compiles a lowered program; InputError if the compiler refuses it for any reason but memory.

    hlo: file for the compiled program's text or, if HBM does not suffice, for the uncompiled program and the compiler's
    message as comments.
    """
    began = time.monotonic()
    try:
        compiled = lowered.compile()
    except Exception as error:  # JaxRuntimeError, or another error for Pallas kernels
        needed = exhausted_bytes(str(error))
        if hlo:
            comment = "".join(f"// {line}\n" for line in str(error).splitlines())
            write_hlo(hlo, lowered.as_text("hlo") + "\n" + comment)
        if needed is None:
            raise InputError(f"the compiler refused this program: {str(error)[:300]}") from None
        return Compiled("", 0, needed, needed, time.monotonic() - began)
    seconds, text, memory = time.monotonic() - began, compiled.as_text(), compiled.memory_analysis()
    if hlo:
        write_hlo(hlo, text)
    arguments, temporary = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    peak = arguments + results + temporary + memory.generated_code_size_in_bytes
    return Compiled(text, arguments, temporary, peak, seconds)
