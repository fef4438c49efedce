"""EvalPlus's form (Liu et al., 2023): the sample and the reference solution are called with the same inputs.

base_input are the inputs of HumanEval's or MBPP's own tests, plus_input more of them. A sample passes where it passes
both. Where there are MBPP's assertions, they tell what JSON cannot: which arguments are tuples, and what is compared.
"""

import ast
import json

from codex_jax.errors import InputError
from codex_jax.problems import mbpp
from codex_jax.problems.assertions import Kinds, kinds, parse, use
from codex_jax.problems.compare import long_integers
from codex_jax.problems.problem import PAPER_STOPS
from codex_jax.problems.task import Part, Task
from codex_jax.storage.jsonl import Json

NAME = "EvalPlus"
FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution")  # text that every problem has
MARK = "base_input"  # the field by which such a problem is recognised
CASE = """\
from codex_jax.problems.compare import check_against


def check(candidate):
    check_against(candidate, {reference!r}, {name!r}, {inputs!r}, {atol!r}, {use!r}, {kinds!r})
"""


def task_of(row: Json) -> Task:
    """A problem; its "contract", which says what inputs are allowed, is for those who make inputs."""
    inputs = {part: row.get(f"{part}_input") for part in ("base", "plus")}
    for part, value in inputs.items():
        if not isinstance(value, list) or not all(isinstance(arguments, list) for arguments in value):
            raise InputError(f"{part}_input of {row['task_id']!r} is not a list of lists of arguments")
    atol = row.get("atol", 0)
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or not 0 <= atol < 1e300:
        raise InputError(f"atol of {row['task_id']!r} is not a number of at least 0")
    name, reference = row["entry_point"], row["prompt"] + row["canonical_solution"]
    assertion = row.get("assertion")
    how: str = "value"
    types: Kinds = ()
    if isinstance(assertion, str):
        tree = parse(assertion, f"the assertion of {row['task_id']!r}")
        how, types = use(tree, name), kinds(tree, name)
    whole = _only_says(row["prompt"])
    return Task(
        task_id=row["task_id"],
        prompt=row["prompt"],
        entry_point="_call" if whole else name,
        parts=tuple(
            Part(part, (_case(reference, name, value, atol, how, types),) if value else (), scaled_timeout=True)
            for part, value in inputs.items()
        ),
        reference=reference,
        opening="" if whole else row["prompt"],
        host=mbpp.HOST + mbpp.caller(name, how, made=False) if whole else "",
        stops=mbpp.STOPS if whole else PAPER_STOPS,
    )


def _only_says(prompt: str) -> bool:
    """Whether it is a docstring alone, as MBPP's is, which shows some tests: then it is no part of the program."""
    try:
        body = parse(prompt, "the prompt").body
    except InputError:  # a function's head, which has no body yet
        return False
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def _case(reference: str, name: str, inputs: list, atol: float, how: str, types: Kinds) -> str:
    with long_integers():
        text = json.dumps(inputs)
    return CASE.format(reference=reference, name=name, inputs=text, atol=atol, use=how, kinds=types)
