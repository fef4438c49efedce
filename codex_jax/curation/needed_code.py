"""A function of a module as a program of its own: with the imports and helpers that it needs, and nothing else.

Helpers may be in other modules of its project. They keep their names: a module's name in front of one is left out.
"""

import ast
import builtins
import sys
from dataclasses import dataclass, field

from codex_jax.curation.source_module import (
    IMPORTS,
    SourceModule,
    bound_names,
    first_line,
    global_names,
    is_future,
    without_annotations,
)

MAX_HELPERS = 20  # statements that are pulled in, without imports
MAX_LINES = 200  # of the whole program
# Names that depend on where a module lies, and functions that reach what a program cannot take along.
NOT_BUILTIN = {"__name__", "__file__", "__doc__", "__spec__", "__loader__", "__package__", "__build_class__"}
BUILTINS = vars(builtins).keys() - NOT_BUILTIN
Function = ast.FunctionDef | ast.AsyncFunctionDef


class NotStandaloneError(Exception):
    """The function cannot stand alone. The message is the reason for the report."""


@dataclass
class _Gathered:
    """What a function needs. The modules stand in the order in which they would be loaded."""

    function: ast.stmt
    helpers: dict[SourceModule, dict[int, str]] = field(default_factory=dict)  # module -> statement -> its source
    imports: dict[str, str] = field(default_factory=dict)  # name -> the imports that bind it
    count: int = 0  # of helpers
    owners: dict[str, SourceModule] = field(default_factory=dict)  # name -> the module whose statement binds it
    _seen: set[tuple[int, str]] = field(default_factory=set)

    def add(self, module: SourceModule, name: str) -> None:
        """Adds what binds a name of a module. NotStandaloneError if that is not possible."""
        if (id(module), name) in self._seen:
            return
        self._seen.add((id(module), name))
        if name not in module.bindings:
            starred = module.starred(name)
            if starred:
                self.add(*starred)
            elif name not in BUILTINS:
                raise NotStandaloneError("undefined_name")
            return
        for number in module.bindings[name]:
            node = module.tree.body[number]
            if isinstance(node, IMPORTS):
                self._import(module, number, name)
            elif node is not self.function and number not in self.helpers.get(module, {}):
                self._helper(module, number, *rewritten(module, node))

    def _import(self, module: SourceModule, number: int, name: str) -> None:
        node = module.tree.body[number]
        found = module.imported(name, node)
        if isinstance(found, SourceModule):
            raise NotStandaloneError("needs_a_module_as_a_value")
        if found is None:
            text = import_of(node, {name})
            if self.owners.setdefault(name, module) is not module and text not in self.imports.get(name, ""):
                raise NotStandaloneError("helpers_share_a_name")
            if text not in self.imports.setdefault(name, ""):
                self.imports[name] += text
            return
        origin, original = found
        self.add(origin, original)
        if original != name:
            self._helper(module, number, f"{name} = {original}\n", set(), [])

    def _helper(
        self, module: SourceModule, number: int, source: str, names: set[str], members: list[tuple[SourceModule, str]]
    ) -> None:
        self.count += 1
        if self.count > MAX_HELPERS:
            raise NotStandaloneError("too_many_helpers")
        _check(ast.parse(source))
        self.claim(module, bound_names(ast.parse(source).body[0]))
        mine = self.helpers.pop(module, {})
        mine[number] = source
        self.helpers[module] = mine  # later modules are loaded by earlier ones
        self.add_all(module, names, members)

    def claim(self, module: SourceModule, names: set[str]) -> None:
        """Takes note that the module binds these names."""
        for name in names:
            if self.owners.setdefault(name, module) is not module:
                raise NotStandaloneError("helpers_share_a_name")

    def add_all(self, module: SourceModule, names: set[str], members: list[tuple[SourceModule, str]]) -> None:
        """Adds names of the module, and names of other ones."""
        for name in sorted(names):
            self.add(module, name)
        for other, name in sorted(members, key=lambda pair: (pair[0].name, pair[1])):
            self.add(other, name)

    def text(self, module: SourceModule) -> str:
        """The source that precedes the function, which is in this module."""
        future = {
            module.source(node) for one in {**self.helpers, module: {}} for node in one.tree.body if is_future(node)
        }
        head = "".join([*sorted(future), *sorted({*self.imports.values()}, key=_place)])
        own = self.helpers.pop(module, {})
        for statements in [*reversed(self.helpers.values()), own]:
            for _, source in sorted(statements.items()):
                gap = "\n\n" if head and isinstance(ast.parse(source).body[0], (Function, ast.ClassDef)) else ""
                head += gap + source
        return head + "\n\n" * bool(head)


def _place(text: str) -> tuple[bool, str]:
    return text.startswith("from "), text


def rewritten(module: SourceModule, node: ast.stmt) -> tuple[str, set[str], list[tuple[SourceModule, str]]]:
    """(a statement's source without names of modules, the names that it needs, and those of other modules)."""
    reads = (one for one in ast.walk(node) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load))
    found = {id(one): one for one in reads if module.member(one)}
    for one in [*found.values()]:
        for child in ast.walk(one.value):
            found.pop(id(child), None)
    uses = [(one, member) for one in found.values() if (member := module.member(one)) and one.lineno == one.end_lineno]
    uses.sort(key=lambda use: (use[0].lineno, use[0].col_offset), reverse=True)
    lines = [line.encode() for line in module.source(node).split("\n")]
    without = [*lines]  # the same with these names left out
    for one, (_, name) in uses:
        number = one.lineno - first_line(node)
        for text, new in ((lines, name), (without, "None")):
            line = text[number]
            text[number] = line[: one.col_offset] + new.encode() + line[one.end_col_offset :]
    rest = b"\n".join(without).decode()
    names = global_names(without_annotations(rest) if module.delays_annotations else rest)
    return b"\n".join(lines).decode(), names, [member for _, member in uses]


def standalone(module: SourceModule, function: Function, also: set[str]) -> tuple[str, str]:
    """(the source that must precede the function, the function's own). NotStandaloneError if it needs more.

    also: names that the function's tests need from the module.
    """
    gathered = _Gathered(function)
    source, names, members = rewritten(module, function)
    _check(ast.parse(source))
    gathered.claim(module, {function.name})
    gathered.add_all(module, names | also, members)
    return gathered.text(module), source


def _check(node: ast.AST) -> None:
    """NotStandaloneError for a statement that changes its module, or imports what is not in the standard library."""
    for one in ast.walk(node):
        if isinstance(one, ast.Global):
            raise NotStandaloneError("changes_globals")
        if isinstance(one, IMPORTS):
            import_of(one, {alias.asname or alias.name.partition(".")[0] for alias in one.names})


def import_of(node: ast.stmt, names: set[str]) -> str:
    """The import of these names alone. NotStandaloneError if they are not from the standard library."""
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
    first = docstring.end_lineno or 0
    if ast.get_docstring(function, clean=False) is None:
        raise NotStandaloneError("no_docstring")
    if not rest or docstring.lineno == function.lineno or rest[0].lineno <= first:
        raise NotStandaloneError("no_body")
    head, source = standalone(module, function, also)
    if (head + source).count("\n") > MAX_LINES:
        raise NotStandaloneError("too_long")
    lines = [f"{line}\n" for line in source.split("\n")[:-1]]
    count = first - first_line(function) + 1
    return head + "".join(lines[:count]), "".join(lines[count:])
