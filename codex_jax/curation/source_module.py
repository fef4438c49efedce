"""A module's parsed source, what its statements bind, and the other modules of its project that it imports from."""

import ast
import contextlib
import symtable
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Optional

Find = Callable[[str], Optional["SourceModule"]]  # the module of a dotted name, if the project has it
Reference = tuple["SourceModule", str]  # a name of another module
IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(eq=False)
class SourceModule:
    """The parsed source of a module. name: dotted; find: see Find; by default there are no other modules."""

    text: str
    name: str = ""
    file: str = ""
    find: Find = field(default=lambda _: None, repr=False)
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
            for name in () if is_overload(node) else bound_names(node):
                self.bindings.setdefault(name, []).append(number)

    def source(self, node: ast.stmt) -> str:
        """The lines of a top-level statement, with its decorators and a line feed at the end."""
        if node.end_col_offset is None or node.end_lineno is None:
            return ""
        return self.lines(first_line(node), node.end_lineno)

    def lines(self, first: int, last: int) -> str:
        """Lines first to last, which are numbered from 1."""
        return "".join(f"{line}\n" for line in self._lines[first - 1 : last])

    @property
    def delays_annotations(self) -> bool:
        """Whether annotations are not evaluated."""
        return any(is_future(node) and "annotations" in bound_names(node) for node in self.tree.body)

    def imported(self, name: str, node: ast.stmt) -> "SourceModule | Reference | None":
        """What a top-level import makes known by this name: a module of the project, or a name of one."""
        for alias in node.names if isinstance(node, IMPORTS) else ():
            if (alias.asname or alias.name.partition(".")[0]) != name:
                continue
            if not isinstance(node, ast.ImportFrom):
                return self.find(alias.name if alias.asname else name)
            if (origin := self.origin(node)) is None:
                continue
            return self.find(f"{origin.name}.{alias.name}") or (origin, alias.name)
        return None

    def origin(self, node: ast.ImportFrom) -> "SourceModule | None":
        """The module of the project that names are imported from."""
        if not node.level:
            return self.find(node.module or "")
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + self.file.endswith("__init__.py")]
        return self.find(".".join([*parts, *([node.module] if node.module else [])])) if parts else None

    def starred(self, name: str) -> Reference | None:
        """The name of a module of the project from which all names are imported, if it binds this one."""
        for node in reversed(self.tree.body):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*" and not name.startswith("_"):
                origin = self.origin(node)
                if origin and origin is not self and (name in origin.bindings or origin.starred(name)):
                    return origin, name
        return None

    def member(self, node: ast.Attribute) -> Reference | None:
        """The name of another module that an expression such as package.module.name stands for."""
        names: list[str] = []
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            names.insert(0, root.attr)
            root = root.value
        if not isinstance(root, ast.Name) or len(self.bindings.get(root.id, ())) != 1:
            return None
        found = self.imported(root.id, self.tree.body[self.bindings[root.id][0]])
        while isinstance(found, SourceModule) and len(names) > 1:
            found = self.find(f"{found.name}.{names.pop(0)}")
        if not isinstance(found, SourceModule) or self.find(f"{found.name}.{names[0]}"):
            return None
        return (found, names[0]) if names[0] in found.bindings or found.starred(names[0]) else None


def find_in(files: Mapping[str, str], folders: tuple[str, ...]) -> Find:
    """Finds modules of a project, from its files by their paths. folders: those that modules are imported from."""
    found: dict[str, SourceModule | None] = {}

    def find(name: str) -> SourceModule | None:
        if name not in found:
            found[name] = None
            inner = name.replace(".", "/")
            prefixes = ["" if folder == "." else f"{folder}/" for folder in folders]
            for path in (f"{prefix}{inner}{end}" for prefix in prefixes for end in ("/__init__.py", ".py")):
                if path in files:
                    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
                        found[name] = SourceModule(files[path], name, path, find)
                    break
        return found[name]

    return find


def module_name(file: str, folders: tuple[str, ...]) -> str:
    """The dotted name of a file's module."""
    prefixes = sorted((f"{folder}/" for folder in folders if file.startswith(f"{folder}/")), key=len)
    inner = file.removeprefix(prefixes[-1] if prefixes else "").removesuffix(".py")
    return inner.replace("/", ".").removesuffix(".__init__")


def is_overload(node: ast.stmt) -> bool:
    """Whether a statement only states a signature of a function that is defined later."""
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(one).rpartition(".")[2] == "overload" for one in decorators)


def is_future(node: ast.stmt) -> bool:
    """Whether a statement is an import from __future__."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def first_line(node: ast.stmt) -> int:
    """The first line of a statement, or of its first decorator."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def bound_names(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds, or whose values it changes, as TABLE["a"] = 1 does."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, IMPORTS):
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
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, *IMPORTS)):
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


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def without_annotations(source: str) -> str:
    """The source with its annotations left out."""
    return ast.unparse(ast.fix_missing_locations(_WithoutAnnotations().visit(ast.parse(source))))
