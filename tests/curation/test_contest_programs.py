import ast

import pytest

from codex_jax.curation.contest_programs import (
    agreed_signature,
    call_body,
    docstring,
    find_function,
    indent,
    parse_program,
    signature_of,
    text_body,
    with_prelude,
)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def f(a, b):\n", "def f(a, b):"),
        (
            "class Solution:\n    def f(self, a: int, b: List[str]) -> bool:\n        ",
            "def f(a: int, b: List[str]) -> bool:",
        ),
        ("class Solution:\n    @staticmethod\n    def f(a):\n        return a\n", "def f(a):"),
        ("def f(a: Tree, b) -> Tree:\n    return a\n", "def f(a, b):"),
        ("def f(a: 'int'):\n    return a\n", "def f(a):"),
    ],
)  # fmt: skip
def test_signatures(source, line):
    assert signature_of(source, "f").line == line


@pytest.mark.parametrize(
    "source",
    ["", "def g(): pass", "def f(*a): pass", "def f(a=1): pass", "def f(*, a): pass", "def f(", "class Solution: pass"],
)  # fmt: skip
def test_what_has_no_plain_signature(source):
    assert signature_of(source, "f") is None


def test_annotations_need_their_imports():
    assert signature_of("def f(a: List[int]): pass", "f").imports == "from typing import List\n\n\n"


def test_solutions_must_agree_on_their_parameters():
    two, other = "def f(a, b): pass", "def f(x): pass"
    assert agreed_signature("", [two, two, other], "f").parameters == ("a", "b")
    assert agreed_signature("def f(y): pass", [two, two], "f").parameters == ("y",)
    assert agreed_signature("", [two, other], "f") is None
    assert agreed_signature("", [two, two, other, other], "f") is None
    assert agreed_signature("", [], "f") is None


def test_the_last_function_of_a_name_counts():
    tree = parse_program("def f(): return 1\ndef f(): return 2\n")
    function, is_method = find_function(tree, "f")
    assert (function.lineno, is_method) == (2, False)
    assert parse_program("def (") is None


@pytest.mark.parametrize("statement", ['Say "hi".', 'A """ inside', "back\\slash\\n", "ends with \\", "two\n\nlines"])
def test_a_statement_survives_as_docstring(statement):
    scope: dict = {}
    exec(f"def f():\n{docstring(statement)}    return 1\n", scope)
    inner = "\n".join(line.removeprefix("    ") for line in scope["f"].__doc__.strip("\n").rstrip().split("\n"))
    assert inner == statement.replace('"""', "'''")


def test_strings_are_not_indented():
    source = 'a = """x\ny"""\nif a:\n    b = 1\n'
    moved = indent(source, ast.parse(source), 4)
    assert moved == '    a = """x\ny"""\n    if a:\n        b = 1\n'


def run(body, *arguments, head="def solve(text):"):
    scope: dict = {}
    exec(f"{head}\n{body}", scope)
    return scope[head.split("(")[0].removeprefix("def ")](*arguments)


def test_a_program_becomes_a_function_over_text():
    program = (
        "import sys\nif __name__ == '__main__':\n    print(int(input()) + int(sys.stdin.readline()))\n    exit()\n"
    )
    assert run(text_body(program), "1\n2\n") == "3\n"
    assert text_body("def (") is None
    assert text_body("") is None


def test_a_solution_becomes_the_body_of_its_function():
    signature = signature_of("def f(a, b): pass", "f")
    head = signature.line
    assert call_body("def f(a, b):\n    return a + b\n", signature) == "    return a + b\n"
    for solution in (
        "class Solution:\n    def f(self, x, y):\n        return x + y\n",
        "def help(x, y):\n    return x + y\r\ndef f(x, y):\n    return help(x, y)\n",
        "def f(a, b): return a + b\n",
    ):
        assert run(call_body(solution, signature), 1, 2, head=head) == 3
    assert call_body("def g(): pass", signature) is None
    assert "Counter" not in run(with_prelude("    return [Counter('aab')['a']]\n"), head="def f():")
