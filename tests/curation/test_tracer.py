import importlib.util
import sys

import pytest

from codex_jax.curation.tracer import MAX_CALLS, MAX_CHARACTERS, MAX_ITEMS, Tracer, plain

MODULE = """\
def add(a, b=2, *rest, c=1, **named):
    a = a + b
    return a

def fails(x):
    raise ValueError(x)

def catches(x):
    try:
        fails(x)
    except ValueError:
        return None

def changes(x):
    x.append(1)
    return x

def opens(x):
    return object

def items(n):
    yield n

def nested(x):
    def inner(y):
        return y
    return inner(x)

class Thing:
    def method(self):
        return 1
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "helper.py").write_text("def help(x):\n    return x\n")
    (tmp_path / "m.py").write_text(MODULE)

    def load(name, path):
        spec = importlib.util.spec_from_file_location(name, path)
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return load("m", tmp_path / "m.py"), load("helper", tmp_path / "tests" / "helper.py"), Tracer(str(tmp_path))


def test_calls_of_top_level_functions_are_recorded(module):
    m, helper, tracer = module
    tracer.start()
    try:
        m.add(1)
        m.add(1)
        m.add(1, 5, "x", c=[2], d=(3,))
        m.catches("no")
        m.changes([])
        m.opens(1)
        m.opens(object)
        m.nested(3)
        list(m.items(3))
        m.Thing().method()
        helper.help(1)
    finally:
        tracer.stop()
    m.add(9, 9)
    by_name = {key[2]: calls for key, calls in tracer.calls.items()}
    assert by_name.pop("add") == {"1, 2, c=1": "3", "1, 5, 'x', c=[2], d=(3,)": "6"}
    assert by_name == {"fails": {}, "catches": {"'no'": "None"}, "changes": {}, "opens": {}, "nested": {"3": "3"}}
    assert {key[:2] for key in tracer.calls} == {("m.py", line) for line in (1, 5, 8, 14, 18, 24)}
    reasons = {key[2]: counts for key, counts in tracer.reasons.items() if counts}
    assert reasons.pop("opens") == {"result_not_plain": 1, "arguments_not_plain": 1}
    assert reasons == {"fails": {"raises": 1}, "changes": {"changes_arguments": 1}}
    assert {key[2]: count for key, count in tracer.seen.items()}["add"] == 3


def test_a_recorded_call_gives_the_value_again(module):
    m, _, tracer = module
    tracer.start()
    try:
        m.add(0.1, -2, *("a", b"b"), c={"k": {1}}, d=None)
    finally:
        tracer.stop()
    ((arguments, value),) = next(iter(tracer.calls.values())).items()
    assert eval(f"m.add({arguments})", {"m": m}) == eval(value) == -1.9


def test_only_so_many_calls_are_kept(module):
    m, _, tracer = module
    tracer.start()
    try:
        for number in range(MAX_CALLS + 10):
            m.nested(number)
    finally:
        tracer.stop()
    assert len(next(iter(tracer.calls.values()))) == MAX_CALLS


@pytest.mark.parametrize(
    "value", [None, True, 0, -(2**70), 1.5, -0.0, 1e300, "a'\n", b"\0", [], (1,), {"a": [{2: ()}]}, {1, "b"}, set()]
)
def test_plain_data_survives_a_round_trip(value):
    again = eval(plain(value))
    assert again == value
    assert type(again) is type(value)


class Text(str):
    """Its repr looks like plain text."""


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [object(), float("nan"), float("inf"), Text("a"), [Text("a")], {1: print}, CYCLE, 1j, range(3), iter([]),
     "x" * (MAX_CHARACTERS + 1), [0] * (MAX_ITEMS + 1), [[0] * 20] * 400, sys],
)  # fmt: skip
def test_what_is_not_plain(value):
    assert plain(value) is None
