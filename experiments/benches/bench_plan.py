"""Calibration and cost of codex_jax.plan: python experiments/benches/bench_plan.py --parts products stream memory.

Needs libtpu (make EXTRA=tpu install) and no TPU. Parts:
- products: the speed of chains of bfloat16 matrix products, by the compiler's cycles
- stream: the speed of a stream through HBM, by the compiler's cycles
- memory: the estimate of codex_jax.planning.memory, compared with the compiler's
- compile: time and memory of compiling the 12b step
- depth: compile time with 4 and with 40 layers
- sizes: the plan of every experiment of experiments/codex.py for its own slice
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.config import MeshConfig, OptimizerConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.model.sizes import SIZES
from codex_jax.planning.chips import parse_topology, prepare_environment, slice_devices
from codex_jax.planning.hlo import read_costs
from codex_jax.planning.memory import estimate

EXPERIMENTS = Path(__file__).parents[1]
SMALLEST = {"v3": "v3:2x2", "v4": "v4:2x2x1", "v5e": "v5e:2x2", "v5p": "v5p:2x2x1", "v6e": "v6e:2x2"}
SIDE, CHAIN = 8192, 4  # rows of each square matrix, and the number of products in a chain
STREAM = 2**28  # float32 numbers that are read and written
Part = Literal["products", "stream", "memory", "compile", "depth", "sizes"]

# size, slice, mesh, sequences, remat policy, other settings
CASES: tuple[tuple[str, str, dict[str, int], int, str, dict[str, Any]], ...] = (
    ("300m", "v5e:2x4", {"fsdp": 8}, 16, "full", {}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 16, "attention", {}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 16, "qkv", {}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 16, "dots", {}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 16, "dots_attention", {}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 16, "none", {}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 64, "full", {"loss_chunks": 4}),
    ("300m", "v5e:2x4", {"fsdp": 4, "model": 2}, 32, "full", {"loss_chunks": 4}),
    ("300m", "v5e:2x4", {"fsdp": 4, "sequence": 2}, 32, "dots", {"loss_chunks": 4}),
    ("300m", "v5e:2x4", {"data": 8, "fsdp": 1}, 32, "dots", {"loss_chunks": 4}),
    ("300m", "v5e:2x4", {"fsdp": 8}, 32, "full", {"accumulation": 2}),
    ("2.5b", "v5e:4x4", {"fsdp": 16}, 32, "full", {"loss_chunks": 4}),
    ("2.5b", "v5e:4x4", {"fsdp": 16}, 32, "attention", {"optimizer": OptimizerConfig(first_moment_dtype="bfloat16")}),
    ("12b", "v5e:16x16", {"data": 2, "fsdp": 128}, 256, "full", {}),
    ("12b", "v5e:16x16", {"data": 2, "fsdp": 128}, 256, "dots", {"loss_chunks": 4}),
    ("12b", "v4:4x4x4", {"fsdp": 64}, 64, "dots_attention", {"loss_chunks": 4}),
)


@dataclass(frozen=True)
class Args:
    """Prints a table for each part."""

    parts: tuple[Part, ...] = ("products", "stream", "memory", "compile", "depth", "sizes")
    json: bool = False  # print one JSON object instead of tables


def compiled_seconds(topology: str, function: Any, *shapes: tuple[tuple[int, ...], str]) -> float:
    """Seconds that function takes on one core, by the compiler's cycles. shapes: (shape, dtype) of its arguments."""
    import jax
    from jax.sharding import SingleDeviceSharding

    chip, _ = parse_topology(topology)
    sharding = SingleDeviceSharding(slice_devices(topology)[0])
    arguments = [jax.ShapeDtypeStruct(shape, dtype, sharding=sharding) for shape, dtype in shapes]
    return read_costs(jax.jit(function).lower(*arguments).compile().as_text()).cycles / chip.clock


def products() -> list[dict[str, Any]]:
    """The fraction of each chip's peak at which a chain of matrix products runs."""
    rows = []
    for kind, topology in SMALLEST.items():
        chip, _ = parse_topology(topology)
        square = ((SIDE, SIDE), "bfloat16")

        def chain(x: Any, *matrices: Any) -> Any:
            for matrix in matrices:
                x = x @ matrix
            return x

        seconds = compiled_seconds(topology, chain, *(square,) * (CHAIN + 1))
        rate = CHAIN * 2 * SIDE**3 / seconds * chip.cores
        rows.append({"chip": kind, "TFLOP/s": round(rate / 1e12), "of peak": round(rate / chip.peak_flops, 3)})
    return rows


def stream() -> list[dict[str, Any]]:
    """The fraction of each chip's HBM bandwidth at which a stream runs."""
    rows = []
    for kind, topology in SMALLEST.items():
        chip, _ = parse_topology(topology)
        seconds = compiled_seconds(topology, lambda x: x * 2 + 1, ((STREAM,), "float32"))
        rate = 2 * 4 * STREAM / seconds * chip.cores
        rows.append({"chip": kind, "GB/s": round(rate / 1e9), "of bandwidth": round(rate / chip.hbm_bandwidth, 3)})
    return rows


def memory() -> list[dict[str, Any]]:
    """The estimated memory compared with the compiler's."""
    from codex_jax.planning.training_plan import Job, plan_training

    rows = []
    with terminal.progress("memory", len(CASES)) as report:
        for size, topology, mesh, sequences, remat, other in CASES:
            model = dataclasses.replace(
                SIZES[size][0],
                vocab_size=50_304,
                compute_dtype="bfloat16",
                gather_dtype="bfloat16",
                remat=remat,  # type: ignore[arg-type]
            )
            config = TrainConfig(model=model, mesh=MeshConfig(**mesh), batch_size=sequences, **other)
            plan = plan_training(Job(config, model.context), topology)
            guess = estimate(config, plan.mesh, model.context).total * parse_topology(topology).chip.cores
            rows.append(
                {
                    "size": size,
                    "slice": topology,
                    "mesh": " x ".join(f"{axis} {count}" for axis, count in mesh.items()),
                    "sequences": sequences,
                    "remat": remat,
                    "others": ", ".join(key for key in other),
                    "estimate GiB": round(guess / 1024**3, 2),
                    "compiled GiB": round(plan.peak_bytes / 1024**3, 2),
                    "ratio": round(guess / plan.peak_bytes, 2),
                }
            )
            report(1)
    return rows


def plan_in_process(experiment: str, *flags: str) -> dict[str, Any]:
    """The output of plan --json; also the seconds, cpu_seconds and host_gib (peak memory) of its process."""
    command = [sys.executable, "-m", "codex_jax.plan", experiment, "--json", *flags]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == 2:
        raise InputError(f"{' '.join(command)} failed: run it to see why")
    spent = {"seconds": time.monotonic() - began, "cpu_seconds": usage.ru_utime + usage.ru_stime}
    return json.loads(output) | spent | {"host_gib": usage.ru_maxrss / 1024**2}


def compile_12b() -> list[dict[str, Any]]:
    """Time and memory of compiling 12b for two slices, with one microbatch that nearly fills the memory."""
    rows = []
    for topology, flags in (
        ("v5e:16x16", ("--batch-size", "256")),
        ("v4:4x4x4", ("--batch-size", "128", "--loss-chunks", "4")),
    ):
        one = ("--topology", topology, "--accumulation", "1", *flags)
        result = plan_in_process(f"{EXPERIMENTS}/codex.py:12b", *one)
        mfu = {"MFU": rounded(result["mfu"]), "with slow kernels": rounded(result["mfu_slow_kernels"])}
        rows.append(costs(f"{topology} {' '.join(one[2:])}", result) | mfu)
    return rows


def costs(label: str, result: dict[str, Any]) -> dict[str, Any]:
    """One table row: the time and memory of planning."""
    return {
        "": label,
        "compile s": round(result["compile_seconds"], 1),
        "all s": round(result["seconds"], 1),
        "CPU s": round(result["cpu_seconds"], 1),
        "host GiB": round(result["host_gib"], 2),
        "HBM free": f"{1 - result['peak_bytes'] / result['hbm_bytes']:.0%}",
    }


def rounded(value: float | None) -> float | None:
    """Rounded to three decimals."""
    return None if value is None else round(value, 3)


def depth() -> list[dict[str, Any]]:
    """Compile time by the number of layers."""
    flags = ("--topology", "v5e:16x16")
    runs = {n: plan_in_process(f"{EXPERIMENTS}/codex.py:12b", *flags, "--model.layers", str(n)) for n in (4, 40)}
    rows = [costs(f"{n} layers", result) for n, result in runs.items()]
    # CPU time is comparable when other work runs on the machine.
    keys = {"compile s": "compile_seconds", "CPU s": "cpu_seconds"}
    return [*rows, {"": "40 over 4"} | {label: round(runs[40][key] / runs[4][key], 2) for label, key in keys.items()}]


def sizes() -> list[dict[str, Any]]:
    """The plan of each experiment for its own slice."""
    rows = []
    for size in SIZES:
        result = plan_in_process(f"{EXPERIMENTS}/codex.py:{size}")
        if "topology" not in result:
            raise InputError(f"experiments/codex.py:{size} defines no `topology`")
        speed = result["tokens_per_second"]
        rows.append(
            {
                "size": size,
                "slice": result["topology"],
                "peak GiB": round(result["peak_bytes"] / 1024**3, 2),
                "HBM GiB": result["hbm_bytes"] // 1024**3,
                "step s": rounded(result["step_seconds"]),
                "MFU": rounded(result["mfu"]),
                "tokens/s": f"{speed:,.0f}" if speed else "does not fit",
                "days, 100B": round(result["days_for_100b_tokens"], 1) if speed else "",
                "compile s": round(result["compile_seconds"]),
            }
        )
    return rows


PARTS: dict[str, Any] = {
    "products": products,
    "stream": stream,
    "memory": memory,
    "compile": compile_12b,
    "depth": depth,
    "sizes": sizes,
}


def main(args: Args) -> None:
    """The command."""
    prepare_environment()
    tables = {}
    for part in args.parts:
        rows = tables[part] = PARTS[part]()
        if not args.json:
            columns = list(dict.fromkeys(key for row in rows for key in row))
            table = Table(*columns, title=part)
            for row in rows:
                table.add_row(*(str(row.get(column, "")) for column in columns))
            terminal.tables().print(table)
    if args.json:
        print(json.dumps(tables))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
