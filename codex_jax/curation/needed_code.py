"""A function of a module as a program of its own: with the imports and helpers that it needs, and nothing else."""

import ast
import builtins
import symtable
import sys
import warnings
from dataclasses import dataclass, field

MAX_HELPERS = 20  # statements that are pulled in, without imports
MAX_LINES = 200  # of the whole program
# Names that depend on where a module lies, and functions that reach what a program cannot take along.
NOT_BUILTIN = {"__name__", "__file__", "__doc__", "__spec__", "__loader__", "__package__", "__build_class__"}
BUILTINS = vars(builtins).keys() - NOT_BUILTIN
Function = ast.FunctionDef | ast.AsyncFunctionDef


class NotStandaloneError(Exception):
    """The function cannot stand alone. The message is the reason for the report."""


@dataclass
class SourceModule:
    """The parsed source of a module."""

    text: str
    tree: ast.Module = field(init=False)
    bindings: dict[str, list[int]] = field(init=False)  # name -> the statements that bind or change it, as indices

    def __post_init__(self) -> None:
        """SyntaxError, ValueError or RecursionError if the text is not Python."""
        self.text = self.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in strings
            self.tree = ast.parse(self.text)
        self._lines = self.text.split("\n")
        self.bindings = {}
        for number, node in enumerate(self.tree.body):
            for name in bound_names(node):
                self.bindings.setdefault(name, []).append(number)

    def source(self, node: ast.stmt) -> str:
        """The lines of a top-level statement, with its decorators and a line feed at the end."""
        if node.end_col_offset is None or node.end_lineno is None:
            return ""
        return self.lines(first_line(node), node.end_lineno)

    def lines(self, first: int, last: int) -> str:
        """Lines first to last, which are numbered from 1."""
        return "".join(f"{line}\n" for line in self._lines[first - 1 : last])


def first_line(node: ast.stmt) -> int:
    """The first line of a statement, or of its first decorator."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def bound_names(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds, or whose values it changes, as TABLE["a"] = 1 does."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    names: set[str] = set()
    nodes: list[ast.AST] = [node]
    while nodes:
        one = nodes.pop()
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            names.add(one.id)
        elif isinstance(one, (ast.Attribute, ast.Subscript)) and isinstance(one.ctx, (ast.Store, ast.Del)):
            names |= _root(one)
        elif isinstance(one, ast.Expr) and isinstance(one.value, ast.Call):
            names |= _root(one.value.func)
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            names |= bound_names(one)
        elif not isinstance(one, ast.Lambda):
            nodes += ast.iter_child_nodes(one)
    return names


def _root(node: ast.expr) -> set[str]:
    inside = isinstance(node, (ast.Attribute, ast.Subscript))
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return {node.id} if inside and isinstance(node, ast.Name) else set()


def global_names(source: str) -> set[str]:
    """The names that a piece of source takes from its module or from Python. SyntaxError if it is not Python."""
    names = set()
    tables = [symtable.symtable(source, "module.py", "exec")]
    while tables:
        table = tables.pop()
        of_module = table.get_type() == "module"
        names |= {
            one.get_name() for one in table.get_symbols() if one.is_referenced() and (of_module or one.is_global())
        }
        tables += table.get_children()
    return names


def standalone(module: SourceModule, function: Function, also: set[str]) -> str:
    """The source that must precede the function. NotStandaloneError if it needs what is not in its module.

    also: names that the function's tests need from the module.
    """
    needed: set[int] = set()
    imports: dict[int, set[str]] = {}  # statement -> the names that are needed of it
    target = module.tree.body.index(function)
    todo = [*sorted(global_names(module.source(function)) | also)]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in module.bindings:
            if name not in BUILTINS:
                raise NotStandaloneError("undefined_name")
            continue
        for number in module.bindings[name]:
            node = module.tree.body[number]
            if number == target:
                continue
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports.setdefault(number, set()).add(name)
            elif number not in needed:
                needed.add(number)
                todo += sorted(global_names(module.source(node)))
        if len(needed) > MAX_HELPERS:
            raise NotStandaloneError("too_many_helpers")
    future = [number for number, node in enumerate(module.tree.body) if _is_future(node)]
    for node in (module.tree.body[number] for number in (*needed, target)):
        _check(node)
    pieces = [module.source(module.tree.body[number]) for number in future]
    pieces += [_import(module.tree.body[number], names) for number, names in sorted(imports.items())]
    head = "".join(pieces)
    for number in sorted(needed):
        node = module.tree.body[number]
        gap = "\n\n" if head and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else ""
        head += gap + module.source(node)
    return head + "\n\n" * bool(head)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _check(node: ast.stmt) -> None:
    """NotStandaloneError for a statement that changes its module, or imports what is not in the standard library."""
    for one in ast.walk(node):
        if isinstance(one, ast.Global):
            raise NotStandaloneError("changes_globals")
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            _import(one, {alias.asname or alias.name.partition(".")[0] for alias in one.names})


def _import(node: ast.stmt, names: set[str]) -> str:
    """The import of these names alone."""
    aliases = [alias for alias in getattr(node, "names", []) if (alias.asname or alias.name.partition(".")[0]) in names]
    if isinstance(node, ast.ImportFrom):
        tops = {(node.module or "").partition(".")[0] if not node.level else ""}
        made: ast.stmt = ast.ImportFrom(node.module, aliases, node.level)
    else:
        tops = {alias.name.partition(".")[0] for alias in aliases}
        made = ast.Import(aliases)
    if not tops <= set(sys.stdlib_module_names):
        raise NotStandaloneError("needs_other_modules")
    return ast.unparse(made) + "\n"


def split_program(module: SourceModule, function: Function, also: set[str]) -> tuple[str, str]:
    """(prompt, solution): what the function needs and its lines up to the docstring, and the lines after it.

    also: see standalone. NotStandaloneError if there is no docstring or nothing after it, or the program is too long.
    """
    docstring, *rest = function.body
    first, last = docstring.end_lineno or 0, function.end_lineno or 0
    if ast.get_docstring(function, clean=False) is None:
        raise NotStandaloneError("no_docstring")
    if not rest or docstring.lineno == function.lineno or rest[0].lineno <= first:
        raise NotStandaloneError("no_body")
    prompt = standalone(module, function, also) + module.lines(first_line(function), first)
    solution = module.lines(first + 1, last)
    if (prompt + solution).count("\n") > MAX_LINES:
        raise NotStandaloneError("too_long")
    return prompt, solution
