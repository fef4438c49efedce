"""python -m codex_jax.sample: completions of a benchmark's prompts to JSONL, or of one prompt to the terminal."""

import dataclasses
import os
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codex_jax import cli, terminal
from codex_jax.benchmarks.registry import Benchmark, load_benchmark
from codex_jax.config import MeshConfig
from codex_jax.decoding.sampler import Draw, Sample, Sampler, sample_keys
from codex_jax.decoding.stop import PAPER_STOPS
from codex_jax.errors import InputError
from codex_jax.jsonl import Json, write_objects
from codex_jax.model.gpt import GPT
from codex_jax.parallel.mesh import make_mesh
from codex_jax.text.tokenizers import load_tokenizer
from codex_jax.training.checkpoint import read_config, restore_params
from codex_jax.training.optimizer import make_optimizer
from codex_jax.training.state import state_shardings


@dataclass(frozen=True)
class Args:
    """Draws completions from a trained run."""

    run: Path  # run folder written by codex_jax.train
    problems: str = ""  # humaneval, FILE.jsonl[.gz] in its, EvalPlus's or MBPP's form, mbpp:FILE.json, or apps:DIR
    prompt: str = ""  # one prompt instead of problems; its completions stream to the terminal
    n: int = 1  # samples a prompt
    temperature: float = 0.8  # 0 is greedy
    top_p: float = 0.95  # nucleus mass, above 0 and at most 1
    max_new_tokens: int = 300  # tokens a sample
    seed: int = 0
    batch: int = 100  # samples drawn together
    out: Path | None = None  # samples.jsonl to write
    skip_long: bool = False  # leave out problems whose prompt leaves no room in the model's context
    stop: tuple[str, ...] | None = None  # strings that end a completion; by default the benchmark's, or the paper's


def load_sampler(run: Path, how: Draw) -> Sampler:
    """A Sampler of the newest checkpoint of a run folder; InputError where there is none."""
    how.check()
    config = read_config(run)
    model = GPT(config.model)
    shapes, placed = state_shardings(model, make_optimizer(config.optimizer, config.steps), make_mesh(MeshConfig()))
    params, _ = restore_params(run, shapes.params, placed.params)
    tokenizer = load_tokenizer(str(run / "tokenizer"))
    if tokenizer.vocab_size > config.model.vocab_size:
        raise InputError(
            f"{run}/tokenizer has {tokenizer.vocab_size} tokens, the model {config.model.vocab_size}: "
            "it is not the tokenizer this run was trained with"
        )
    return Sampler(config.model, params, tokenizer, how)


def to_row(task_id: str, number: int, sample: Sample, temperature: float) -> Json:
    """One line of samples.jsonl."""
    return {"task_id": task_id, "sample": number, **dataclasses.asdict(sample), "temperature": temperature}


def sample_problems(args: Args, sampler: Sampler, benchmark: Benchmark) -> None:
    """Writes args.out, whole or not at all."""
    tasks = []
    for task in benchmark.tasks.values():
        try:
            sampler.encode(task.prompt)
            tasks.append(task)
        except InputError as error:
            if not args.skip_long:
                raise InputError(f"{task.task_id}: {error}, or leave it out with --skip-long") from None
            print(f"{task.task_id} left out: {error}", file=sys.stderr)
    if not tasks:
        raise InputError(f"no prompt of {args.problems} leaves room in the context: train a model with a longer one")
    assert args.out is not None
    began, tokens = time.monotonic(), 0

    def rows() -> Iterator[Json]:
        nonlocal tokens
        with terminal.progress("sample", len(tasks) * args.n) as report:
            for task in tasks:
                # By name, so that a problem's samples do not depend on the others in the file.
                keys = sample_keys(args.seed, zlib.crc32(task.task_id.encode()), range(args.n))
                for number, sample in enumerate(sampler.sample(task.prompt, keys, min(args.batch, args.n))):
                    tokens += sample.tokens
                    report(1, f"{tokens / (time.monotonic() - began):,.0f} tokens/s")
                    yield to_row(task.task_id, number, sample, args.temperature)

    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        write_objects(args.out, rows())
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None
    seconds = time.monotonic() - began
    print(f"{args.out}: {len(tasks)} problems x {args.n} samples, {tokens:,} tokens, {seconds:.0f} s")


def sample_prompt(args: Args, sampler: Sampler) -> None:
    """Prints each completion as it grows."""
    for number, key in enumerate(sample_keys(args.seed, zlib.crc32(b""), range(args.n))):
        print(args.prompt, end="", flush=True)
        for piece in sampler.stream(args.prompt, key):
            if isinstance(piece, Sample):
                note = f"sample {number}: {piece.finish}, {piece.tokens} tokens, mean log p {piece.mean_logp:.3f}"
                print(f"\n[{note}]\n", flush=True)
            else:
                print(piece, end="", flush=True)


def main(args: Args) -> None:
    """The command."""
    if bool(args.problems) == bool(args.prompt):
        raise InputError("give either --problems humaneval|FILE.jsonl with --out, or --prompt TEXT")
    if args.problems and args.out is None:
        raise InputError("--problems needs --out samples.jsonl")
    for name in ("n", "batch"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} must be at least 1, not {getattr(args, name)}")
    benchmark = load_benchmark(args.problems) if args.problems else None
    stop = args.stop if args.stop is not None else benchmark.stops if benchmark else PAPER_STOPS
    sampler = load_sampler(args.run, Draw(args.temperature, args.top_p, args.max_new_tokens, stop))
    if benchmark:
        sample_problems(args, sampler, benchmark)
    else:
        sample_prompt(args, sampler)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run(main, Args))
