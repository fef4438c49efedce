"""python -m codex_jax.sample: completions of a benchmark's prompts, of a pipe's, or of one prompt on the terminal."""

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from codex_jax import cli, terminal
from codex_jax.config import Dtype, HostsConfig, MeshConfig
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.problems.load import Benchmark, load_problems
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams, check_seed
from codex_jax.sampling.pipe import sample_lines
from codex_jax.sampling.sampler import COPIES, load_engine, task_key
from codex_jax.sampling.samples_file import Output, fingerprint, to_row
from codex_jax.sampling.stops import PAPER_STOPS
from codex_jax.storage.jsonl import Json

STDOUT = Path("-")


@dataclass(frozen=True)
class Args:
    """Draws completions from a trained run."""

    run: Path  # run folder written by codex_jax.train
    # humaneval, FILE.jsonl[.gz] in its, EvalPlus's or MBPP's form, mbpp:FILE.json, apps:DIR, or -: lines of stdin,
    # answered on stdout as they come
    problems: str = ""
    prompt: str = ""  # one prompt instead of problems; its completions stream to the terminal
    n: int = 1  # samples a prompt
    temperature: float = 0.8  # 0 is greedy
    top_p: float = 0.95  # nucleus mass, above 0 and at most 1
    top_k: int = 0  # most probable tokens that are kept, before the nucleus; 0: all
    max_new_tokens: int = 300  # tokens a sample
    min_new_tokens: int = 0  # the first so many tokens end no sample
    seed: int = 0
    batch: int = 100  # samples drawn together by each copy of the model
    truncate_left: bool = False  # drop the beginning of a prompt that is longer than the context
    skip_long: bool = False  # leave out problems whose prompt leaves no room in the context
    out: Path | None = None  # samples.jsonl to write; with --problems - it is stdout
    resume: bool = False  # go on where a killed run stopped; what is in OUT or OUT.partial is kept
    stop: tuple[str, ...] | None = None  # strings that end a completion; by default the benchmark's, or the paper's
    dtype: Dtype | None = None  # of products, weights and cache; default: the run's compute dtype
    int8: bool = False  # the layers' weights in int8, a scale for each output
    mesh: MeshConfig = COPIES  # copies of the model, and the devices that each is split over
    hosts: HostsConfig = field(default_factory=HostsConfig)

    def how(self, stops: tuple[str, ...] = PAPER_STOPS) -> SamplingParams:
        """As the sampler takes it. stops: where none are given."""
        stops = stops if self.stop is None else self.stop
        return SamplingParams(self.temperature, self.top_p, self.max_new_tokens, stops, self.top_k, self.min_new_tokens)

    @property
    def piped(self) -> bool:
        """Whether problems come on stdin."""
        return self.problems == "-"

    def check(self) -> None:
        """InputError for flags that do not go together, and for numbers that cannot be sampled with."""
        if bool(self.problems) == bool(self.prompt):
            raise InputError("give either --problems humaneval|FILE.jsonl with --out, --problems -, or --prompt TEXT")
        if self.piped and (self.resume or self.out not in (None, STDOUT)):
            raise InputError(
                "--problems - writes to stdout and goes without --out FILE and --resume: redirect it, > FILE"
            )
        if self.problems and not self.piped and self.out in (None, STDOUT):
            raise InputError("--problems needs --out samples.jsonl")
        for name in ("n", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, not {getattr(self, name)}")
        self.how().check()
        check_seed(self.seed)


def settings_of(args: Args, how: SamplingParams, origin: Json) -> list[Any]:
    """What tells a prompt's samples from others, but for the prompt."""
    return [origin, dataclasses.asdict(how), args.seed, args.truncate_left]


def encode_prompts(benchmark: Benchmark, engine: Engine, how: SamplingParams, args: Args) -> dict[str, list[int]]:
    """The tokens of each prompt by task; InputError names the one that does not fit, unless it is to be left out."""
    prompts = {}
    for name, task in benchmark.problems.items():
        try:
            prompts[name] = engine.encode(task.prompt, how, args.truncate_left)
        except InputError as error:
            if not args.skip_long:
                raise InputError(f"{name}: {error}, or leave it out with --skip-long") from None
            if jax.process_index() == 0:
                print(f"{name} left out: {error}", file=sys.stderr)
    if not prompts:
        raise InputError(f"no prompt of {args.problems} leaves room in the context: train a model with a longer one")
    return prompts


def sample_problems(args: Args, benchmark: Benchmark, engine: Engine, origin: Json) -> None:
    """Writes args.out: line by line beside it, then whole and in order. The first of several hosts writes."""
    assert args.out is not None
    out, how = args.out, args.how(benchmark.stops)
    prompts = encode_prompts(benchmark, engine, how, args)
    names, settings = list(prompts), settings_of(args, how, origin)
    fingerprints = {name: fingerprint(settings, benchmark.problems[name].prompt) for name in names}
    outputs: list[Output] = []

    def open_output() -> None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            outputs.append(Output(out, fingerprints, args.resume))
        except OSError as error:
            raise InputError(f"cannot write {out}: {error.strerror}") from None

    hosts.on_first(open_output)
    there = np.zeros((len(names), args.n), bool)
    for output in outputs:
        there[:] = [[(name, number) in output.rows for number in range(args.n)] for name in names]
    there = hosts.of_first(there)
    requests = [
        SampleRequest(tokens, task_key(name), np.flatnonzero(~own).tolist())
        for (name, tokens), own in zip(prompts.items(), there, strict=True)
    ]
    began, tokens = time.monotonic(), 0

    def rows() -> Iterator[Json]:
        nonlocal tokens
        with terminal.progress("sample", int((~there).sum()), shown=bool(outputs)) as report:
            for request, number, sample in engine.sample(requests, how, args.seed, args.batch):
                yield to_row(names[request], number, sample, args.temperature)
                tokens += sample.tokens
                report(1, f"{tokens / (time.monotonic() - began):,.0f} tokens/s")

    if not outputs:
        for _ in rows():
            pass
        return
    try:
        outputs[0].write(rows())
        outputs[0].finish(names)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}") from None
    seconds = time.monotonic() - began
    kept = f"{len(names)} problems x {args.n} samples"
    cache = f"{engine.bytes_a_sample(how) / 2**20:.1f} MiB of keys and values a sample"
    print(f"{out}: {kept}, {tokens:,} tokens, {seconds:.0f} s, {cache}")


def sample_prompt(args: Args, engine: Engine) -> None:
    """Prints each completion as it grows; the first of several hosts does."""
    tokens = engine.encode(args.prompt, args.how(), args.truncate_left)
    show = partial(print, end="", flush=True) if jax.process_index() == 0 else lambda text: None
    number = 0
    show(args.prompt)
    for piece in engine.stream(SampleRequest(tokens, task_key(""), range(args.n)), args.how(), args.seed):
        if isinstance(piece, str):
            show(piece)
            continue
        note = f"sample {number}: {piece.finish}, {piece.tokens} tokens, mean log p {piece.mean_logp:.3f}"
        number += 1
        show(f"\n[{note}]\n\n" + (args.prompt if number < args.n else ""))


def sample_stdin(args: Args, engine: Engine, origin: Json) -> None:
    """Answers the lines of stdin on stdout as they come."""
    how = args.how()
    encode = partial(engine.encode, how=how, truncate_left=args.truncate_left)
    draws = partial(engine.sample, how=how, seed=args.seed, batch=args.batch)
    settings = settings_of(args, how, origin)

    def row(task_id: str, number: int, sample: Sample, prompt: str) -> Json:
        return {
            **to_row(task_id, number, sample, args.temperature),
            "fingerprint": fingerprint(settings, prompt),
        }

    sample_lines(sys.stdin.fileno(), sys.stdout, encode, draws, args.n, row)


def main(args: Args) -> None:
    """The command."""
    args.check()
    benchmark = load_problems(args.problems) if args.problems and not args.piped else None
    hosts.join(args.hosts)
    if args.piped and jax.process_count() > 1:
        raise InputError("--problems - is for one host: give a file, which every host can read")
    engine, origin = load_engine(args.run, args.mesh, args.dtype, args.int8)
    if args.piped:
        sample_stdin(args, engine, origin)
    elif benchmark:
        sample_problems(args, benchmark, engine, origin)
    else:
        sample_prompt(args, engine)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run(main, Args))
