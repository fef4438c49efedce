from codex_jax.curation.agreement import MAX_TESTS
from codex_jax.curation.replay import Replayed, choose, replay
from codex_jax.sandbox.pool import run_jobs


def test_calls_are_chosen_by_the_steps_they_take():
    def call(arguments, value, *steps):
        return Replayed(arguments, value, frozenset(steps))

    long, short = call("'long'", "1", (0, 1), (1, 2)), call("1", "1", (0, 1))
    other, third = call("2", "1", (0, 1)), call("3", "5", (0, 1), (1, 3))
    assert choose([short, other, long, third]) == [third, long, short, other]
    many = [call(str(n), str(n), (0, 1)) for n in range(50)]
    assert len(choose(many)) == MAX_TESTS


def replayed(program, *calls):
    ((_, found),) = run_jobs([lambda run: replay(program, "f", calls, 2.0, run)], workers=1)
    return found


def test_only_calls_with_the_same_answer_are_replayed():
    program = "def f(x, y=0):\n    if x:\n        return [x, y]\n    raise ValueError\n"
    calls = [("1", "[1, 0]"), ("0", "None"), ("2, y=3", "[2, 4]"), ("2, y=3", "[2, 3]"), ("0", "raise"), ("1", "raise")]
    found = replayed(program, *calls)
    assert [one[:2] for one in found] == [calls[0], calls[3], ("0", "raise ValueError")]
    assert found[0].steps == {(0, 2), (2, 3)}


def test_an_exception_is_named_by_python_s_nearest_class():
    program = "class A(KeyError): pass\nclass B(Exception): pass\ndef f(x):\n    raise x and A or B\n"
    assert [one[:2] for one in replayed(program, ("1", "raise"), ("0", "raise"))] == [("1", "raise KeyError")]


def test_iterators_give_their_first_items():
    program = "import itertools\ndef f(n):\n    return itertools.repeat(1, n) if n else itertools.count()\n"
    found = replayed(program, ("2", "yield"), ("0", "yield"), ("50", "yield"), ("51", "yield"))
    assert [one.value.partition(" ")[0] for one in found] == ["yield", "take", "yield", "take"]
    assert found[0].value == "yield [1, 1]"
    assert found[1].value == f"take {[*range(50)]}"


def test_arguments_that_change_are_not_replayed():
    """A generator changes its arguments only when its items are taken."""
    program = "def f(x):\n    yield 1\n    x.append(1)\n"
    assert replayed(program, ("[]", "yield")) == []


def test_values_that_are_not_built_in():
    program = "import datetime\ndef f(day, ratio):\n    return day + datetime.timedelta(1), ratio * 2\n"
    value = "(datetime.date(2020, 3, 1), Fraction(2, 3))"
    assert [one.value for one in replayed(program, ("datetime.date(2020, 2, 29), Fraction(1, 3)", value))] == [value]


def test_a_program_that_ends_loses_only_what_follows():
    program = "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x\n"
    assert [one.arguments for one in replayed(program, ("1", "1"), ("2", "2"), ("3", "3"))] == ["1"]


def test_calls_that_depend_on_their_surroundings_are_not_replayed():
    for expression in ("os.path.expanduser('~')", "os.getcwd()", "time.localtime(0).tm_hour", "os.environ['USER']"):
        # What the function raises tells that it sees its surroundings: no value of theirs is known here.
        program = f"import os, time\nhere = ('/elsewhere', 5, 'other')\ndef f(x):\n    seen = {expression}\n"
        program += "    return [1 / (seen not in here and 'elsewhere' not in str(seen)) if x else 2][0]\n"
        assert [one.arguments for one in replayed(program, ("1", "1.0"), ("0", "2"))] == ["0"]
