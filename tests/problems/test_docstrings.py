"""Docstrings apart from their code."""

import inspect
from dataclasses import replace

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import heldout_problems
from codex_jax.problems.docstrings import (
    docstring_completion,
    docstring_problem,
    docstring_prompt,
    documented,
    find_function,
    parse_source,
    prompt_docstring,
)
from codex_jax.problems.humaneval import humaneval_problem
from codex_jax.problems.load import load_problems

PROMPT = 'import math\n\n\ndef f(x):\n    import re\n    """ Adds one.\n      More.\n    """\n'


def problem(prompt=PROMPT, solution="    return x + 1\n", entry_point="f"):
    return humaneval_problem("t/0", prompt, entry_point, solution, "def check(candidate): pass")


def test_the_code_is_what_is_left():
    found = prompt_docstring(problem())
    assert found.code == "import math\n\n\ndef f(x):\n    import re\n"
    assert found.docstring == "Adds one.\nMore."
    task = docstring_problem(problem())
    assert task.prompt == 'import math\n\n\ndef f(x):\n    import re\n    return x + 1\n\n"""\n'
    assert task.stops == ('\n"""',)
    assert (task.reference, task.canonical_solution) == ("", "")
    assert docstring_completion("  Adds one. ") == 'Adds one.\n"""'
    assert docstring_prompt("x\n\n ") == 'x\n\n"""\n'


@pytest.mark.parametrize(
    "text", ['One "quoted"', "Back\\slash \\n", 'With """three""" of them', "é\n\n  indented\nlast"]
)
@pytest.mark.parametrize(
    "literal", ['    """ Old\n    text\n    """\n', "    'Old'\n", '    r"""Old."""\n', "\t'''\n\tOld\n\t'''\n"]
)
def test_another_docstring_takes_its_place(literal, text):
    indent = literal[: len(literal) - len(literal.lstrip())]
    source = f"é = 1\ndef f(x):\n{literal}{indent}return é\n"
    found = documented(source, find_function(parse_source(source), "f"))
    assert found.code == f"é = 1\ndef f(x):\n{indent}return é\n"
    changed = found.with_docstring(text)
    again = documented(changed, find_function(parse_source(changed), "f"))
    assert again.docstring == inspect.cleandoc(text)
    assert again.code == found.code


def test_the_same_docstring_gives_the_same_prompt():
    for one in heldout_problems():
        found = prompt_docstring(one)
        assert found.with_docstring(found.docstring) == one.prompt


def test_every_problem_of_humaneval_has_its_docstring():
    benchmark, tasks = load_problems("humaneval"), load_problems("docstrings:humaneval")
    assert [*tasks.problems] == [*benchmark.problems]
    for task_id, one in benchmark.problems.items():
        found = prompt_docstring(one)
        assert len(found.docstring) > 20
        assert max(found.docstring.split("\n"), key=len) not in tasks.problems[task_id].prompt
        changed = parse_source(found.with_docstring(found.docstring))
        assert documented(found.with_docstring(found.docstring), find_function(changed, one.entry_point)).code


def test_without_a_docstring_there_is_no_task():
    for prompt in ("def f(x):\n", 'def f(x): """Adds."""\n', "def f(x):\n    pass\n", "async def f(x):\n"):
        assert docstring_problem(problem(prompt)) is None


def test_bad_problems():
    with pytest.raises(InputError, match="'g'"):
        prompt_docstring(problem(entry_point="g"))
    with pytest.raises(InputError, match="not in HumanEval's form"):
        prompt_docstring(replace(problem(), opening=""))
