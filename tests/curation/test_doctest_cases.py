import pytest

from codex_jax.curation.doctest_cases import example_test


def body(docstring, name="f"):
    """The statements of the test, without its first lines."""
    test = example_test(docstring, name, frozenset({"pack"}))
    assert f"def check(candidate):\n    {name} = candidate\n" in test.source
    return [line.removeprefix("    ") for line in test.source.split("candidate\n")[1].splitlines()], test


def passes(docstring, function):
    scope = {}
    exec(example_test(docstring, "f", frozenset()).source, scope)
    try:
        scope["check"](function)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("docstring", "lines"),
    [
        (">>> f(1)\n2", ["assert repr(f(1)) == '2'"]),
        (">>> x = [1]\n>>> f(x)\n>>> x\n[1, 2]", ["x = [1]", "assert f(x) is None", "assert repr(x) == '[1, 2]'"]),
        (">>> f(1)  # why\n2", ["assert repr(f(1)) == '2'"]),
        (">>> f(1) == 2\nTrue", ["assert repr(f(1) == 2) == 'True'"]),
        (">>> f()\n{2, 1}", ["assert f() == {2, 1}"]),  # the order of a set's items is not defined
        (">>> f()\n{1}", ["assert repr(f()) == '{1}'"]),
        (">>> print(f(1))\na\n<BLANKLINE>\nb", ["assert str(f(1)) == 'a\\n\\nb'"]),
        (">>> print(f(1), 2)\na 2", ["assert ' '.join([str(f(1)), str(2)]) == 'a 2'"]),
        (">>> f() # doctest: +NORMALIZE_WHITESPACE\n[1,\n  2]", ["assert repr(f()).split() == ['[1,', '2]']"]),
        (">>> f()\n'...'", ["""assert repr(f()) == "'...'\""""]),
        (">>> for x in (1, 2):\n...     f(x)\n1\n2", []),
        (">>> f() # doctest: +ELLIPSIS\n[1, ...]", []),
        (">>> f() # doctest: +SKIP\n2", []),
        (">>> print(f(), end='')\n2", []),
        (">>> f()\nTraceback (most recent call last):\n    ...\nPackError: no", []),
        (">>> f(\n2", []),
        (">>> from pack.part import f\n>>> f()\n1", ["assert repr(f()) == '1'"]),
        (">>> import pack.part as p\n>>> p.f(p.g())\n1", ["assert repr(f(g())) == '1'"]),
        (">>> from other import g\n>>> f()\n1", ["from other import g", "assert repr(f()) == '1'"]),
    ],
)
def test_examples_become_statements(docstring, lines):
    assert body(docstring)[0] == lines


def test_counts():
    _, test = body(">>> x = 1\n>>> f(x)\n2\n>>> f() # doctest: +SKIP\n3\n>>> print(f(3))\n4")
    assert (test.asserts, test.left_out) == (2, 1)
    assert test.calls == "x = 1\nf(x)\nprint(f(3))\n"


def test_exceptions_are_compared_with_their_messages():
    docstring = ">>> f(1)\nTraceback (most recent call last):\n  File x\nValueError: no\n"

    def raising(error):
        def function(_):
            raise error

        return function

    assert passes(docstring, raising(ValueError("no")))
    assert not passes(docstring, raising(ValueError("yes")))
    assert not passes(docstring, lambda _: None)
    with pytest.raises(TypeError):
        passes(docstring, raising(TypeError("no")))
    bare = docstring.replace(">>> f(1)", ">>> f(1) # doctest: +IGNORE_EXCEPTION_DETAIL")
    assert passes(bare, raising(ValueError("yes")))
    assert not passes(bare, raising(UnicodeError("no")))


def test_values_are_compared_as_they_are_shown():
    assert passes(">>> f()\n1", lambda: 1)
    assert not passes(">>> f()\n1", lambda: True)
    assert not passes(">>> f()\n1", lambda: 1.0)
    assert not passes(">>> f()", lambda: 1)


def test_malformed_docstrings_are_refused():
    with pytest.raises(ValueError, match="blank"):
        example_test(">>>f()", "f", frozenset())
