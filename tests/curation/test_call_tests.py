import math

import pytest

from codex_jax.curation.call_tests import calls_test
from codex_jax.curation.replay import Replayed


def body(*pairs):
    head, *lines = calls_test([Replayed(*pair, frozenset()) for pair in pairs]).splitlines()
    assert head == "def check(candidate):"
    return [line.removeprefix("    ") for line in lines]


def test_each_kind_of_answer_has_its_assertion():
    assert body(("1", "2")) == ["assert candidate(1) == 2"]
    assert body(("1", "True"), ("2", "None")) == ["assert candidate(1) is True", "assert candidate(2) is None"]
    assert body(("", "yield [1]")) == ["assert list(candidate()) == [1]"]
    assert body(("", "take [1]")) == ["from itertools import islice", "assert list(islice(candidate(), 50)) == [1]"]
    assert body(("1", "2.0"), ("2", "float('inf')")) == [
        "assert candidate(1) == 2.0",
        "assert candidate(2) == float('inf')",
    ]
    assert body(("1", "0.1")) == [
        "import math",
        "assert math.isclose(candidate(1), 0.1, rel_tol=1e-9, abs_tol=1e-12)",
    ]


def test_imports_do_not_change_names_of_the_program():
    source = calls_test([Replayed("Decimal('1'), operator.add", "Fraction(1, 2)", frozenset())])
    assert [line.strip() for line in source.splitlines()[1:4]] == [
        "from decimal import Decimal",
        "from fractions import Fraction",
        "import operator",
    ]
    scope: dict = {}
    exec(source, scope)
    assert scope.keys() == {"__builtins__", "check"}


@pytest.mark.parametrize(
    ("value", "right", "wrong"),
    [
        ("raise ValueError", lambda: int("a"), lambda: 1),
        ("raise ValueError", lambda: "a".encode("ascii").decode("utf-16"), lambda: 1 / 0),
        ("0.3", lambda: 0.1 + 0.2, lambda: 0.31),
        ("yield [1, 2]", lambda: iter([1, 2]), lambda: iter([1, 2, 3])),
        (f"take {[1] * 50}", lambda: iter(lambda: 1, 2), lambda: iter([1])),
        ("False", lambda: False, lambda: 0),
    ],
)
def test_right_answers_pass_and_wrong_ones_fail(value, right, wrong):
    scope: dict = {"math": math}
    exec(calls_test([Replayed("", value, frozenset())]), scope)
    scope["check"](right)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        scope["check"](wrong)
