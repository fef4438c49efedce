"""A plan of the sampler as a table."""

from typing import Any

from rich import box
from rich.filesize import decimal
from rich.table import Table

from codex_jax import terminal
from codex_jax.planning.plan_tables import gib, shown_mesh
from codex_jax.planning.token_step import PASSES, PROBLEMS, SAMPLES, TOKENS


def show_decoding(result: dict[str, Any]) -> None:
    """Prints one plan."""
    weights = f"{result['dtype']}{', layers in int8' if result['int8'] else ''}"
    rows = f"{result['rows']} samples of {result['prompts']} prompts at a time"
    title = f"{result['topology']}: {result['chips']} chips, mesh {shown_mesh(result['mesh'])}, {weights}, {rows}"
    table = Table("per chip", "", box=box.SIMPLE)
    table.columns[1].justify = "right"
    table.add_row("weights", gib(result["weight_bytes"]))
    too_much = "" if result["loads"] else ": does not fit"
    table.add_row("while they are loaded", gib(result["loading_bytes"]) + too_much)
    table.add_row(f"prompts, {result['places']} tokens each", gib(result["prefix_bytes"]))
    table.add_row(f"samples, {result['slots']} tokens each", gib(result["suffix_bytes"]))
    table.add_row("a sample", f"{result['bytes_a_sample'] / 2**20:.1f} MiB")
    if result["padding_bytes"]:
        table.add_row("their padding, and tables", gib(result["padding_bytes"]))
    table.add_row("temporary, a step", gib(result["temporary_bytes"]))
    table.add_row("temporary, a prefill", gib(result["prefill_temporary_bytes"]))
    verdict = f"{1 - result['peak_bytes'] / result['hbm_bytes']:.0%} free" if result["fits"] else "does not fit"
    table.add_row("peak", f"{gib(result['peak_bytes'])} of {gib(result['hbm_bytes'])}: {verdict}")
    table.add_row("largest --batch, by arithmetic", f"{result['largest_batch']:,}")
    if result["step"]:
        step = result["step"]
        table.add_row("a step reads", f"{decimal(step['read_bytes'])}: {step['read_seconds'] * 1e3:.2f} ms")
        table.add_row("FLOPs", f"{step['flops']:.2e}: {step['flop_seconds'] * 1e3:.2f} ms")
        table.add_row("estimated cycles", f"{step['cycles']:,}: {step['cycle_seconds'] * 1e3:.2f} ms")
        for kind, count in step["collective_bytes"].items():
            if count:
                table.add_row(f"sent by {kind}", decimal(count))
        table.add_row("communication that waits", f"{step['waiting_seconds'] * 1e3:.2f} ms")
        table.add_row("projected step, a token of every sample", f"{step['seconds'] * 1e3:.2f} ms")
        table.add_row("tokens/s, all chips", f"{step['tokens_per_second']:,.0f}")
        table.add_row("with cycles after reading", f"{step['tokens_per_second_slow']:,.0f}")
        table.add_row("prefill of a prompt", f"{result['prefill_seconds'] * 1e3:.1f} ms")
        label = f"HumanEval, {PROBLEMS} x {SAMPLES} samples of {TOKENS} tokens"
        table.add_row(label, f"{result['human_eval_seconds'] / 60:.1f} min")
    table.add_row("compiled in", f"{result['compile_seconds']:.0f} s")
    out = terminal.tables()
    out.print(title, highlight=False)
    out.print(table)
    if result["step"]:
        print(
            "a step is the longest of reading, FLOPs and cycles, plus communication; all slots of samples are read,\n"
            f"a nucleus takes {PASSES} passes, and no row is ever idle (see codex_jax/planning/token_step.py)"
        )
