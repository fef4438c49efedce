"""python -m codex_jax.plan EXPERIMENT.py --topology v5e:16x16 [flags]: what a run would take on a TPU slice.

Compiles the real training step for a slice that need not be here: bytes a chip against HBM, bytes that each kind of
collective sends, the compiler's cycles, projected step time, MFU and tokens/s. Every flag of codex_jax.train works.
Exits 1 where it does not fit. Without --topology the experiment's own `topology` is taken; with --topology any, or
where it has none, the smallest slice of each kind of chip that fits by estimates is listed. --search compiles the best
guesses among meshes, remat policies and levers. Where the experiment's data is not here, sequences are as long as
--model.context and the vocabulary is p50k's. --decode plans the sampler instead, for HumanEval at 200 a problem:
codex_jax/planning/token_step.py says how its figures are made.

- Model FLOPs: 6 for each weight of a matrix product and token, and attention's products with the causal half only;
  nothing is added for what the backward pass computes again. MFU is these over step time and peak.
- Compute time: the compiler's estimated cycles over the clock, copies bounded by the time HBM takes to read and write
  them; Pallas attention kernels, which carry no estimate, at half the peak (less where heads are narrower than the
  matrix unit), and for comparison at a fifth of it.
- Communication: the bytes a chip sends round a ring over the published bandwidth of the torus axes its group spans,
  halved where an axis does not close to a ring. What the compiler made asynchronous runs beside compute, everything
  else waits for it: step = max(compute, asynchronous communication) + waiting communication.

By the same estimates a chain of bf16 matrix products runs at 88 to 97% of peak (v6e: 70%, so its MFU is a low guess),
and a stream through HBM at 71 to 94% of its bandwidth: experiments/benches/bench_plan.py. Input, evaluation and checkpoints are
not counted.
"""

import dataclasses
import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from codex_jax import cli, terminal
from codex_jax.config import Dtype
from codex_jax.errors import InputError
from codex_jax.planning import plan_tables
from codex_jax.planning.candidates import FREE, changes, smallest
from codex_jax.planning.chips import parse_topology, prepare_environment
from codex_jax.planning.compiling import Job, job_of, plan
from codex_jax.planning.decode_plan import DecodeJob, plan_decoding
from codex_jax.planning.decode_table import show_decoding
from codex_jax.planning.search import search
from codex_jax.sampling.params import SamplingParams
from codex_jax.sampling.sampler import COPIES, for_decoding
from codex_jax.sampling.stops import PAPER_STOPS


@dataclass(frozen=True)
class PlanConfig(cli.ExperimentArgs):
    """A run, and the slice to plan it for."""

    json: bool = False  # prints one JSON object
    hlo: str = ""  # a file to write the compiled program's text to
    search: bool = False  # finds the best mesh, remat policy and levers for the slice
    compile: int = 6  # guesses that --search compiles
    free: float = FREE  # part of HBM that --search leaves free
    decode: bool = False  # plans the sampler's programs, not a training step: see the five settings below
    batch: int = 100  # --decode: samples drawn together by each copy of the model
    prompt: int = 285  # --decode: tokens of the longest prompt; 95% of HumanEval's are no longer
    max_new_tokens: int = 300  # --decode: tokens a sample
    dtype: Dtype | None = None  # --decode: of products, weights and cache; default: the run's compute dtype
    int8: bool = False  # --decode: the layers' weights in int8
    change_optimizer: bool = False  # --search may also store the first moment as bfloat16, and moments on the host


def suggest(job: Job, config: PlanConfig, command: str) -> int:
    """Lists the smallest slices that fit; 1 where none does."""
    found = smallest(job)
    if config.json:
        rows = [
            {
                "topology": one.topology,
                "flags": changes(job.config, one.config),
                "estimated_bytes": one.memory.total * parse_topology(one.topology)[0].cores,
            }
            for one in found
        ]
        print(json.dumps({"fits": bool(rows), "suggestions": rows}))
    elif found:
        plan_tables.show_suggestions(job.config, found, command)
    else:
        print("no slice that is known holds this run: more --accumulation or a smaller model would", file=sys.stderr)
    return 0 if found else 1


def one_plan(job: Job, config: PlanConfig, command: str) -> int:
    """Compiles for the slice; 1 and what would fit where it does not."""
    result = plan(job, config.topology, config.hlo, say=lambda line: print(line, file=sys.stderr))
    kind = config.topology.partition(":")[0]
    # The estimate that said so may be low: half as much again stays free.
    better = [] if result["fits"] else smallest(job, [kind], free=1 - (1 - FREE) / 1.5)
    if better:
        result["suggestion"] = {"topology": better[0].topology, "flags": changes(job.config, better[0].config)}
    if config.json:
        print(json.dumps(result))
    else:
        plan_tables.show(result)
        if better:
            print(f"by the estimate this fits: {plan_tables.command_for(job.config, better[0], command)}")
    return 0 if result["fits"] else 1


def best_plan(job: Job, config: PlanConfig) -> int:
    """Searches; 1 where nothing that was compiled fits."""
    with terminal.progress(f"plans for {config.topology}", config.compile) as report:
        rows, interrupted = search(job, config.topology, config.compile, config.free, config.change_optimizer, report)
    fits = bool(rows) and rows[0]["fits"]
    if config.json:
        print(json.dumps({"fits": fits, "interrupted": interrupted, "plans": rows}))
    else:
        plan_tables.show_search(rows)
        if fits:
            print("the best as flags:", shlex.join(rows[0]["flags"]) or "(as it is)")
            print("and in an experiment file:")
            print("\n".join(f"    {line}" for line in plan_tables.config_lines(rows[0]["flags"])))
    if interrupted:
        print("interrupted", file=sys.stderr)
        sys.stdout.flush()
        os._exit(130)  # the compiler, at work in a thread, would not let go
    return 0 if fits else 1


def decode_plan(job: Job, config: PlanConfig) -> int:
    """Compiles what samples; 1 where it does not fit."""
    how = SamplingParams(max_new_tokens=config.max_new_tokens, stops=PAPER_STOPS)
    model = for_decoding(job.config.model, config.dtype)
    decode = DecodeJob(model, config.mesh, config.prompt, config.batch, how, config.int8)
    result = plan_decoding(decode, config.topology, config.hlo, say=lambda line: print(line, file=sys.stderr))
    if config.json:
        print(json.dumps(result))
    else:
        show_decoding(result)
    return 0 if result["fits"] else 1


def main(config: PlanConfig) -> int:
    """The command."""
    prepare_environment()
    experiment = config.defaults
    if config.decode and config.mesh == experiment.mesh:
        config = dataclasses.replace(config, mesh=COPIES)  # the experiment's is for training
    if config.compile < 1 or not 0 <= config.free < 1:
        raise InputError("--compile must be at least 1, and --free from 0 to below 1")
    if config.data.path == experiment.data.path and not Path(config.data.path.partition("@")[0]).exists():
        # The experiment's own data need not be on the machine that plans.
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=""))
    job, command = job_of(config), shlex.join(plan_tables.run_flags(list(config.words)))
    anywhere = config.topology in ("", "any")
    if config.search and anywhere:
        raise InputError("--search needs a slice: --topology CHIP:SHAPE, such as v5e:16x16")
    if config.decode and (anywhere or config.search):
        raise InputError("--decode needs a slice, --topology CHIP:SHAPE such as v5e:2x2, and has no --search")
    if config.decode:
        return decode_plan(job, config)
    if anywhere:
        return suggest(job, config, command)
    parse_topology(config.topology)
    return best_plan(job, config) if config.search else one_plan(job, config, command)


if __name__ == "__main__":
    sys.exit(cli.run_experiment(main, PlanConfig))
