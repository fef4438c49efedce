"""Compiling a program for a TPU slice that this machine does not have, and what every plan reports about it."""

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
    """What a program takes on a slice; bytes are per chip."""

    fits: bool
    topology: str
    chips: int
    mesh: dict[str, int]  # devices along each axis
    hbm_bytes: Annotated[int, "HBM", GIB]
    peak_bytes: Annotated[int, "peak", GIB]
    temporary_bytes: Annotated[int, "activations and other temporary arrays", GIB]
    compile_seconds: Annotated[float, "compiled in", SECONDS]
    speed: Any  # a dataclass of projected times; None where the program does not compile within HBM

    null_keys: ClassVar[tuple[str, ...]]  # of the JSON object, null where there is no speed

    def to_json(self) -> dict[str, Any]:
        """The object that plan --json prints: the fields, with those of `speed` among them."""
        values = dataclasses.asdict(self)
        speed = values.pop("speed") or dict.fromkeys(self.null_keys)
        return values | speed


def shard_bytes(tree: Any, memory: str = "device") -> int:
    """Bytes that one device holds of a tree of ShapeDtypeStructs with NamedShardings, in HBM or in "pinned_host"."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if (leaf.sharding.memory_kind or "device") == memory]
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)


def exhausted_bytes(message: str) -> int | None:
    """Bytes that the compiler needed, from its message when HBM does not suffice; None for any other message."""
    found = re.search(r"RESOURCE_EXHAUSTED.*?(?:Used |temporaries \()([\d.]+)([TGMK]?)(?: of|\))", message, re.DOTALL)
    return round(float(found[1]) * BYTE_UNITS[found[2]]) if found else None


def write_hlo(path: str, text: str) -> None:
    """Writes the file of --hlo; InputError where it cannot be written."""
    try:
        write_text_atomic(Path(path), text)
    except OSError as error:
        raise InputError(f"cannot write --hlo {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Compiled:
    """A compiled program; bytes are per device, and buffers that are donated and returned count once."""

    text: str  # HLO; "" where HBM does not suffice
    arguments: int
    temporary: int
    peak: int
    seconds: float  # taken by the compiler


def compile_lowered(lowered: Any, hlo: str = "") -> Compiled:
    """Compiles a lowered program; InputError where the compiler refuses it for any reason but memory.

    hlo: a file to write the compiled program's text to. Where HBM does not suffice, it gets the program as it was
    before compilation, and the compiler's message as comments.
    """
    began = time.monotonic()
    try:
        compiled = lowered.compile()
    except Exception as error:  # JaxRuntimeError, or of a Pallas kernel an error of its own
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
