import pytest

from codex_jax.curation.doctests import doctest_problems, read_sources
from codex_jax.curation.made_problem import MadeProblem, NotMade
from codex_jax.errors import InputError
from codex_jax.text.document import Document, Rejected


def outcomes(text):
    return [*doctest_problems(Document("pkg/m.py", "pkg", "pkg/m.py", text, license="MIT"))]


def function(name, example, body="return x", head="def"):
    return f'{head} {name}(x):\n    """Does.\n\n{example}\n    """\n    {body}\n\n'


INNER = "{0}\n    def f(self):\n        '''\n        >>> 1\n        1\n        '''\n        return 1\n"
SHOWN = "    >>> f(1)\n    1"


def test_a_function_with_an_example_becomes_a_problem():
    (made,) = outcomes("LIMIT = 3\n\n\n" + function("f", "    >>> f(LIMIT)\n    3"))
    assert isinstance(made, MadeProblem)
    assert made.prompt.startswith("LIMIT = 3\n\n\ndef f(x):\n")
    assert (made.task_id, made.licence, made.repo) == ("doctests/pkg/m.py/f", "MIT", "pkg")
    assert made.provenance == "pkg/m.py:4"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "class A:\n    def f(self):\n        '''\n        >>> 1\n        1\n        '''\n        return 1\n",
            "method",
        ),
        (
            "def g():\n    def f():\n        '''\n        >>> 1\n        1\n        '''\n        return 1\n",
            "nested_function",
        ),
        (function("f", SHOWN, head="async def"), "async_function"),
        (function("f", SHOWN) * 2, "defined_twice"),
        (function("f", SHOWN, "return missing"), "undefined_name"),
        (function("f", "    >>> 1\n    1"), "examples_do_not_call_it"),
        (function("f", "    >>> f(1)  # doctest: +SKIP\n    1"), "no_exact_example"),
        ("x = '>>>'\ndef (", "file_does_not_parse"),
    ],
)
def test_what_has_no_problem(text, reason):
    found = outcomes(text)
    assert {one.reason for one in found} == {reason}
    assert {one.repo for one in found} == {"pkg"}


def test_files_without_examples_and_unreadable_ones():
    assert outcomes("def f():\n    return 1\n") == []
    assert [*doctest_problems(Rejected("pkg/m.py", "too_large"))] == [NotMade("pkg/m.py", "file_too_large", "pkg")]


def test_sources_that_have_no_functions_are_refused():
    with pytest.raises(InputError, match="give dir:PATH"):
        [*read_sources(["stdlib:", "git:x"])]
