"""The test of a function from its calls."""

import math
from ast import literal_eval
from collections.abc import Iterable

from codex_jax.curation.replay import MOST, TAKES, Replayed
from codex_jax.curation.source_module import global_names
from codex_jax.curation.tracer import RAISES, YIELDS
from codex_jax.curation.written import IMPORTS


def calls_test(calls: Iterable[Replayed]) -> str:
    """Source that defines check(candidate). Its imports are inside, so that they do not change names of a program."""
    lines = [line for call in calls for line in _lines(call)]
    used = global_names("\n".join(lines))
    imports = {text for name, text in IMPORTS.items() if name in used}
    imports |= {"import math"} if "math" in used else set()
    imports |= {"from itertools import islice"} if "islice" in used else set()
    body = [*sorted(imports), *lines]
    return "".join(f"{line}\n" for line in ["def check(candidate):", *(f"    {line}" for line in body)])


def _lines(call: Replayed) -> list[str]:
    source = f"candidate({call.arguments})"
    kind, _, value = call.value.partition(" ")
    if kind == RAISES:
        lines = ["try:", f"    {source}", f"except {value}:", "    pass", "else:"]
        return [*lines, f"    raise AssertionError('{value} was not raised')"]
    if kind == YIELDS:
        return [f"assert list({source}) == {value}"]
    if kind == TAKES:
        return [f"assert list(islice({source}, {MOST})) == {value}"]
    if _is_rounded(call.value):
        return [f"assert math.isclose({source}, {call.value}, rel_tol=1e-9, abs_tol=1e-12)"]
    if call.value in ("True", "False", "None"):
        return [f"assert {source} is {call.value}"]
    return [f"assert {source} == {call.value}"]


def _is_rounded(value: str) -> bool:
    """Whether a value is a float that another order of operations may give slightly differently."""
    try:
        number = literal_eval(value)
    except (SyntaxError, ValueError):
        return False
    return type(number) is float and math.isfinite(number) and number != round(number)
