"""python -m codex_jax.plan EXPERIMENT.py --topology v5e:16x16 [flags]: memory and speed of a run on a TPU slice.

Compiles the training step for a slice that this machine does not have. Prints memory per chip, the bytes that
collectives send, and projected step time, MFU and tokens/s. Every flag of codex_jax.train works too.

The default slice is the experiment's `topology`. If it has none, or with --topology any, lists the smallest slice of
each kind of chip that is estimated to fit. --search compiles the most promising meshes, remat policies and other
settings. --decode plans sampling 200 samples of each HumanEval problem instead of training. If the experiment's data is
missing, sequences are as long as --model.context and the vocabulary is p50k's.

Exit codes: 0: it fits; 1: it does not fit; 2: bad input. docs/planning.md explains how every figure is computed.
"""

import dataclasses
import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from codex_jax import cli, terminal
from codex_jax.config import differences
from codex_jax.errors import InputError
from codex_jax.parallel import numerics
from codex_jax.planning import plan_tables
from codex_jax.planning.candidates import FREE, Candidate, smallest
from codex_jax.planning.changes import experiment_lines, flags, plan_command, run_arguments
from codex_jax.planning.chips import parse_topology, prepare_environment
from codex_jax.planning.decode_plan import DecodeSettings, plan_decoding
from codex_jax.planning.search import SearchSettings, search
from codex_jax.planning.training_plan import Job, job_of, plan_training
from codex_jax.runs.folder import load_settings
from codex_jax.sampling.sampler import COPIES


@dataclass(frozen=True)
class PlanConfig(cli.ExperimentArgs):
    """A run, and the slice to plan it for."""

    load = staticmethod(load_settings)  # of an experiment file or a run folder

    json: bool = False  # print one JSON object
    hlo: str = ""  # file for the compiled program's text
    search: bool = False  # find the best mesh, remat policy and other settings for the slice
    decode: bool = False  # plan sampling instead of training
    search_settings: Annotated[SearchSettings, tyro.conf.arg(name="")] = field(default_factory=SearchSettings)
    decode_settings: Annotated[DecodeSettings, tyro.conf.arg(name="")] = field(default_factory=DecodeSettings)


def say(line: str) -> None:
    """Prints a line on stderr."""
    terminal.note(line)


def suggestion(found: Candidate) -> dict[str, Any]:
    """A slice and the flags to use there, as JSON."""
    return {"topology": found.topology, "flags": flags(found.settings)}


def list_slices(job: Job, args: PlanConfig) -> bool:
    """Prints the smallest slices that fit; returns whether there are any."""
    found = smallest(job)
    if args.json:
        sizes = [one.memory.total * parse_topology(one.topology).chip.cores for one in found]
        rows = [suggestion(one) | {"estimated_bytes": size} for one, size in zip(found, sizes, strict=True)]
        print(json.dumps({"fits": bool(rows), "suggestions": rows}))
    elif found:
        plan_tables.show_suggestions(found, run_arguments(args))
    else:
        say("no known slice can hold this run: increase --accumulation or use a smaller model")
    return bool(found)


def plan_step(job: Job, args: PlanConfig) -> bool:
    """Prints the plan of training and, if it does not fit, settings that would fit; returns whether it fits."""
    plan = plan_training(job, args.topology, args.hlo, say)
    # If the estimate fits but the plan does not, the estimate is too low: allow it only 1/1.5 of the usual memory.
    kind = args.topology.partition(":")[0]
    better = [] if plan.fits else smallest(job, [kind], free=1 - (1 - FREE) / 1.5)
    if args.json:
        print(json.dumps(plan.to_json() | ({"suggestion": suggestion(better[0])} if better else {})))
    else:
        plan_tables.show(plan, f"remat {plan.remat}")
        for one in better:
            command = plan_command(run_arguments(args), one.topology, one.settings)
            terminal.say(f"by the estimate this fits: {command}")
    return plan.fits


def plan_sampler(job: Job, args: PlanConfig) -> bool:
    """Prints the plan of sampling; returns whether it fits."""
    plan = plan_decoding(job.config.model, job.config.mesh, args.decode_settings, args.topology, args.hlo, say)
    if args.json:
        print(json.dumps(plan.to_json()))
    else:
        plan_tables.show(plan, f"{plan.dtype}{', layers in int8' if plan.int8 else ''}")
    return plan.fits


def best_plan(job: Job, args: PlanConfig) -> bool:
    """Searches and prints the compiled plans; returns whether the best one fits."""
    with terminal.progress(f"plans for {args.topology}", args.search_settings.compile) as report:
        tried, interrupted = search(job, args.topology, args.search_settings, report)
    fits = bool(tried) and tried[0].fits
    if args.json:
        print(json.dumps({"fits": fits, "interrupted": interrupted, "plans": [one.to_json() for one in tried]}))
    else:
        plan_tables.show_search(tried)
        if fits:
            print("the best as flags:", shlex.join(flags(tried[0].candidate.settings)) or "(none)")
            print("and in an experiment file:")
            print("\n".join(f"    {line}" for line in experiment_lines(tried[0].candidate.settings)))
    if interrupted:
        say("interrupted")
        sys.stdout.flush()
        os._exit(130)  # a normal exit would wait for the compiler thread
    return fits


def main(args: PlanConfig) -> int:
    """Runs the command."""
    prepare_environment()
    numerics.fix()
    args.search_settings.check()
    run = args.config()
    if args.decode:
        # The experiment's mesh is for training, so flags change the sampler's default mesh instead.
        run = dataclasses.replace(run, mesh=dataclasses.replace(COPIES, **differences(args.defaults.mesh, args.mesh)))
    if args.data.path == args.defaults.data.path and not Path(args.data.path.partition("@")[0]).exists():
        # The experiment's own data may be missing on this machine.
        run = dataclasses.replace(run, data=dataclasses.replace(args.data, path=""))
    job, any_slice = job_of(run), args.topology in ("", "any")
    if args.search and any_slice:
        raise InputError("--search needs a slice: --topology CHIP:SHAPE, such as v5e:16x16")
    if args.decode and (any_slice or args.search):
        raise InputError("--decode needs a slice, --topology CHIP:SHAPE such as v5e:2x2, and has no --search")
    if any_slice:
        return 0 if list_slices(job, args) else 1
    parse_topology(args.topology)
    act = plan_sampler if args.decode else best_plan if args.search else plan_step
    return 0 if act(job, args) else 1


if __name__ == "__main__":
    sys.exit(cli.run_experiment(main, PlanConfig))
