"""Plans as tables a person can read."""

from typing import Any

from rich import box
from rich.filesize import decimal
from rich.table import Table

from codex_jax import terminal
from codex_jax.config import TrainConfig
from codex_jax.parallel.mesh import AXES
from codex_jax.planning.candidates import FREE, Candidate, changes
from codex_jax.planning.chips import chips_of, parse_topology


def gib(count: int) -> str:
    """Bytes as GiB."""
    return f"{count / 1024**3:.2f} GiB"


def shown_mesh(mesh: dict[str, int]) -> str:
    """The axes that split anything."""
    return " x ".join(f"{name} {size}" for name, size in mesh.items() if size > 1) or "1 device"


def show(result: dict[str, Any]) -> None:
    """Prints one plan."""
    how = f"mesh {shown_mesh(result['mesh'])}, remat {result['remat']}, {result['tokens_per_step']:,} tokens a step"
    title = f"{result['topology']}: {result['chips']} chips, {how}"
    table = Table("per chip and step", "", box=box.SIMPLE)
    table.columns[1].justify = "right"
    table.add_row("parameters", gib(result["parameter_bytes"]))
    table.add_row("optimizer", gib(result["optimizer_bytes"]))
    if result["host_bytes"]:
        table.add_row("optimizer, in the host's memory", gib(result["host_bytes"]))
    table.add_row("activations, temporary", gib(result["temporary_bytes"]))
    verdict = f"{1 - result['peak_bytes'] / result['hbm_bytes']:.0%} free" if result["fits"] else "does not fit"
    table.add_row("peak", f"{gib(result['peak_bytes'])} of {gib(result['hbm_bytes'])}: {verdict}")
    table.add_row("model FLOPs (causal half, nothing twice)", f"{result['model_flops']:.3e}")
    if result["step_seconds"] is not None:
        for kind, count in result["collective_bytes"].items():
            if count:
                table.add_row(f"sent by {kind}", decimal(count))
        table.add_row("estimated cycles", f"{result['cycles']:,}")
        for label, key in (
            ("compute", "compute"),
            ("of which attention kernels", "kernel"),
            ("communication that waits", "waiting"),
            ("communication beside compute", "asynchronous"),
            ("moments to and from the host", "host"),
            ("projected step", "step"),
        ):
            if result[f"{key}_seconds"] or key != "host":
                table.add_row(label, f"{result[f'{key}_seconds']:.3f} s")
        table.add_row("projected MFU", f"{result['mfu']:.3f}")
        table.add_row("with attention kernels at 0.2 of peak", f"{result['mfu_slow_kernels']:.3f}")
        table.add_row("tokens/s, all chips", f"{result['tokens_per_second']:,.0f}")
        table.add_row("days for 100 billion tokens", f"{result['days_for_100b_tokens']:.1f}")
    table.add_row("compiled in", f"{result['compile_seconds']:.0f} s")
    out = terminal.tables()
    out.print(title, highlight=False)
    out.print(table)
    if result["step_seconds"] is not None:
        print(
            "projected from the compiler's cycles, attention kernels at half the peak, links as published, and\n"
            "asynchronous communication beside compute; without input, evaluation and checkpoints (see --help)"
        )


def show_suggestions(base: TrainConfig, found: list[Candidate], command: str) -> None:
    """Prints the smallest slice of each kind of chip, and the commands that compile for them."""
    table = Table("slice", "chips", "mesh", "remat", "microbatches", "estimated", "HBM", box=box.SIMPLE)
    for column in (1, 4, 5, 6):
        table.columns[column].justify = "right"
    for one in found:
        chip, _ = parse_topology(one.topology)
        mesh = shown_mesh({axis: getattr(one.config.mesh, axis) for axis in AXES})
        estimate = gib(one.memory.total * chip.cores)
        table.add_row(
            one.topology,
            str(chips_of(one.topology)),
            mesh,
            one.config.model.remat,
            str(one.config.accumulation),
            estimate,
            gib(chip.hbm_bytes),
        )
    out = terminal.tables()
    out.print(f"the smallest slices with {FREE:.0%} of HBM free by estimates; to compile for them:", highlight=False)
    out.print(table)
    for one in found:
        print(command_for(base, one, command))


def command_for(base: TrainConfig, one: Candidate, command: str) -> str:
    """The plan command of a candidate."""
    return " ".join([f"python -m codex_jax.plan {command}", "--topology", one.topology, *changes(base, one.config)])


def show_search(rows: list[dict[str, Any]]) -> None:
    """Prints the ranked rows."""
    table = Table("mesh", "remat", "others", "peak", "step", "MFU", "compiled", box=box.SIMPLE)
    for column in range(3, 7):
        table.columns[column].justify = "right"
    for row in rows:
        flags = row["flags"]
        pairs = [(flag, flags[n + 1] if n + 1 < len(flags) else "") for n, flag in enumerate(flags) if flag[:2] == "--"]
        others = [
            flag.rpartition(".")[2].removeprefix("--") + ("" if value.startswith("--") or not value else f" {value}")
            for flag, value in pairs
            if not flag.startswith("--mesh.") and flag != "--model.remat"
        ]
        done = row["step_seconds"] is not None
        table.add_row(
            shown_mesh(row.get("mesh", {})),
            row["remat"],
            ", ".join(others),
            gib(row["peak_bytes"]) if "peak_bytes" in row else "",
            f"{row['step_seconds']:.3f} s" if done else row.get("error", "does not fit"),
            f"{row['mfu']:.3f}" if done else "",
            f"{row['compile_seconds']:.0f} s" if "compile_seconds" in row else "",
        )
    terminal.tables().print(table)


def run_flags(args: list[str]) -> list[str]:
    """The arguments of plan without those that train does not have."""
    kept, skip = [], False
    for arg in args:
        name = arg.partition("=")[0]
        if skip:
            skip = False
        elif name in ("--topology", "--hlo", "--compile", "--free"):
            skip = "=" not in arg
        elif name not in ("--json", "--search", "--change-optimizer"):
            kept.append(arg)
    return kept


def config_lines(flags: list[str]) -> list[str]:
    """--model.remat dots --mesh.data 2 ... -> model=ModelConfig(..., remat="dots"), and so on."""
    classes = {"model": "ModelConfig", "mesh": "MeshConfig", "optimizer": "OptimizerConfig"}
    parts: dict[str, list[str]] = {}
    for n, flag in enumerate(flags):
        if not flag.startswith("--"):
            continue
        value = flags[n + 1] if n + 1 < len(flags) and not flags[n + 1].startswith("--") else "True"
        section, _, name = flag.removeprefix("--").replace("-", "_").rpartition(".")
        shown = value if value == "True" or value.replace(".", "").lstrip("-").isdigit() else f'"{value}"'
        parts.setdefault(section, []).append(f"{name}={shown}")
    lines = [f"{name}," for name in parts.pop("", [])]
    for section, settings in parts.items():
        before = "" if section == "mesh" else "..., "
        lines.append(f"{section}={classes[section]}({before}{', '.join(settings)}),")
    return lines
