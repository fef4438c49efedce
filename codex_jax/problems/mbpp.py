"""MBPP (Austin et al., 2021), as mbpp.jsonl or sanitized-mbpp.json: a sentence and three assertions per problem.

The prompt is a docstring that contains both. A completion is a whole program without the prompt.
"""

import ast

from codex_jax.errors import InputError
from codex_jax.problems.assertions import called_names, parse, value_use
from codex_jax.problems.problem import Problem, TestSuite
from codex_jax.problems.standins import BUILD
from codex_jax.storage.jsonl import Json

STOPS = ("\nassert", '\n"""', "\nprint", "\nif", "\n#")  # not "\ndef": a program may define several functions
HOST = "names = vars(load())\n"
CASE = """\
{setup}


def check(candidate):
    globals()[{name!r}] = {function}
    for test in {tests!r}:
        exec(test, globals())
"""
STAND_INS = "from codex_jax.problems.standins import describe, stand_in_for\n"
ITEMS = "value if type(value) in (list, tuple, set, dict, str) else list(value)"
# The value sent to the checker, by value_use. The function itself may return, for example, a match or an iterator.
SENT = {"truth": "bool(value)", "set": ITEMS, "items": ITEMS, "value": "value"}


def problem_of(row: Json) -> Problem:
    """The problem of a row of either file. InputError if a field is wrong."""
    number, text = row.get("task_id"), row.get("text", row.get("prompt"))
    task_id = f"MBPP/{number}" if isinstance(number, int) else number
    if not isinstance(task_id, str):
        raise InputError("'task_id' is missing or neither a number nor text")
    if not isinstance(text, str):
        raise InputError(f"'text' (or 'prompt') of {task_id!r} is missing or not text")
    tests, challenge, imports = (_texts(row, name) for name in ("test_list", "challenge_test_list", "test_imports"))
    if not tests:
        raise InputError(f"'test_list' of {task_id!r} has no test")
    code, setup = row["code"], row.get("test_setup_code") or ""
    if not isinstance(setup, str):
        raise InputError(f"'test_setup_code' of {task_id!r} is not text")
    tests_imports = "\n".join(imports)
    setup = f"{tests_imports}\n{setup}"
    tree = parse("\n".join([*tests, *challenge]), f"a test of {task_id!r}")
    definitions = parse(code, f"the code of {task_id!r}").body
    functions = {node.name for node in definitions if isinstance(node, ast.FunctionDef)}
    name = next((name for name in called_names(parse("\n".join(tests), "a test")) if name in functions), None)
    if name is None:
        raise InputError(f"the tests of {task_id!r} call no function of its code")
    # The tests run outside the program, which defines the classes, so they pass stand-ins for objects of these classes.
    classes = {node.name for node in definitions if isinstance(node, ast.ClassDef)}
    classes &= {*called_names(tree), *called_names(parse(setup, f"the setup of {task_id!r}"))}
    suites = [TestSuite("test", (_case(name, setup, classes, tests),))]
    if challenge:
        suites.append(TestSuite("challenge", (_case(name, setup, classes, challenge),), required=False))
    return Problem(
        task_id=task_id,
        prompt='"""\n' + "\n".join([text.strip(), *tests]) + '\n"""\n',
        entry_point="_call",
        suites=tuple(suites),
        reference=code,
        setup=code,
        # A program may use what the tests import, because the authors of MBPP ran both together.
        host=f"{HOST}exec({tests_imports!r}, names)\n" + caller(name, value_use(tree, name), bool(classes)),
        stops=STOPS,
    )


def _case(name: str, setup: str, classes: set[str], tests: list[str]) -> str:
    stand_ins = STAND_INS + "".join(f"{each} = stand_in_for({each!r})\n" for each in sorted(classes)) if classes else ""
    function = "lambda *arguments: candidate(describe(arguments))" if classes else "candidate"
    return CASE.format(setup=stand_ins + setup, name=name, function=function, tests=tests)


def caller(name: str, use: str, stand_ins: bool) -> str:
    """The source of _call, which calls the program's function and returns a value that can be sent to the checker.

    use: from value_use. stand_ins: whether the arguments are descriptions, from which the program builds objects.
    """
    head = f"{BUILD}\ndef _call(data):\n    arguments = _build(data)\n" if stand_ins else "\ndef _call(*arguments):\n"
    return f"{head}    value = names[{name!r}](*arguments)\n    return {SENT[use]}\n"


def _texts(row: Json, name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{name!r} of {row.get('task_id')!r} is not a list of text")
    return value
