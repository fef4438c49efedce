"""python -m codex_jax.sample: draws completions of a benchmark's prompts, of prompts from a pipe, or of one prompt."""

import contextlib
import dataclasses
import os
import sys
import time
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
from codex_jax.problems.problem import PAPER_STOPS
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import sample_all, stream_samples
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams, check_seed
from codex_jax.sampling.pipe import sample_lines
from codex_jax.sampling.sampler import COPIES, load_engine, task_key
from codex_jax.sampling.samples_file import SamplesFile, check_out, open_samples_file, sample_fingerprint, to_row
from codex_jax.storage.jsonl import Json
from codex_jax.text.encoding import is_utf8

STDOUT = Path("-")


@dataclass(frozen=True)
class Args:
    """Draws completions from a trained run."""

    run: Path  # run folder written by codex_jax.train
    # humaneval; a FILE.jsonl[.gz] in the form of HumanEval, EvalPlus or MBPP; mbpp:FILE.json; apps:DIR; docstrings:P
    # for the docstrings of benchmark P; or -, which reads prompts from stdin and writes samples to stdout as they are
    # done
    problems: str = ""
    prompt: str = ""  # one prompt instead of problems; its completions are streamed to the terminal
    n: int = 1  # samples per prompt
    temperature: float = 0.8  # 0: greedy
    top_p: float = 0.95  # nucleus mass, above 0 and at most 1
    top_k: int = 0  # keep this many most probable tokens, before top-p; 0: all
    max_new_tokens: int = 300  # tokens per sample
    min_new_tokens: int = 0  # no sample ends before it has this many tokens
    seed: int = 0
    batch: int = 100  # samples drawn together by each copy of the model
    truncate_left: bool = False  # drop the beginning of prompts that do not fit in the context
    skip_long: bool = False  # skip problems whose prompt does not fit in the context
    out: Path | None = None  # samples.jsonl to write; with --problems - samples go to stdout
    resume: bool = False  # keep the samples in OUT and OUT.partial and draw the missing ones
    stop: tuple[str, ...] | None = None  # strings that end a completion; default: the benchmark's, or the paper's
    dtype: Dtype | None = None  # dtype of products, weights and cache; default: the run's compute dtype
    int8: bool = False  # keep the layers' weights in int8, with a scale per output
    mesh: MeshConfig = COPIES  # copies of the model, and the devices that each is split over
    hosts: HostsConfig = field(default_factory=HostsConfig)

    def params(self, stops: tuple[str, ...] = PAPER_STOPS) -> SamplingParams:
        """The sampling parameters. stops: used if there is no --stop."""
        stops = stops if self.stop is None else self.stop
        return SamplingParams(self.temperature, self.top_p, self.max_new_tokens, stops, self.top_k, self.min_new_tokens)

    @property
    def piped(self) -> bool:
        """Whether prompts come from stdin."""
        return self.problems == "-"

    def check(self) -> None:
        """Raises InputError for flags that exclude each other, and for values out of range."""
        if bool(self.problems) == bool(self.prompt):
            raise InputError("give either --problems humaneval|FILE.jsonl with --out, --problems -, or --prompt TEXT")
        if self.piped and (self.resume or self.out not in (None, STDOUT)):
            raise InputError("--problems - writes to stdout and does not take --out or --resume: redirect it, > FILE")
        if self.problems and not self.piped and self.out in (None, STDOUT):
            raise InputError("--problems needs --out samples.jsonl")
        if self.out not in (None, STDOUT):
            check_out(self.out, self.resume)
        for name in ("n", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, not {getattr(self, name)}")
        self.params().check()
        check_seed(self.seed)

    def decoded(self) -> "Args":
        """These arguments with --prompt and --stop as UTF-8, whatever the locale's encoding is."""
        stop = self.stop and tuple(_decoded("--stop", text) for text in self.stop)
        return dataclasses.replace(self, prompt=_decoded("--prompt", self.prompt), stop=stop)


def _decoded(flag: str, text: str) -> str:
    # In a locale without UTF-8, Python reads the bytes of an argument as surrogates.
    try:
        return text if is_utf8(text) else os.fsencode(text).decode()
    except UnicodeError:
        raise InputError(f"{flag} is not UTF-8 text") from None


def fingerprint_settings(args: Args, params: SamplingParams, origin: Json) -> list[Any]:
    """Everything that a sample depends on, except its prompt and number."""
    return [origin, dataclasses.asdict(params), args.seed, args.truncate_left]


def encode_prompts(benchmark: Benchmark, engine: Engine, params: SamplingParams, args: Args) -> dict[str, list[int]]:
    """Each prompt's tokens, by task; InputError for one that does not fit in the context, without --skip-long."""
    prompts = {}
    for name, task in benchmark.problems.items():
        try:
            prompts[name] = engine.encode(task.prompt, params, args.truncate_left)
        except InputError as error:
            if not args.skip_long:
                raise InputError(f"{name}: {error}, or skip it with --skip-long") from None
            if jax.process_index() == 0:
                terminal.note(f"skipped {name}: {error}")
    if not prompts:
        raise InputError(f"no prompt of {args.problems} fits in the context: train a model with a longer one")
    return prompts


def sample_problems(args: Args, benchmark: Benchmark, engine: Engine, origin: Json) -> None:
    """Draws samples of a benchmark and writes them to args.out. Of several hosts, the first one writes."""
    assert args.out is not None
    out, params = args.out, args.params(benchmark.stops)
    prompts = encode_prompts(benchmark, engine, params, args)
    names = list(prompts)
    texts = {name: benchmark.problems[name].prompt for name in names}
    settings = fingerprint_settings(args, params, origin)
    with contextlib.ExitStack() as stack:
        files: list[SamplesFile] = []  # empty on all hosts but the first

        def open_file() -> None:
            files.append(stack.enter_context(open_samples_file(out, settings, texts, args.resume)))

        hosts.on_first(open_file)
        missing = np.ones((len(names), args.n), bool)
        for file in files:
            missing[:] = [[(name, number) not in file.rows for number in range(args.n)] for name in names]
        missing = hosts.of_first(missing)
        requests = [
            SampleRequest(prompts[name], task_key(name), np.flatnonzero(row).tolist())
            for name, row in zip(names, missing, strict=True)
        ]
        start, tokens = time.monotonic(), 0
        with terminal.progress("sample", int(missing.sum()), shown=bool(files)) as report:
            for index, number, sample, _ in sample_all(engine, requests, params, args.seed, args.batch):
                tokens += sample.tokens
                report(1, f"{tokens / (time.monotonic() - start):,.0f} tokens/s")
                name = names[index]
                for file in files:
                    fingerprint = sample_fingerprint(settings, texts[name])
                    file.append(to_row(name, number, sample, args.temperature, fingerprint))
        for file in files:
            file.publish(names)
            seconds, mebibytes = time.monotonic() - start, engine.bytes_per_sample(params) / 2**20
            terminal.say(
                f"{out}: {len(names)} problems x {args.n} samples, {tokens:,} tokens, {seconds:.0f} s, "
                f"{mebibytes:.1f} MiB of keys and values per sample"
            )


def sample_prompt(args: Args, engine: Engine) -> None:
    """Prints the completions of a prompt while they are drawn. Of several hosts, the first one prints."""
    tokens = engine.encode(args.prompt, args.params(), args.truncate_left)

    def show(text: str) -> None:
        if jax.process_index() == 0:
            print(terminal.plain(text, keep="\n\t"), end="", flush=True)

    show(args.prompt)
    request = SampleRequest(tokens, task_key(args.prompt), range(args.n))
    for event in stream_samples(engine, request, args.params(), args.seed):
        if isinstance(event, str):
            show(event)
            continue
        sample, more = event.sample, event.number + 1 < args.n
        note = f"sample {event.number}: {sample.finish}, {sample.tokens} tokens, mean log p {sample.mean_logp:.3f}"
        show(f"\n[{note}]\n\n" + (args.prompt if more else ""))


def sample_stdin(args: Args, engine: Engine, origin: Json) -> None:
    """Reads prompts from stdin and writes samples to stdout."""
    params = args.params()
    encode = partial(engine.encode, params=params, truncate_left=args.truncate_left)
    sample = partial(sample_all, engine, params=params, seed=args.seed, batch=args.batch)
    settings = fingerprint_settings(args, params, origin)

    def row(task_id: str, number: int, sample: Sample, prompt: str) -> Json:
        return to_row(task_id, number, sample, args.temperature, sample_fingerprint(settings, prompt))

    sample_lines(sys.stdin.fileno(), sys.stdout, encode, sample, args.n, row)


def main(args: Args) -> None:
    """The command."""
    args = args.decoded()
    args.check()
    benchmark = load_problems(args.problems) if args.problems and not args.piped else None
    hosts.join(args.hosts)
    if args.piped and jax.process_count() > 1:
        raise InputError("--problems - works on one host only: give a file that every host can read")
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
