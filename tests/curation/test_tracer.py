import importlib.util
import sys

import pytest

from codex_jax.curation.tracer import MAX_CALLS, RAISES, YIELDS, Tracer, run_tests

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
    yield n

async def later():
    return 1

def mapped(x):
    return map(str, x)

def applies(function, x):
    return function(x)

def first(iterator):
    return next(iterator)

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
        list(m.mapped([1]))
        m.applies(len, "a")
        m.applies(lambda x: x + 1, 2)
        m.applies(print, "a")
        m.first(iter([1, 2]))
        m.Thing().method()
        helper.help(1)
    finally:
        tracer.stop()
    m.add(9, 9)
    by_name = {key[2]: calls for key, calls in tracer.calls.items()}
    assert by_name.pop("add") == {"1, 2, c=1": "3", "1, 5, 'x', c=[2], d=(3,)": "6"}
    assert by_name.pop("applies") == {"len, 'a'": "1", "lambda x: x + 1, 2": "3"}
    assert by_name == {
        "fails": {"'no'": RAISES},
        "catches": {"'no'": "None"},
        "changes": {},
        "opens": {},
        "items": {"3": YIELDS},
        "mapped": {"[1]": YIELDS},
        "nested": {"3": "3"},
        "first": {"iter([1, 2])": "1"},
    }
    assert {key[:2] for key in tracer.calls} == {("m.py", line) for line in (1, 5, 8, 14, 18, 21, 28, 31, 34, 37)}
    reasons = {key[2]: counts for key, counts in tracer.reasons.items() if counts}
    assert reasons == {
        "opens": {"result_not_plain": 2},
        "changes": {"changes_arguments": 1},
        "applies": {"arguments_not_plain": 1},
    }
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


def test_a_generator_s_arguments_are_those_of_its_start(module):
    m, _, tracer = module
    tracer.start()
    try:
        first, second = m.items([1]), m.items(2)
        next(first).append(2)
        next(second)
        list(first)
    finally:
        tracer.stop()
    ((calls),) = tracer.calls.values()
    assert calls == {"[1]": YIELDS, "2": YIELDS}


def test_a_file_of_tests_is_run_and_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    test = "from traced_here import half\n\ndef test():\n    assert half(4) == 2\n"
    test += "\ndef test_2():\n    assert half(1) == 1\n\ndef test_3():\n    raise SystemExit\n"
    files = {"src/traced_here.py": "def half(x):\n    return x // 2\n", "tests/test_it.py": test}
    found = run_tests(files, ["src", "missing"], ["tests/test_it.py"], [], 60.0)
    assert found["exit"] == 1
    assert found["tests"] == {"passed": 1, "failed": 2}
    assert found["calls"] == [["src/traced_here.py", 1, "half", "4", "2"], ["src/traced_here.py", 1, "half", "1", "0"]]
    assert found["reasons"] == [["src/traced_here.py", 1, "half", 2, {}]]
