"""Reads the costs of a compiled program from its HLO text.

Cycles are the compiler's own estimates, which it writes next to fusions and copies. Custom calls (Pallas kernels) have
no estimate, so their names are returned. A loop body counts once per iteration; of a conditional, the first branch
counts.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

COLLECTIVES = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all", "collective-permute")

_HEADER = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\) -> .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?(?P<name>[\w.\-]+) = (?P<rest>.*)$")
_OPCODE = re.compile(r"(?:^|[)}\] ])(?P<opcode>[a-z][a-z0-9\-]*)\(")
_SHAPE = re.compile(r"\b(pred|[a-z]+[0-9]+[a-z0-9]*)\[([0-9,]*)\]")
_CALLED = re.compile(r"\b(calls|condition|body|to_apply|true_computation|branch_computations)=\{?%?([\w.\-]+)")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_CHANNEL = re.compile(r"channel_id=(\d+)")
_PARTITIONS = re.compile(r"num_partitions=(\d+)")
_CONSTANT = re.compile(r"[su]32\[\]\S* constant\((\d+)\)")


@dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    opcode: str
    result: str  # the text of the result's shape
    text: str  # everything after "name ="


@dataclass(frozen=True)
class Collective:
    """One collective operation, as one device sees it."""

    kind: str  # one of COLLECTIVES
    bytes: float  # bytes that a device sends in each execution
    group: tuple[int, ...]  # the partitions that take part
    blocking: bool  # whether nothing is computed while it runs
    times: int  # executions in one run of the program
    name: str = ""  # op_name: the path of the JAX operation that it was compiled from


@dataclass
class Costs:
    """The costs of one run of a program on one device."""

    cycles: float = 0.0
    collectives: list[Collective] = field(default_factory=list)
    custom_calls: Counter[str] = field(default_factory=Counter)  # executions of each Pallas kernel by op_name

    def collective_bytes(self) -> dict[str, int]:
        """Bytes that a device sends, by kind of collective. Every kind has an entry."""
        total = dict.fromkeys(COLLECTIVES, 0.0)
        for one in self.collectives:
            total[one.kind] += one.bytes * one.times
        return {kind: round(count) for kind, count in total.items()}


def read_computations(text: str) -> tuple[str, dict[str, list[Instruction]]]:
    """Returns (the entry computation's name, the instructions of each computation by name)."""
    entry = ""
    computations: dict[str, list[Instruction]] = {}
    body: list[Instruction] = []
    for line in text.splitlines():
        if header := _HEADER.match(line):
            body = computations.setdefault(header["name"], [])
            entry = header["name"] if header["entry"] else entry
        elif found := _INSTRUCTION.match(line):
            rest = found["rest"]
            # No name precedes the parenthesis of a tuple's shape, so the first name before a parenthesis is the opcode.
            if opcode := _OPCODE.search(rest):
                body.append(Instruction(found["name"], opcode["opcode"], rest[: opcode.start("opcode")], rest))
    return entry, computations


def shape_bytes(shape: str) -> list[int]:
    """Bytes of each array in a shape's text, such as (bf16[8,512]{1,0}, u32[])."""
    sizes = []
    for dtype, dims in _SHAPE.findall(shape):
        bits = 8 if dtype == "pred" else int(re.findall(r"\d+", dtype)[0])
        sizes.append(-(-math.prod(int(dim or 1) for dim in dims.split(",")) * bits // 8))
    return sizes


def read_group(text: str, partitions: int) -> tuple[int, ...]:
    """The partitions of a collective's first group, in any of HLO's notations; all partitions if none is given."""
    if found := re.search(r"(?:replica_groups|source_target_pairs)=\{\{([\d,]+)\}", text):
        return tuple(_integers(found[1]))
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text):
        return tuple(_transposed(None, found[2], found[3])[: int(found[1])].tolist())
    numbering = r"(?:, device_ids=\(\[([\d,]+)\]T\(([\d,]+)\)\))?"
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\]" + numbering + r" *\{([^}]*)\}", text):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", found[1]))
        grouped = re.findall(r"'(\w+)'", found[4])
        order = [list(sizes).index(name) for name in (*(name for name in sizes if name not in grouped), *grouped)]
        ids = _transposed(None, found[2], found[3]) if found[2] else None
        count = math.prod(int(sizes[name]) for name in grouped)
        return tuple(_transposed(ids, ",".join(sizes.values()), ",".join(map(str, order)))[:count].tolist())
    return tuple(range(partitions))


def _integers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _transposed(ids: np.ndarray | None, dims: str, order: str | None) -> np.ndarray:
    # HLO's [dims]T(order): ids (0, 1, 2, ... if None) reshaped to dims and then transposed to order.
    sizes = _integers(dims)
    ids = np.arange(math.prod(sizes)) if ids is None else ids
    return ids.reshape(sizes).transpose(_integers(order) if order else None).ravel()


def sent_bytes(kind: str, result: Sequence[float], devices: int, with_operand: bool) -> float:
    """Bytes that each device sends in a collective over a ring of devices.

    result: bytes of each array of the result; with_operand: whether the operand is among them, as it is when an
    asynchronous collective starts.
    """
    n, size = devices, float(sum(result))
    if with_operand:
        numerator, denominator = {"all-gather": (n, n + 1), "reduce-scatter": (1, n + 1)}.get(kind, (1, 2))
        size = size * numerator / denominator
    factors = {
        "all-gather": (n - 1, n),
        "reduce-scatter": (n - 1, 1),
        "all-reduce": (2 * (n - 1), n),
        "all-to-all": (n - 1, n),
        "collective-permute": (1, 1),
    }
    numerator, denominator = factors[kind]
    return size * numerator / denominator


def read_costs(
    text: str,
    copy_cycles: Callable[[int], float] | None = None,
    trip_count: Callable[[str], int | None] = lambda _: None,
) -> Costs:
    """The costs of one run of a compiled program.

    copy_cycles(bytes): upper limit on the cycles of a copy, because the compiler's estimates of copies that change the
    layout are up to 25 times too high. trip_count(op_name): iterations of a loop whose count is not known to the
    compiler; None uses the constant in the loop's condition.
    """
    entry, computations = read_computations(text)
    partitions = int(_first(_PARTITIONS, text) or 1)
    costs = Costs()

    def trips(loop: Instruction, condition: str) -> int:
        if known := _first(_TRIP_COUNT, loop.text):
            return int(known)
        if (given := trip_count(_first(_OP_NAME, loop.text))) is not None:
            return given
        return max((int(n) for line in computations[condition] for n in _CONSTANT.findall(line.text)), default=1)

    def add_collective(one: Instruction, kind: str, times: int, blocking: bool) -> None:
        group = read_group(one.text, partitions)
        sizes: Sequence[float] = shape_bytes(one.result)
        if kind == "reduce-scatter" and one.opcode == "all-reduce":
            sizes = [size / len(group) for size in sizes]
        with_operand = one.opcode.endswith("-start") and kind != "all-reduce"
        if len(group) > 1:
            sent = sent_bytes(kind, sizes, len(group), with_operand)
            costs.collectives.append(Collective(kind, sent, group, blocking, times, _first(_OP_NAME, one.text)))

    def walk(name: str, times: int, fusion_channels: set[str] | None = None) -> None:
        # fusion_channels: inside a fusion, the channels of asynchronous collectives that are already counted.
        channels: set[str] = set() if fusion_channels is None else fusion_channels
        for one in computations.get(name, ()):
            called, kind = dict(_CALLED.findall(one.text)), one.opcode.removesuffix("-start")
            if kind in COLLECTIVES:
                blocking = kind == one.opcode and (fusion_channels is None or "async_collective" not in one.text)
                # An asynchronous collective appears, with the same channel, in every fusion that runs during it.
                channel = "" if blocking else _first(_CHANNEL, one.text)
                if channel not in channels:
                    # A fusion of an all-reduce with the slice that a device keeps is a reduce-scatter.
                    add_collective(one, "reduce-scatter" if "all-reduce-scatter" in name else kind, times, blocking)
                channels |= {channel} - {""}
            elif one.opcode in ("fusion", "async-start") and "calls" in called:
                walk(called["calls"], times, channels)
            if fusion_channels is not None:
                continue
            if one.opcode == "while":
                walk(called["body"], times * trips(one, called["condition"]))
            elif one.opcode == "conditional":
                walk(called.get("true_computation") or called["branch_computations"], times)
            elif one.opcode == "call":
                walk(called["to_apply"], times)
            elif one.opcode == "custom-call" and "tpu_custom_call" in one.text:
                costs.custom_calls[_first(_OP_NAME, one.text) or one.name] += times
            cycles = float(_first(_CYCLES, one.text) or 0)
            if copy_cycles and (one.opcode == "copy" or one.name.startswith("copy")):
                cycles = min(cycles, copy_cycles(sum(shape_bytes(one.result))))
            costs.cycles += cycles * times

    walk(entry, 1)
    return costs


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
