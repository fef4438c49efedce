"""MBPP (Austin et al., 2021): a sentence and three assertions; mbpp.jsonl and sanitized-mbpp.json.

The prompt is a docstring with both, so a completion is a whole program, and the prompt is no part of it.
"""

import ast
from collections.abc import Iterator

from codex_jax.benchmarks.made import HOST as MADE_HOST
from codex_jax.benchmarks.task import Part, Task
from codex_jax.errors import InputError
from codex_jax.jsonl import Json

NAME = "MBPP"
FIELDS = ("code",)  # text that every problem has
MARK = "test_list"  # the field by which such a problem is recognised
STOPS = ("\nassert", '\n"""', "\nprint", "\nif", "\n#")  # not "\ndef": a program may have several
HOST = 'exec(compile(SOURCE, "candidate.py", "exec"), globals())\n'
CASE = """\
{makers}{setup}


def check(candidate):
    globals()[{name!r}] = {called}
    for test in {tests!r}:
        exec(test, globals())
"""
MAKERS = "from codex_jax.benchmarks.made import describe, maker\n"


def task_of(row: Json) -> Task:
    """A problem of either file."""
    number, text = row.get("task_id"), row.get("text", row.get("prompt"))
    task_id = f"MBPP/{number}" if isinstance(number, int) else number
    if not isinstance(task_id, str):
        raise InputError("'task_id' is missing or neither a number nor text")
    if not isinstance(text, str):
        raise InputError(f"'text' (or 'prompt') of {task_id!r} is missing or not text")
    tests, challenge, imports = (_texts(row, name) for name in ("test_list", "challenge_test_list", "test_imports"))
    if not tests:
        raise InputError(f"'test_list' of {task_id!r} holds no test")
    setup = "\n".join([*imports, row.get("test_setup_code") or ""])
    name, classes = _called(task_id, row["code"], tests), _classes(row["code"], setup, tests + challenge)
    # Where the program's own classes are needed, it is called by a description of the arguments.
    makers = MAKERS + "".join(f"{kind} = maker({kind!r})\n" for kind in classes) if classes else ""
    called = "lambda *arguments: candidate(describe(arguments))" if classes else "candidate"
    parts = [Part("test", (CASE.format(makers=makers, setup=setup, name=name, called=called, tests=tests),))]
    if challenge:
        case = CASE.format(makers=makers, setup=setup, name=name, called=called, tests=challenge)
        parts.append(Part("challenge", (case,), counts=False))
    return Task(
        task_id=task_id,
        prompt='"""\n' + "\n".join([text.strip(), *tests]) + '\n"""\n',
        entry_point="call" if classes else name,
        parts=tuple(parts),
        reference=row["code"],
        helpers=row["code"],
        # A program may use what the tests import, as both were run together where MBPP was made.
        host=HOST + "\n".join([*imports, ""]) + (MADE_HOST.replace("NAME", name) if classes else ""),
    )


def _texts(row: Json, name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{name!r} of {row.get('task_id')!r} is not a list of text")
    return value


def _parse(task_id: str, source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{task_id!r} holds code that is not Python: {error}") from None


def _names(tree: ast.AST) -> Iterator[str]:
    """The names that are called, in the order of the text."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return (name.id for name in sorted(calls, key=lambda name: (name.lineno, name.col_offset)))


def _called(task_id: str, code: str, tests: list[str]) -> str:
    """The function that is tested: the first that the tests call and the reference solution defines."""
    defined = {node.name for node in _parse(task_id, code).body if isinstance(node, ast.FunctionDef)}
    for name in _names(_parse(task_id, "\n".join(tests))):
        if name in defined:
            return name
    raise InputError(f"the tests of {task_id!r} call no function of its code")


def _classes(code: str, setup: str, tests: list[str]) -> list[str]:
    """The reference solution's classes of which the tests make objects."""
    defined = {node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)}
    return sorted(defined & set(_names(_parse("test_setup_code", "\n".join([setup, *tests])))))
