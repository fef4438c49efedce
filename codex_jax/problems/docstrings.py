"""Docstrings apart from their code, for models that write docstrings (Codex-D, paper section 5).

Such a model reads a function without its docstring and then three quotes, and writes the docstring and three quotes.
"""

import ast
import inspect
import re
import warnings
from dataclasses import dataclass, replace

from codex_jax.errors import InputError
from codex_jax.problems.problem import Problem

QUOTES = '"""'
STOPS = (f"\n{QUOTES}",)  # what ends a sampled docstring
COPIED = 10  # characters of a line that is not in a docstring by chance
LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")  # lines as Python's parser counts them
LITERAL = re.compile(r"(\s*)[rRuU]*('''|\"\"\"|'|\")(\s*).*?(\s*)\2\s*", re.DOTALL)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Documented:
    """Source around the docstring of a function."""

    before: str  # ends with the line before the docstring
    literal: str  # the lines of the docstring
    after: str
    docstring: str  # its text, without indentation

    @property
    def code(self) -> str:
        """The source without the docstring."""
        return self.before + self.after

    def with_docstring(self, text: str) -> str:
        """The source with another docstring, which is indented and enclosed as this one is."""
        found = LITERAL.fullmatch(self.literal)
        indent, _, lead, end = found.groups() if found else ("    ", QUOTES, "", "")
        lines = text.strip().replace("\\", "\\\\").replace(QUOTES, '\\"\\"\\"').split("\n")
        body = "\n".join(indent + line if line.strip() else "" for line in lines).strip()
        gap = " " if body.endswith('"') and not end else ""
        return f"{self.before}{indent}{QUOTES}{lead}{body}{gap}{end}{QUOTES}\n{self.after}"


def find_function(tree: ast.Module, name: str) -> Function | None:
    """The last definition of a function on the top level."""
    found = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return next((node for node in reversed(found) if node.name == name), None)


def documented(source: str, node: Function) -> Documented | None:
    """The source apart from the docstring of its function; None if it has none on lines of its own.

    As in some prompts of HumanEval, imports may precede the docstring.
    """
    for one in node.body:
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
            break
    else:
        return None
    lines = LINES.findall(source)
    first, last = one.lineno - 1, one.end_lineno or one.lineno
    head = lines[first].encode()[: one.col_offset]
    tail = lines[last - 1].encode()[one.end_col_offset :]
    if head.strip() or tail.strip():
        return None
    before, literal, after = ("".join(part) for part in (lines[:first], lines[first:last], lines[last:]))
    return Documented(before, literal, after, inspect.cleandoc(one.value.value).strip())


def parse_source(source: str) -> ast.Module | None:
    """The syntax tree, or None if it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def prompt_docstring(problem: Problem) -> Documented | None:
    """A problem's prompt apart from its docstring; None if it has none. InputError if it lacks its function."""
    if problem.opening != problem.prompt:
        raise InputError(f"{problem.task_id} is not in HumanEval's form: docstrings need a prompt that ends with one")
    tree = parse_source(problem.prompt)
    node = find_function(tree, problem.entry_point) if tree else None
    if node:
        return documented(problem.prompt, node)
    # The syntax of a prompt without a docstring is not complete.
    if tree or not re.search(rf"^(async )?def {re.escape(problem.entry_point)}\b", problem.prompt, re.MULTILINE):
        raise InputError(f"{problem.task_id}: its prompt does not define its entry_point {problem.entry_point!r}")
    return None


def docstring_prompt(code: str) -> str:
    """What a model that writes docstrings completes. code: without the docstring."""
    return f"{code.rstrip()}\n\n{QUOTES}\n"


def docstring_completion(docstring: str) -> str:
    """What it then writes."""
    return f"{docstring.strip()}\n{QUOTES}"


def docstring_problem(problem: Problem) -> Problem | None:
    """The task to write the docstring of a problem's reference solution; None if the problem has no docstring."""
    found = prompt_docstring(problem)
    if found is None or not found.docstring:
        return None
    prompt = docstring_prompt(found.code + problem.canonical_solution)
    return replace(problem, prompt=prompt, opening="", reference="", setup="", stops=STOPS)


def copies_code(docstring: str, code: str) -> bool:
    """Whether at least half of the longer lines of the code stand in the docstring, which then describes nothing."""
    lines = {line.strip() for line in code.split("\n") if len(line.strip()) >= COPIED}
    said = {line.strip().removeprefix(">>> ").strip() for line in docstring.split("\n")}
    return bool(lines) and 2 * len(lines & said) >= len(lines)
