"""problems:FILE.jsonl[.gz]: prompts with their solutions, in HumanEval's form."""

from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources.source import Item, Part, register
from codex_jax.storage.jsonl import read_objects
from codex_jax.storage.paths import StoragePath, size_of, storage_path
from codex_jax.text.document import Document
from codex_jax.text.encoding import is_utf8


@register("problems")
def problems(argument: str) -> Iterator[Part]:
    """problems:FILE.jsonl[.gz]: the prompt carries no loss, the solution does; repo is the task."""
    path = storage_path(argument)
    if isinstance(path, Path) and not path.is_file():
        raise InputError(f"no problems file {argument!r}: give problems:FILE.jsonl, or a .jsonl.gz")
    yield Part(f"problems:{path.name}", size_of(path), read, (path,))


def read(path: StoragePath) -> Iterator[Item]:
    """The problems as documents; InputError names the first bad line."""
    for row in read_objects(path, ("task_id", "prompt", "canonical_solution")):
        task, prompt, solution = row["task_id"], row["prompt"], row["canonical_solution"]
        if not all(map(is_utf8, (task, prompt, solution))):
            raise InputError(f"{path}: problem {task!r} is not UTF-8 text")
        yield Document(task, task, task, solution, prompt)
