"""MBPP (Austin et al., 2021), as mbpp.jsonl or sanitized-mbpp.json: a sentence and three assertions per problem.

The prompt is a docstring that contains both. A completion is a whole program without the prompt.
"""

import ast

from codex_jax.errors import InputError
from codex_jax.problems.assertions import defined_names, parse, used_names
from codex_jax.problems.problem import Problem, TestSuite
from codex_jax.problems.remote import HOST
from codex_jax.storage.jsonl import Json

STOPS = ("\nassert", '\n"""', "\nprint", "\nif", "\n#")  # not "\ndef": a program may define several functions
CASE = """\
from codex_jax.problems.remote import run_tests


def check(candidate):
    run_tests(candidate, globals(), {defined!r}, {imported!r}, {setup!r}, {tests!r})
"""


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
    definitions = parse(code, f"the code of {task_id!r}")
    defined = defined_names(definitions)
    used = used_names(parse("\n".join(tests), f"a test of {task_id!r}"))
    if not defined & used:
        raise InputError(f"the tests of {task_id!r} call no function of its code")
    used |= used_names(parse("\n".join([setup, *challenge]), f"the setup or a challenge test of {task_id!r}"))
    statements: list[ast.stmt] = [node for node in definitions.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    imported = defined_names(ast.Module(statements, []))

    def case(tests: list[str]) -> str:
        names = tuple(sorted(defined & used - imported)), tuple(sorted(imported & used))
        return CASE.format(defined=names[0], imported=names[1], setup=setup, tests=tuple(tests))

    suites = [TestSuite("test", (case(tests),))]
    if challenge:
        suites.append(TestSuite("challenge", (case(challenge),), required=False))
    return Problem(
        task_id=task_id,
        prompt='"""\n' + "\n".join([text.strip(), *tests]) + '\n"""\n',
        entry_point="_do",
        suites=tuple(suites),
        reference=code,
        setup=code,
        # A program may use what the tests import, because the authors of MBPP ran both together.
        host=HOST.format(imports=tests_imports),
        stops=STOPS,
    )


def _texts(row: Json, name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{name!r} of {row.get('task_id')!r} is not a list of text")
    return value
