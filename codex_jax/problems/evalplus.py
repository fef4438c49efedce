"""EvalPlus's format (Liu et al., 2023): a sample must return what the reference solution returns for given inputs.

base_input contains the inputs of HumanEval's or MBPP's own tests, plus_input additional ones; a sample must pass both.
If a row has MBPP's assertions, they show which arguments are tuples and how answers are compared.
"""

import ast
import json

from codex_jax.errors import InputError
from codex_jax.problems import mbpp
from codex_jax.problems.assertions import ArgumentTypes, argument_types, parse, value_use
from codex_jax.problems.compare import long_integers
from codex_jax.problems.problem import PAPER_STOPS, Problem, TestSuite
from codex_jax.storage.jsonl import Json

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution")  # all text
CASE = """\
from codex_jax.problems.evalplus_answers import check_against


def check(candidate):
    check_against(candidate, {reference!r}, {name!r}, {inputs!r}, {atol!r}, {use!r}, {types!r})
"""


def problem_of(row: Json) -> Problem:
    """The problem of a row that has FIELDS; InputError if another field is wrong."""
    task_id, name, reference = row["task_id"], row["entry_point"], row["prompt"] + row["canonical_solution"]
    atol = row.get("atol", 0)
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or not 0 <= atol < 1e300:
        raise InputError(f"atol of {task_id!r} is not a number of at least 0")
    use: str = "value"
    types: ArgumentTypes = ()
    if isinstance(row.get("assertion"), str):
        tree = parse(row["assertion"], f"the assertion of {task_id!r}")
        use, types = value_use(tree, name), argument_types(tree, name)
    suites = []
    for suite in ("base", "plus"):
        inputs = row.get(f"{suite}_input")
        if not isinstance(inputs, list) or not all(isinstance(arguments, list) for arguments in inputs):
            raise InputError(f"{suite}_input of {task_id!r} is not a list of lists of arguments")
        with long_integers():
            text = json.dumps(inputs)
        case = CASE.format(reference=reference, name=name, inputs=text, atol=atol, use=use, types=types)
        suites.append(TestSuite(suite, (case,) if inputs else (), scaled_timeout=True))
    whole = _is_docstring(row["prompt"])
    return Problem(
        task_id=task_id,
        prompt=row["prompt"],
        entry_point="_call" if whole else name,
        suites=tuple(suites),
        reference=reference,
        opening="" if whole else row["prompt"],
        host=mbpp.HOST + mbpp.caller(name, use, stand_ins=False) if whole else "",
        stops=mbpp.STOPS if whole else PAPER_STOPS,
    )


def _is_docstring(prompt: str) -> bool:
    """Whether the prompt is only a docstring, as MBPP's are. Then a completion is a whole program."""
    try:
        body = parse(prompt, "the prompt").body
    except InputError:  # a function without a body
        return False
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
