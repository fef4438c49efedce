"""Turns a contest's solutions into functions: of the arguments, or of the text on standard input."""

import ast
import builtins
import typing
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from codex_jax.problems.apps import OFFICIAL_PRELUDE

TEXT_NAME = "solve"  # the function of a problem on standard input
TEXT_SIGNATURE = "def solve(text: str) -> str:"
TEXT_NOTE = "The text is what the program reads from standard input. The result is what it writes to standard output."
# Runs a program within the function. Both streams have a .buffer, as real ones do.
TEXT_HEAD = """\
import contextlib, io, sys
__name__ = "__main__"
sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
output = io.TextIOWrapper(io.BytesIO(), write_through=True)
with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
"""
TEXT_TAIL = "output.flush()\nreturn output.buffer.getvalue().decode()\n"
PLAIN = [
    "list",
    "dict",
    "set",
    "frozenset",
    "tuple",
    "int",
    "float",
    "str",
    "bool",
    "bytes",
    "complex",
    "object",
    "None",
]


@dataclass(frozen=True)
class Signature:
    """The first line of a function, with the import that its annotations need."""

    name: str
    parameters: tuple[str, ...]
    line: str
    imports: str = ""


def parse_program(source: str) -> ast.Module | None:
    """The parsed source, or None if it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def find_function(tree: ast.Module, name: str) -> tuple[ast.FunctionDef, bool] | None:
    """(the function, whether it is a method of Solution), as the official grader of APPS looks for it."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Solution":
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == name]
            return (methods[-1], True) if methods else None
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    return (functions[-1], False) if functions else None


def signature_of(source: str, name: str) -> Signature | None:
    """The signature of the function in starter code or in a solution; None if there is none, or it is not plain."""
    start = source.rstrip()
    last = start.rsplit("\n", 1)[-1]
    margin = len(last) - len(last.lstrip()) + 4
    tree = parse_program(source) or parse_program(f"{start}\n{' ' * margin}pass\n")
    found = find_function(tree, name) if tree else None
    if found is None:
        return None
    function, is_method = found
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults:
        return None
    parameters = [*arguments.posonlyargs, *arguments.args]
    static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in function.decorator_list)
    parameters = parameters[1:] if is_method and not static else parameters
    notes = [one.annotation for one in parameters] + [function.returns]
    used = {node.id for note in notes if note for node in ast.walk(note) if isinstance(node, ast.Name)}
    typed = used - vars(builtins).keys()
    text = any(
        isinstance(one, ast.Constant) and isinstance(one.value, str) for note in notes if note for one in ast.walk(note)
    )
    annotated = typed <= {*typing.__all__} and not text
    shown = ", ".join(ast.unparse(one) if annotated else one.arg for one in parameters)
    returns = f" -> {ast.unparse(function.returns)}" if annotated and function.returns else ""
    imports = f"from typing import {', '.join(sorted(typed))}\n\n\n" if annotated and typed else ""
    return Signature(name, tuple(one.arg for one in parameters), f"def {name}({shown}){returns}:", imports)


def agreed_signature(starter: str, solutions: Iterable[str], name: str) -> Signature | None:
    """The starter code's signature, else the one whose parameters at least two solutions share, and most of them."""
    if starter.strip() and (given := signature_of(starter, name)):
        return given
    found = [one for source in solutions if (one := signature_of(source, name))]
    counts = Counter(one.parameters for one in found)
    if not counts:
        return None
    parameters, count = counts.most_common(1)[0]
    if count < 2 or 2 * count <= len(found):
        return None
    return next(one for one in found if one.parameters == parameters)


def docstring(statement: str) -> str:
    """The lines of a docstring, indented, that says the statement."""
    text = statement.strip().replace("\\", "\\\\").replace('"""', "'''")
    lines = [f"    {line.rstrip()}" if line.strip() else "" for line in text.splitlines()]
    return "\n".join(['    """', *lines, '    """', ""])


def indent(source: str, tree: ast.Module, spaces: int) -> str:
    """The source moved to the right, without the lines inside of strings, which would change them."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        text = isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        )
        if text and isinstance(node, ast.expr) and node.end_lineno:
            inside |= {*range(node.lineno + 1, node.end_lineno + 1)}
    lines = source.rstrip().split("\n")
    return "".join(
        (line if number in inside or not line.strip() else " " * spaces + line) + "\n"
        for number, line in enumerate(lines, 1)
    )


def text_body(source: str) -> str | None:
    """The body of a function over text that runs a program on standard input; None if it is not Python."""
    return _nested(source, TEXT_HEAD, 8, TEXT_TAIL)


def call_body(source: str, signature: Signature) -> str | None:
    """The body of a function that a solution defines; None if the solution does not define it.

    If the solution is just the function, that is its own body. Otherwise the whole solution goes inside.
    """
    source = _clean(source)
    tree = parse_program(source)
    found = find_function(tree, signature.name) if tree else None
    if tree is None or found is None:
        return None
    function, is_method = found
    own = tuple(one.arg for one in function.args.args)
    if not is_method and len(tree.body) == 1 and own == signature.parameters and not function.decorator_list:
        lines = source.split("\n")
        first = function.body[0].lineno
        if first > function.lineno and function.end_lineno:
            body = "\n".join(lines[first - 1 : function.end_lineno])
            margin = function.body[0].col_offset
            if margin == 4:
                return body + "\n"
    owner = "Solution()." if is_method else ""
    tail = f"return {owner}{signature.name}({', '.join(signature.parameters)})\n"
    return _nested(source, "", 4, tail)


def _clean(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _nested(source: str, head: str, spaces: int, tail: str) -> str | None:
    source = _clean(source)
    tree = parse_program(source)
    if tree is None or not tree.body:
        return None
    before = "".join(f"    {line}\n" for line in head.splitlines())
    after = "".join(f"    {line}\n" for line in tail.splitlines())
    return before + indent(source, tree, spaces) + after


def with_prelude(body: str) -> str:
    """The body with the imports that the official grader makes, which some solutions rely on."""
    lines = OFFICIAL_PRELUDE.split("try:")[0].replace("from heapq import *\n", "").splitlines()
    return "".join(f"    {line}\n" for line in lines) + body
