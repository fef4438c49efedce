"""python -m codex_jax.sample: completions of a benchmark's prompts to JSONL, or of one prompt to the terminal."""

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codex_jax import cli, terminal
from codex_jax.benchmarks.problem import load_problems
from codex_jax.config import MeshConfig
from codex_jax.decoding.output import Output, fingerprint
from codex_jax.decoding.sampler import Sampler, task_key
from codex_jax.decoding.settings import Draw, Request, Sample
from codex_jax.decoding.stop import PAPER_STOPS
from codex_jax.errors import InputError
from codex_jax.jsonl import Json
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
    problems: str = ""  # humaneval, or FILE.jsonl[.gz] in its format
    prompt: str = ""  # one prompt instead of problems; its completions stream to the terminal
    n: int = 1  # samples a prompt
    temperature: float = 0.8  # 0 is greedy
    top_p: float = 0.95  # nucleus mass, above 0 and at most 1
    top_k: int = 0  # most probable tokens that are kept, before the nucleus; 0: all
    max_new_tokens: int = 300  # tokens a sample
    min_new_tokens: int = 0  # the first so many tokens end no sample
    seed: int = 0
    batch: int = 100  # samples drawn together
    truncate_left: bool = False  # drop the beginning of a prompt that is longer than the context
    out: Path | None = None  # samples.jsonl to write
    resume: bool = False  # go on where a killed run stopped; what is in OUT or OUT.partial is kept
    stop: tuple[str, ...] = field(default=PAPER_STOPS)  # strings that end a completion


def load_sampler(run: Path, how: Draw) -> tuple[Sampler, Json]:
    """(a Sampler of the newest checkpoint of a run folder, what tells it from others); InputError if there is none."""
    how.check()
    config = read_config(run)
    model = GPT(config.model)
    shapes, placed = state_shardings(model, make_optimizer(config.optimizer, config.steps), make_mesh(MeshConfig()))
    params, step = restore_params(run, shapes.params, placed.params)
    tokenizer = load_tokenizer(str(run / "tokenizer"))
    if tokenizer.vocab_size > config.model.vocab_size:
        raise InputError(
            f"{run}/tokenizer has {tokenizer.vocab_size} tokens, the model {config.model.vocab_size}: "
            "it is not the tokenizer this run was trained with"
        )
    origin = {"config": dataclasses.asdict(config), "step": step, "tokenizer": tokenizer.sha256}
    return Sampler(config.model, params, tokenizer, how), origin


def to_row(task_id: str, number: int, sample: Sample) -> Json:
    """One line of samples.jsonl."""
    return {"task_id": task_id, "sample": number, **dataclasses.asdict(sample)}


def sample_problems(args: Args, sampler: Sampler, origin: Json) -> None:
    """Writes args.out: line by line beside it, then whole and in order."""
    problems = load_problems(args.problems)
    prompts: list[list[int]] = []
    for problem in problems:
        try:
            prompts.append(sampler.encode(problem.prompt, args.truncate_left))
        except InputError as error:
            raise InputError(f"{problem.task_id}: {error}") from None
    assert args.out is not None
    settings = [origin, dataclasses.asdict(sampler.how), args.seed, args.truncate_left]
    names = [problem.task_id for problem in problems]
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        fingerprints = {problem.task_id: fingerprint(settings, problem.prompt) for problem in problems}
        output = Output(args.out, fingerprints, args.resume)
        requests = [
            Request(tokens, task_key(name), [n for n in range(args.n) if (name, n) not in output.rows])
            for name, tokens in zip(names, prompts, strict=True)
        ]
        began, tokens = time.monotonic(), 0

        def rows() -> Iterator[Json]:
            for request, number, sample in sampler.sample(requests, args.seed, args.batch):
                yield to_row(names[request], number, sample)

        with terminal.progress("sample", sum(len(request.numbers) for request in requests)) as report:
            for row in output.stream(rows()):
                tokens += row["tokens"]
                report(1, f"{tokens / (time.monotonic() - began):,.0f} tokens/s")
        output.finish(names)
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None
    seconds = time.monotonic() - began
    kept = f"{len(problems)} problems x {args.n} samples"
    cache = f"{sampler.bytes_a_sample() / 2**20:.1f} MiB of keys and values a sample"
    print(f"{args.out}: {kept}, {tokens:,} tokens, {seconds:.0f} s, {cache}")


def sample_prompt(args: Args, sampler: Sampler) -> None:
    """Prints each completion as it grows."""
    tokens = sampler.encode(args.prompt, args.truncate_left)
    for number in range(args.n):
        print(args.prompt, end="", flush=True)
        for piece in sampler.stream(Request(tokens, task_key(""), [number]), args.seed):
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
    how = Draw(args.temperature, args.top_p, args.max_new_tokens, args.stop, args.top_k, args.min_new_tokens)
    sampler, origin = load_sampler(args.run, how)
    if args.problems:
        sample_problems(args, sampler, origin)
    else:
        sample_prompt(args, sampler)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run(main, Args))
