"""EvalPlus's format (Liu et al., 2023): a sample must return what the reference solution returns for given inputs.

base_input contains the inputs of HumanEval's or MBPP's own tests, plus_input additional ones; a sample must pass both.
Answers are compared by EvalPlus's rules. In files of other tasks in MBPP's style, the assertion decides whether only
the items or the truth of an answer count.
"""

import ast
import json
from typing import Any

from codex_jax.errors import InputError
from codex_jax.problems import mbpp
from codex_jax.problems.assertions import parse, value_use
from codex_jax.problems.compare import long_integers
from codex_jax.problems.evalplus_inputs import mbpp_task, restore_mbpp
from codex_jax.problems.problem import PAPER_STOPS, Problem, TestSuite
from codex_jax.storage.jsonl import Json

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution")  # all text
# EvalPlus's special rules for tasks of MBPP, by function; see evalplus_answers.accepts.
RULES = {
    **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), "present"),
    **dict.fromkeys(("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"), "set"),
    **dict.fromkeys(("larg_nnum", "intersection_array", "find_dissimilar", "Diff"), "set"),
    **{name: name for name in ("sum_div", "surface_Area", "digit_distance_nums")},
    "are_equivalent": "any",
}
CASE = """\
from codex_jax.problems.evalplus_answers import check_against


def check(candidate):
    check_against(candidate, {reference!r}, {name!r}, {inputs!r}, {atol!r}, {rule!r}, {task!r}, {assertion!r})
"""
HOST = """\
function = vars(load())[{name!r}]


def _call(*arguments):
    value = function(*arguments)
    return {sent}
"""
ITEMS = "value if type(value) in (list, tuple, set, dict, str) else list(value)"
# What the checker gets by these rules, because the value itself may be, for example, a match or an iterator.
SENT = {
    "any": "None",
    "present": "value if isinstance(value, bool) else value is not None",
    "truth": "value if value is None or isinstance(value, (int, float, complex, str, bytes, list, tuple, set, "
    "frozenset, dict)) else True",
    "set": ITEMS,
    "items": ITEMS,
}


def problem_of(row: Json) -> Problem:
    """The problem of a row that has FIELDS; InputError if another field is wrong."""
    task_id, name, reference = row["task_id"], row["entry_point"], row["prompt"] + row["canonical_solution"]
    atol = row.get("atol", 0)
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or not 0 <= atol < 1e300:
        raise InputError(f"atol of {task_id!r} is not a number of at least 0")
    whole = _is_docstring(row["prompt"])
    task, assertion, rule = mbpp_task(task_id), row.get("assertion"), "value"
    if whole or task is not None:
        rule = RULES.get(name, "value")
    elif name == "find_zero":
        rule = "zero"
    if task is not None or not isinstance(assertion, str):
        assertion = ""
    tree = parse(assertion, f"the assertion of {task_id!r}")
    if assertion and rule == "value":
        rule = value_use(tree, name)
    suites = []
    for suite in ("base", "plus"):
        inputs = _inputs(row, f"{suite}_input", task)
        case = CASE.format(
            reference=reference, name=name, inputs=inputs, atol=atol, rule=rule, task=task, assertion=assertion
        )
        suites.append(TestSuite(suite, (case,), scaled_timeout=True))
    return Problem(
        task_id=task_id,
        prompt=row["prompt"],
        entry_point="_call" if rule in SENT else name,
        suites=tuple(suites),
        reference=reference,
        opening="" if whole else row["prompt"],
        host=HOST.format(name=name, sent=SENT[rule]) if rule in SENT else "",
        stops=mbpp.STOPS if whole else PAPER_STOPS,
    )


def _inputs(row: Json, field: str, task: int | None) -> str:
    """The inputs as JSON. An object stands for its names, as Python iterates over it; EvalPlus's file has one."""
    inputs: Any = row.get(field)
    if isinstance(inputs, dict):
        inputs = [list(name) for name in inputs]
    if not isinstance(inputs, list) or not all(isinstance(arguments, list) for arguments in inputs):
        raise InputError(f"{field} of {row['task_id']!r} is not a list of lists of arguments")
    if task is not None:
        try:
            for arguments in inputs:
                restore_mbpp(task, arguments)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{field} of {row['task_id']!r} is not what EvalPlus has for this task: {error}") from None
    with long_integers():
        return json.dumps(inputs)


def _is_docstring(prompt: str) -> bool:
    """Whether the prompt is only a docstring, as MBPP's are. Then a completion is a whole program."""
    try:
        body = parse(prompt, "the prompt").body
    except InputError:  # a function without a body
        return False
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
