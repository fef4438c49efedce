"""What a program compiled for a TPU costs, read from its text.

A loop's body is counted as often as it runs (the constant in its condition, or what the caller says), of branches the
first. Cycles are the compiler's own estimates, which it leaves on fusions and copies; custom calls (Pallas kernels)
carry none and are handed back by name.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

KINDS = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all", "collective-permute")

_HEADER = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\) -> .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?(?P<name>[\w.\-]+) = (?P<rest>.*)$")
_OPCODE = re.compile(r"(?:^|[)}\] ])(?P<op>[a-z][a-z0-9\-]*)\(")
_SHAPE = re.compile(r"\b(pred|[a-z]+[0-9]+[a-z0-9]*)\[([0-9,]*)\]")
_CALLED = re.compile(r"\b(calls|condition|body|to_apply|true_computation|branch_computations)=\{?%?([\w.\-]+)")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_NAME = re.compile(r'op_name="([^"]*)"')
_CONSTANT = re.compile(r"[su]32\[\]\S* constant\((\d+)\)")


@dataclass(frozen=True)
class Instruction:
    """One line: its name, opcode, the text of its result's shape, and the whole line."""

    name: str
    op: str
    result: str
    text: str


@dataclass(frozen=True)
class Collective:
    """One collective, as one chip sees it."""

    kind: str
    bytes: float  # that a chip sends each time
    group: tuple[int, ...]  # the partitions of one group
    waits: bool  # nothing is computed while it runs
    times: int  # in one step
    name: str = ""  # of the operation it comes from


@dataclass
class Costs:
    """One step on one chip."""

    cycles: float = 0.0
    collectives: list[Collective] = field(default_factory=list)
    custom_calls: Counter[str] = field(default_factory=Counter)  # op_name of a Pallas kernel: how often it runs

    def collective_bytes(self) -> dict[str, int]:
        """Bytes that a chip sends in a step, by the kind of collective."""
        total = dict.fromkeys(KINDS, 0.0)
        for one in self.collectives:
            total[one.kind] += one.bytes * one.times
        return {kind: round(count) for kind, count in total.items()}


def read_computations(text: str) -> tuple[str, dict[str, list[Instruction]]]:
    """(the entry's name, the instructions of each computation)."""
    entry = ""
    computations: dict[str, list[Instruction]] = {}
    body: list[Instruction] = []
    for line in text.splitlines():
        if header := _HEADER.match(line):
            body = computations.setdefault(header["name"], [])
            entry = header["name"] if header["entry"] else entry
        elif found := _INSTRUCTION.match(line):
            rest = found["rest"]
            # A tuple's shape holds parentheses, but no opcode: those start after a space.
            opcode = _OPCODE.search(rest)
            if opcode:
                body.append(Instruction(found["name"], opcode["op"], rest[: opcode.start("op")], rest))
    return entry, computations


def shape_bytes(shape: str) -> list[int]:
    """Bytes of each array in a shape such as (bf16[8,512]{1,0}, u32[])."""
    sizes = []
    for dtype, dims in _SHAPE.findall(shape):
        bits = 8 if dtype == "pred" else int(re.findall(r"\d+", dtype)[0])
        count = 1
        for dim in dims.split(","):
            count *= int(dim or 1)
        sizes.append(-(-count * bits // 8))
    return sizes


def read_group(text: str, partitions: int) -> tuple[int, ...]:
    """The partitions of a collective's first group, from any of the ways it is written."""
    if found := re.search(r"replica_groups=\{\{([\d,]+)\}", text):
        return tuple(map(int, found[1].split(",")))
    if found := re.search(r"source_target_pairs=\{\{(\d+),(\d+)\}", text):
        return int(found[1]), int(found[2])
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text):
        dims = list(map(int, found[2].split(",")))
        order = list(map(int, found[3].split(","))) if found[3] else list(range(len(dims)))
        return tuple(_iota(dims, order, int(found[1])))
    numbering = r"(?:, device_ids=\(\[([\d,]+)\]T\(([\d,]+)\)\))?"
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\]" + numbering + r" *\{([^}]*)\}", text):
        axes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", found[1])}
        names = re.findall(r"'(\w+)'", found[4])
        order = [i for i, name in enumerate(axes) if name not in names] + [list(axes).index(name) for name in names]
        count = 1
        for name in names:
            count *= axes[name]
        places = _iota(list(axes.values()), order, count)
        if not found[2]:
            return tuple(places)
        dims, order = list(map(int, found[2].split(","))), list(map(int, found[3].split(",")))
        return tuple(_iota(dims, order, max(places) + 1)[place] for place in places)
    return tuple(range(partitions))


def _iota(dims: list[int], order: list[int], count: int) -> list[int]:
    """The first `count` of 0, 1, 2, ... laid out as dims and read in the transposed order."""
    strides = [1] * len(dims)
    for axis in range(len(dims) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * dims[axis + 1]
    ids = []
    for place in range(count):
        left, value = place, 0
        for axis in reversed(order):
            left, index = divmod(left, dims[axis])
            value += index * strides[axis]
        ids.append(value)
    return ids


def sent_bytes(kind: str, result: Sequence[float], ways: int, started: bool) -> float:
    """Bytes a chip sends in a ring over `ways` chips; `started`: the result holds the operand too."""
    total = float(sum(result))
    if kind == "all-gather":
        whole = total * ways / (ways + 1) if started else total
        return whole * (ways - 1) / ways
    if kind == "all-reduce":
        return total * 2 * (ways - 1) / ways
    if kind == "reduce-scatter":
        part = total / (ways + 1) if started else total
        return part * (ways - 1)
    moved = total / 2 if started else total
    return moved if kind == "collective-permute" else moved * (ways - 1) / ways


def read_collective(one: Instruction, kind: str, times: int, waits: bool, partitions: int) -> Collective:
    """The collective of one instruction, which says its shapes and group; the rest is the caller's to know."""
    group, label = read_group(one.text, partitions), _NAME.search(one.text)
    ways, started = len(group), one.op.endswith("-start") and kind != "all-reduce"
    sizes: Sequence[float] = shape_bytes(one.result)
    if kind == "reduce-scatter" and one.op == "all-reduce":
        sizes = [size / ways for size in sizes]
    return Collective(kind, sent_bytes(kind, sizes, ways, started), group, waits, times, label[1] if label else "")


def read_costs(
    text: str,
    copy_cycles: Callable[[int], float] | None = None,
    turns: Callable[[str], int | None] = lambda _: None,
) -> Costs:
    """The costs of one step of a compiled program; copy_cycles(bytes) bounds what a copy of a result may take.

    The compiler's estimates of relayout copies are up to 25 times too high. turns(name of the operation): how often a
    loop runs that the program's numbers decide about; None for its condition's constant.
    """
    entry, computations = read_computations(text)
    partitions = int(found[1]) if (found := re.search(r"num_partitions=(\d+)", text)) else 1
    costs = Costs()

    def trips(instruction: Instruction, condition: str) -> int:
        if known := _TRIPS.search(instruction.text):
            return int(known[1])
        label = _NAME.search(instruction.text)
        if (given := turns(label[1] if label else "")) is not None:
            return given
        bounds = [int(n) for line in computations[condition] for n in _CONSTANT.findall(line.text)]
        return max(bounds, default=1)

    def collective(one: Instruction, kind: str, times: int, waits: bool) -> None:
        found = read_collective(one, kind, times, waits, partitions)
        if len(found.group) > 1:
            costs.collectives.append(found)

    def inside_fusion(name: str, times: int, seen: set[str]) -> None:
        for one in computations.get(name, ()):
            called = dict(_CALLED.findall(one.text))
            if one.op in KINDS:
                # An asynchronous collective stands in every fusion that keeps it going, and is one.
                hidden, channel = "async_collective" in one.text, re.search(r"channel_id=(\d+)", one.text)
                if hidden and channel and channel[1] in seen:
                    continue
                if hidden and channel:
                    seen.add(channel[1])
                # An all-reduce fused with the slice of it that is kept is how a reduce-scatter is written.
                kind = "reduce-scatter" if "all-reduce-scatter" in name else one.op
                collective(one, kind, times, waits=not hidden)
            elif one.op in ("fusion", "async-start") and "calls" in called:
                inside_fusion(called["calls"], times, seen)

    def walk(name: str, times: int) -> None:
        seen: set[str] = set()
        for one in computations.get(name, ()):
            called = dict(_CALLED.findall(one.text))
            kind = one.op.removesuffix("-start")
            if one.op == "while":
                walk(called["body"], times * trips(one, called["condition"]))
            elif one.op == "conditional":
                walk(called.get("true_computation") or called["branch_computations"], times)
            elif one.op == "call":
                walk(called["to_apply"], times)
            elif kind in KINDS:
                collective(one, kind, times, waits=not one.op.endswith("-start"))
            elif one.op in ("fusion", "async-start") and "calls" in called:
                inside_fusion(called["calls"], times, seen)
            elif one.op == "custom-call" and "tpu_custom_call" in one.text:
                label = _NAME.search(one.text)
                costs.custom_calls[label[1] if label else one.name] += times
            if cycles := _CYCLES.search(one.text):
                estimate = float(cycles[1])
                if copy_cycles and (one.op == "copy" or one.name.startswith("copy")):
                    estimate = min(estimate, copy_cycles(sum(shape_bytes(one.result))))
                costs.cycles += estimate * times

    walk(entry, 1)
    return costs
