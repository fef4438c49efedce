"""The log probability of a problem's docstring after the code of a sample, under a model like Codex-D (section 5)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from codex_jax.errors import InputError
from codex_jax.problems.docstrings import (
    Documented,
    docstring_completion,
    docstring_prompt,
    documented,
    find_function,
    parse_source,
    prompt_docstring,
)
from codex_jax.problems.load import Benchmark
from codex_jax.problems.problem import Problem
from codex_jax.sampling.engine import Engine
from codex_jax.storage.jsonl import Json
from codex_jax.text.encoding import is_utf8

Tokens = tuple[int, ...]


class Translation(NamedTuple):
    """What a model is to score: the tokens of a sample's code with the end-of-text before it, and of the docstring."""

    code: Tokens
    docstring: Tokens


def sampled_code(problem: Problem, found: Documented, sample: Json) -> str:
    """The program of a sample without the docstring."""
    program = problem.program(sample)
    if program.startswith(problem.prompt):
        return found.code + program.removeprefix(problem.prompt)
    tree = parse_source(program)
    node = find_function(tree, problem.entry_point) if tree else None
    own = documented(program, node) if node else None
    return own.code if own else program


def translations(
    samples: Sequence[Json], benchmark: Benchmark, engine: Engine, skip_long: bool = False
) -> list[Translation | None]:
    """A Translation for each sample. InputError if a problem has no docstring.

    skip_long: None for a sample that is too long for the model; without it, InputError.
    """
    docstrings: dict[str, tuple[Documented, Tokens]] = {}
    for task_id in dict.fromkeys(sample["task_id"] for sample in samples):
        found = prompt_docstring(benchmark.problems[task_id])
        if found is None or not found.docstring:
            raise InputError(f"{task_id} has no docstring to translate back to: leave its samples out")
        docstrings[task_id] = found, tuple(engine.tokenizer.encode(docstring_completion(found.docstring)))
    made: list[Translation | None] = []
    for sample in samples:
        task_id = sample["task_id"]
        found, docstring = docstrings[task_id]
        prompt = docstring_prompt(sampled_code(benchmark.problems[task_id], found, sample))
        name = f"sample {sample.get('sample', '')} of {task_id}".replace("  ", " ")
        if not is_utf8(prompt):
            raise InputError(f"{name} is not UTF-8 text: it has half a surrogate pair")
        code = (engine.tokenizer.eot, *engine.tokenizer.encode(prompt))
        length, context = len(code) + len(docstring), engine.config.context
        if length > context and not skip_long:
            raise InputError(
                f"{name} has {length} tokens with its docstring, and the model sees {context}: "
                "take one with a longer context, or leave such samples out with --skip-long"
            )
        made.append(Translation(code, docstring) if length <= context else None)
    return made


def back_translate(engine: Engine, pairs: Sequence[Translation], batch: int) -> Iterator[tuple[int, float]]:
    """Yields (index, log probability of the docstring in nats), shortest first. batch: see Engine.score."""
    order = sorted(range(len(pairs)), key=lambda n: len(pairs[n].code) + len(pairs[n].docstring))
    yield from zip(order, (score.sum_logp for score in engine.score([pairs[n] for n in order], batch)), strict=True)
