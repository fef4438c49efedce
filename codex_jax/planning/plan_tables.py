"""Prints plans as tables."""

import dataclasses
import typing
from collections.abc import Iterator
from typing import Annotated, Any

from codex_jax import terminal
from codex_jax.planning.candidates import FREE, Candidate
from codex_jax.planning.changes import plan_command
from codex_jax.planning.chips import parse_topology
from codex_jax.planning.compiling import Plan
from codex_jax.planning.search import Tried
from codex_jax.planning.units import FRACTION, GIB, SECONDS


def shown_mesh(mesh: dict[str, int]) -> str:
    """The mesh axes with more than one device, as text."""
    return " x ".join(f"{axis} {size}" for axis, size in mesh.items() if size > 1) or "1 device"


def figures(plan: Any) -> Iterator[list[str]]:
    """Yields [label, value] of nonzero labelled fields, also in nested dataclasses; a dict gives a row per item."""
    hints = typing.get_type_hints(type(plan), include_extras=True)
    for field in dataclasses.fields(plan):
        value = getattr(plan, field.name)
        if dataclasses.is_dataclass(value):
            yield from figures(value)
        if typing.get_origin(hints[field.name]) is Annotated:
            label, unit = hints[field.name].__metadata__
            values = value if isinstance(value, dict) else {"": value}
            yield from ([f"{label} {key}".strip(), unit.text(one)] for key, one in values.items() if one)


def show(plan: Plan, settings: str) -> None:
    """Prints a plan. settings: text for the title, such as the remat policy."""
    verdict = f"fits, with {1 - plan.peak_bytes / plan.hbm_bytes:.0%} of HBM free" if plan.fits else "does not fit"
    terminal.say(f"{plan.topology}: {plan.chips} chips, mesh {shown_mesh(plan.mesh)}, {settings}: {verdict}")
    terminal.show("", [["per chip", ""], *figures(plan)])
    if plan.speed:
        print("projected, not measured: see docs/planning.md for what each figure counts and leaves out")


def show_suggestions(found: list[Candidate], arguments: str) -> None:
    """Prints the smallest slices that fit, and commands that compile for them. arguments: from run_arguments."""
    rows = [["slice", "chips", "mesh", "remat", "microbatches", "estimated", "HBM"]]
    for one in found:
        tpu, config = parse_topology(one.topology), one.config
        mesh = shown_mesh(dataclasses.asdict(config.mesh))
        sizes = GIB.text(one.memory.total * tpu.chip.cores), GIB.text(tpu.chip.hbm_bytes)
        rows.append([one.topology, str(tpu.chips), mesh, config.model.remat, str(config.accumulation), *sizes])
    print(f"the smallest slices that leave {FREE:.0%} of HBM free, by estimates; to compile for them:")
    terminal.show("", rows)
    for one in found:
        terminal.say(plan_command(arguments, one.topology, one.settings))


def show_search(tried: list[Tried]) -> None:
    """Prints ranked plans."""
    rows = [["mesh", "remat", "other settings", "peak", "step", "MFU", "compiled"]]
    for one in tried:
        config, plan = one.candidate.config, one.plan
        settings = {n: value for n, value in one.candidate.settings.items() if n[:5] != "mesh." and n != "model.remat"}
        others = ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in settings.items())
        cells = ["", one.error or "does not fit", "", ""]
        if plan:
            cells[0], cells[3] = GIB.text(plan.peak_bytes), SECONDS.text(plan.compile_seconds)
        if plan and plan.speed:
            cells[1:3] = SECONDS.text(plan.speed.step_seconds), FRACTION.text(plan.speed.mfu)
        rows.append([shown_mesh(dataclasses.asdict(config.mesh)), config.model.remat, others, *cells])
    terminal.show("", rows)
