"""The examples of a docstring as statements of a test, which compare as doctest does.

What cannot be expressed exactly is left out.
"""

import ast
import builtins
import doctest
from dataclasses import dataclass

IGNORED = doctest.DONT_ACCEPT_BLANKLINE | doctest.DONT_ACCEPT_TRUE_FOR_1 | doctest.REPORTING_FLAGS
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete)
STATEMENTS = (*ASSIGNMENTS, ast.Import, ast.ImportFrom, ast.Assert, ast.FunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class ExampleTest:
    """The test of a docstring's examples."""

    source: str  # defines check(candidate)
    calls: str  # the examples' own source
    asserts: int  # examples that compare a value, an output or an exception
    left_out: int  # examples that cannot be expressed exactly


def example_test(docstring: str, entry_point: str, own_modules: frozenset[str]) -> ExampleTest:
    """The test of a docstring's examples. ValueError if the docstring is not well formed.

    own_modules: the top-level packages whose imports in examples are left out, as the program has these names itself.
    """
    lines: list[str] = []
    calls: list[str] = []
    aliases: set[str] = set()  # names of the function's own package
    asserts = left_out = 0
    for example in doctest.DocTestParser().get_examples(docstring):
        try:
            tree = ast.parse(example.source)
        except (SyntaxError, ValueError, RecursionError):
            left_out += 1
            continue
        if len(tree.body) == 1 and not example.want:
            names = _own_import(tree.body[0], own_modules)
            if names is not None:
                aliases |= names
                continue
        shortened = _Shortened(aliases)
        tree = ast.fix_missing_locations(shortened.visit(tree))
        source = ast.unparse(tree) if shortened.changed else example.source
        made = _statements(example, tree, source)
        if made is None:
            left_out += 1
            continue
        lines += made
        calls.append(source if source.endswith("\n") else f"{source}\n")
        asserts += any(line.lstrip().startswith("assert ") for line in made)
    head = ["def check(candidate):", f"    {entry_point} = candidate"]
    if any("traceback." in line for line in lines):
        head.insert(0, "import traceback\n\n")
    body = [f"    {line}" if line else "" for text in lines for line in text.split("\n")]
    return ExampleTest("\n".join([*head, *body]) + "\n", "".join(calls), asserts, left_out)


def _own_import(node: ast.stmt, own_modules: frozenset[str]) -> set[str] | None:
    """The names by which an import makes the own package's modules known; None if it is another statement."""
    if isinstance(node, ast.ImportFrom):
        renamed = any(alias.asname or alias.name == "*" for alias in node.names)
        own = bool(node.level) or (node.module or "").partition(".")[0] in own_modules
        return set() if own and not renamed else None
    if isinstance(node, ast.Import) and all(alias.name.partition(".")[0] in own_modules for alias in node.names):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return None


class _Shortened(ast.NodeTransformer):
    """Turns package.module.function, where the package is one of these names, into function."""

    def __init__(self, packages: set[str]) -> None:
        self.packages, self.changed = packages, False

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root.id in self.packages:
            self.changed = True
            return ast.Name(node.attr, node.ctx)
        self.generic_visit(node)
        return node


def _statements(example: doctest.Example, tree: ast.Module, text: str) -> list[str] | None:
    """The statements that test an example, which has this text; None if that is not possible exactly."""
    options = {flag for flag, on in example.options.items() if on and not flag & IGNORED}
    want = example.want.removesuffix("\n")
    words = doctest.NORMALIZE_WHITESPACE in options
    if options - {doctest.NORMALIZE_WHITESPACE, doctest.ELLIPSIS, doctest.IGNORE_EXCEPTION_DETAIL}:
        return None  # SKIP, and flags that are not known
    if len(tree.body) != 1:
        return None
    (node,) = tree.body
    multiline = any(
        isinstance(one, ast.Constant) and isinstance(one.value, str) and "\n" in one.value for one in ast.walk(node)
    )
    source = ast.unparse(node) if multiline or "#" in text else text.strip("\n")
    if example.exc_msg is not None:
        return _raises(source, example.exc_msg, options)
    if doctest.ELLIPSIS in options and "..." in want:
        return None
    if not isinstance(node, ast.Expr):
        return [source] if not want and isinstance(node, STATEMENTS) else None
    value = node.value
    if not want:
        return [f"assert {_unit(value)} is None"]
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print":
        return _prints(value, want, words)
    return _shows(value, want, words)


def _unit(value: ast.expr) -> str:
    """The source of an expression, in brackets unless it is a call or simpler."""
    text = ast.unparse(value)
    simple = isinstance(value, (ast.Call, ast.Name, ast.Subscript, ast.Attribute, ast.Constant))
    return text if simple else f"({text})"


def _shows(value: ast.expr, want: str, words: bool) -> list[str]:
    """The test that an expression's value is shown as `want`."""
    try:
        expected = ast.literal_eval(want)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        expected = None
    if _has_set(expected):  # the order of its items is not defined
        return [f"assert {_unit(value)} == {want.strip()}"]
    if words:
        return [f"assert repr({ast.unparse(value)}).split() == {want.split()!r}"]
    return [f"assert repr({ast.unparse(value)}) == {want!r}"]


def _has_set(value: object) -> bool:
    if isinstance(value, (set, frozenset)):
        return len(value) > 1
    if isinstance(value, dict):
        return any(map(_has_set, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_set, value))


def _prints(call: ast.Call, want: str, words: bool) -> list[str] | None:
    """The test that a call of print prints `want`."""
    if call.keywords or not call.args or any(isinstance(one, ast.Starred) for one in call.args):
        return None
    if "<BLANKLINE>" in want:
        want = "\n".join("" if line.strip() == "<BLANKLINE>" else line for line in want.split("\n"))
    parts = [f"str({ast.unparse(one)})" for one in call.args]
    shown = parts[0] if len(parts) == 1 else f"' '.join([{', '.join(parts)}])"
    return [f"assert {shown}.split() == {want.split()!r}" if words else f"assert {shown} == {want!r}"]


def _raises(source: str, message: str, options: set[int]) -> list[str] | None:
    """The test that source raises an exception, which is shown as `message`.

    It must be one of Python's own: the names of others depend on the module.
    """
    name = message.partition(":")[0]
    kind = getattr(builtins, name.strip(), None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    ignores = doctest.IGNORE_EXCEPTION_DETAIL in options
    if doctest.ELLIPSIS in options and "..." in message and not ignores:
        return None
    inner = "\n".join(f"    {line}" for line in source.split("\n"))
    shown = f"assert type(error) is {kind.__name__}"
    if not ignores:
        shown = f"assert traceback.format_exception_only(error)[-1] == {message!r}"
    lines = ["try:", inner, f"except {kind.__name__} as error:", f"    {shown}", "else:"]
    return [*lines, f"    raise AssertionError('{kind.__name__} was not raised')"]
