"""Pairs of a prompt and its completion to fine-tune on: code from docstrings (Codex-S), and docstrings from code."""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codex_jax.curation.made_problem import NotMade
from codex_jax.curation.needed_code import SourceModule, first_line
from codex_jax.curation.sampled import read_problems
from codex_jax.problems.docstrings import (
    QUOTES,
    Documented,
    docstring_completion,
    docstring_prompt,
    documented,
    find_function,
    parse_source,
    prompt_docstring,
)
from codex_jax.problems.humaneval import problem_of
from codex_jax.sources.source import Item
from codex_jax.storage.jsonl import Json
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import is_utf8

Kind = Literal["code", "docstring"]
MIN_WORDS, MAX_DOCSTRING = 3, 1500  # words and characters of a docstring
MAX_LINES = 100  # of a function
TODO = re.compile(r"\b(TODO|FIXME|XXX|TBD)\b")
WORD = re.compile(r"[^\W\d_]+")
# Most English sentences have one of these words, and few sentences of other languages do.
ENGLISH = {
    "the",
    "of",
    "and",
    "to",
    "is",
    "are",
    "be",
    "with",
    "from",
    "this",
    "that",
    "by",
    "if",
    "not",
    "when",
    "which",
}
ENGLISH |= {"for", "given", "new", "return", "returns"}
WORDS_PER_ENGLISH = 15  # a docstring has at least one of them in so many words


@dataclass(frozen=True)
class Pair:
    """What a model reads, and what it learns to write then."""

    name: str
    prompt: str
    completion: str
    repo: str
    licence: str

    def row(self) -> Json:
        """A line that the source jsonl: reads."""
        texts = {"prompt": self.prompt, "completion": self.completion}
        return {**texts, "repo_name": self.repo, "path": self.name, "license": self.licence}


def docstring_fault(docstring: str) -> str:
    """Why a docstring is not one to learn from, or ""."""
    words = [word.lower() for word in WORD.findall(docstring)]
    letters = "".join(words)
    if len(words) < MIN_WORDS:
        return "docstring_too_short"
    if len(docstring) > MAX_DOCSTRING:
        return "docstring_too_long"
    if TODO.search(docstring):
        return "todo"
    if QUOTES in docstring:
        return "docstring_has_quotes"
    known = sum(word in ENGLISH for word in words)
    if known * WORDS_PER_ENGLISH < len(words) or sum(map(str.isascii, letters)) < 0.9 * len(letters):
        return "not_english"
    return ""


def is_held_out(row: Json, splits: tuple[str, ...]) -> bool:
    """Whether a problem is in another split than these."""
    return row.get("split", splits[0]) not in splits


def problem_pairs(path: Path, kind: Kind, splits: tuple[str, ...]) -> Iterator[Pair | NotMade]:
    """The pairs of a file of problems. splits: those to take; problems without a split are always taken."""
    for task_id, row in read_problems(path).items():
        if is_held_out(row, splits):
            yield NotMade(task_id, f"split_{row['split']}")
            continue
        prompt, completion = row["prompt"], row["canonical_solution"]
        fault = "" if completion.strip() else "no_solution"
        if kind == "docstring" and not fault:
            found = prompt_docstring(problem_of(row))
            fault = docstring_fault(found.docstring) if found else "no_docstring"
            if found and not fault:
                prompt, completion = docstring_prompt(found.code + completion), docstring_completion(found.docstring)
        if not fault and not is_utf8(prompt + completion):
            fault = "not_utf8"
        repo, licence = str(row.get("repo") or task_id), str(row.get("licence") or "")
        yield NotMade(task_id, fault) if fault else Pair(task_id, prompt, completion, repo, licence)


def function_pairs(item: Item, kind: Kind) -> Iterator[Pair | NotMade]:
    """The pairs of the functions and methods of a file, each without its surroundings."""
    if isinstance(item, Rejected):
        yield NotMade(item.id, f"file_{item.reason}")
        return
    try:
        module = SourceModule(item.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield NotMade(item.id, "file_does_not_parse")
        return
    classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
    for node in [*module.tree.body, *(child for one in classes for child in one.body)]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield _function_pair(item, module, node, kind)


def _function_pair(document: Document, module: SourceModule, node: ast.stmt, kind: Kind) -> Pair | NotMade:
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    name = f"{document.id}:{node.lineno}"
    if ast.get_docstring(node, clean=False) is None:
        return NotMade(name, "no_docstring")
    if all(map(_says_nothing, node.body)):
        return NotMade(name, "no_body")
    source = textwrap.dedent(module.lines(first_line(node), node.end_lineno or node.lineno))
    tree = parse_source(source)  # of a method with a text that begins further left, dedent leaves the indentation
    function = find_function(tree, node.name) if tree else None
    found = documented(source, function) if function else None
    if found is None:
        return NotMade(name, "docstring_not_on_its_own_lines")
    fault = "too_long" if found.code.count("\n") > MAX_LINES else docstring_fault(found.docstring)
    if fault:
        return NotMade(name, fault)
    return Pair(name, *_texts(found, kind), document.repo, document.license)


def _texts(found: Documented, kind: Kind) -> tuple[str, str]:
    if kind == "code":
        return found.before + found.literal, found.after
    return docstring_prompt(found.code), docstring_completion(found.docstring)


def _says_nothing(node: ast.stmt) -> bool:
    """Whether it is a docstring, an ellipsis, pass, or raise NotImplementedError."""
    if isinstance(node, ast.Raise):
        return "NotImplemented" in ast.dump(node)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
