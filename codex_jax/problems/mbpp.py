"""MBPP (Austin et al., 2021): a sentence and three assertions; mbpp.jsonl and sanitized-mbpp.json.

The prompt is a docstring with both, so a completion is a whole program, and the prompt is no part of it.
"""

import ast

from codex_jax.errors import InputError
from codex_jax.problems.assertions import called, parse, use
from codex_jax.problems.standins import BUILD
from codex_jax.problems.task import Part, Task
from codex_jax.storage.jsonl import Json

NAME = "MBPP"
FIELDS = ("code",)  # text that every problem has
MARK = "test_list"  # the field by which such a problem is recognised
STOPS = ("\nassert", '\n"""', "\nprint", "\nif", "\n#")  # not "\ndef": a program may have several
HOST = 'exec(compile(SOURCE, "candidate.py", "exec"), globals())\n'
CASE = """\
{setup}


def check(candidate):
    globals()[{name!r}] = {called}
    for test in {tests!r}:
        exec(test, globals())
"""
MAKERS = "from codex_jax.problems.standins import describe, maker\n"
# By the use of a function's value: what is sent of one that is no plain data, such as a match or an iterator.
SENT = {
    "truth": "bool(value)",
    "set": "value if type(value) in (list, tuple, set, dict, str) else list(value)",
    "items": "value if type(value) in (list, tuple, set, dict, str) else list(value)",
    "value": "value",
}


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
    code, setup = row["code"], row.get("test_setup_code") or ""
    if not isinstance(setup, str):
        raise InputError(f"'test_setup_code' of {task_id!r} is not text")
    setup = "\n".join([*imports, setup])
    tree = parse("\n".join([*tests, *challenge]), f"a test of {task_id!r}")
    first = parse("\n".join(tests), f"a test of {task_id!r}")
    defined = parse(code, f"the code of {task_id!r}").body
    functions = {node.name for node in defined if isinstance(node, ast.FunctionDef)}
    name = next((name for name in called(first) if name in functions), None)
    if name is None:
        raise InputError(f"the tests of {task_id!r} call no function of its code")
    classes = {node.name for node in defined if isinstance(node, ast.ClassDef)}
    made = classes & {*called(tree), *called(parse(setup, f"the setup of {task_id!r}"))}
    parts = [Part("test", (case(name, setup, made, tests),))]
    if challenge:
        parts.append(Part("challenge", (case(name, setup, made, challenge),), counts=False))
    return Task(
        task_id=task_id,
        prompt='"""\n' + "\n".join([text.strip(), *tests]) + '\n"""\n',
        entry_point="_call",
        parts=tuple(parts),
        reference=code,
        helpers=code,
        # A program may use what the tests import, as both were run together where MBPP was made.
        host="".join([HOST, *(f"{line}\n" for line in imports), caller(name, use(tree, name), bool(made))]),
        stops=STOPS,
    )


def case(name: str, setup: str, made: set[str], tests: list[str]) -> str:
    """The test: made are classes whose objects the program has to make, as they are its own."""
    makers = MAKERS + "".join(f"{kind} = maker({kind!r})\n" for kind in sorted(made)) if made else ""
    candidate = "lambda *arguments: candidate(describe(arguments))" if made else "candidate"
    return CASE.format(setup=makers + setup, name=name, called=candidate, tests=tests)


def caller(name: str, use: str, made: bool) -> str:
    """In the program: _call, which is the function with arguments and a value that can be sent."""
    head = f"{BUILD}\ndef _call(data):\n    arguments = _build(data)\n" if made else "\ndef _call(*arguments):\n"
    return f"{head}    value = {name}(*arguments)\n    return {SENT[use]}\n"


def _texts(row: Json, name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{name!r} of {row.get('task_id')!r} is not a list of text")
    return value
