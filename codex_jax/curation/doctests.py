"""Problems from functions whose docstrings carry examples. The examples become the tests; no code runs here."""

import ast
from collections.abc import Iterable, Iterator

from codex_jax.curation.doctest_cases import example_test
from codex_jax.curation.made_problem import MadeProblem, NotMade, Outcome
from codex_jax.curation.needed_code import Function, NotStandaloneError, split_program
from codex_jax.curation.source_module import SourceModule, bound_names, global_names
from codex_jax.errors import InputError
from codex_jax.sources.source import Item, parts
from codex_jax.text.document import Document, Rejected

PREFIXES = ("dir", "pypi", "stdlib", "wheel", "sdist")
SIGN = ">>>"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def read_sources(specs: Iterable[str]) -> Iterator[Item]:
    """The documents of the sources. InputError if one cannot be read."""
    for spec in specs:
        if spec.partition(":")[0] not in PREFIXES:
            raise InputError(f"{spec}: give dir:PATH, pypi:NAME or another of {', '.join(PREFIXES)}")
    for spec in specs:
        for part in parts(spec):
            yield from part.documents()


def doctest_problems(item: Item) -> Iterator[Outcome]:
    """What becomes of each function of a file that has examples in its docstring, and of a file that is unreadable."""
    if isinstance(item, Rejected):
        yield NotMade(item.id, f"file_{item.reason}", item.id.partition("/")[0])
        return
    if SIGN not in item.text:
        return
    try:
        module = SourceModule(item.text)
    except (SyntaxError, ValueError, RecursionError):
        yield NotMade(item.id, "file_does_not_parse", item.repo)
        return
    top = {id(node) for node in module.tree.body}
    methods = {id(child) for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) for child in node.body}
    for node in ast.walk(module.tree):
        if not isinstance(node, FUNCTIONS) or SIGN not in (ast.get_docstring(node, clean=False) or ""):
            continue
        name = f"{item.id}:{node.lineno}"
        if id(node) not in top:
            yield NotMade(name, "method" if id(node) in methods else "nested_function", item.repo)
        elif isinstance(node, ast.AsyncFunctionDef):
            yield NotMade(name, "async_function", item.repo)
        elif module.bindings[node.name] != [module.tree.body.index(node)]:
            yield NotMade(name, "defined_twice", item.repo)
        else:
            try:
                yield _problem(item, module, node)
            except NotStandaloneError as error:
                yield NotMade(name, str(error), item.repo)


def _problem(document: Document, module: SourceModule, node: Function) -> MadeProblem:
    try:
        packages = frozenset((document.repo.replace("-", "_"), *document.path.removesuffix(".py").split("/")[:2]))
        test = example_test(ast.get_docstring(node, clean=False) or "", node.name, packages)
        used = global_names(test.calls)
    except (SyntaxError, ValueError, RecursionError):
        raise NotStandaloneError("examples_do_not_parse") from None
    if not test.asserts:
        raise NotStandaloneError("no_exact_example")
    if node.name not in used:
        raise NotStandaloneError("examples_do_not_call_it")
    made = {name for one in ast.parse(test.calls).body for name in bound_names(one)}
    prompt, solution = split_program(module, node, used - made - {node.name})
    place = f"{document.id}:{node.lineno}"
    return MadeProblem(
        task_id=f"doctests/{document.id}/{node.name}",
        prompt=prompt,
        entry_point=node.name,
        canonical_solution=solution,
        test=test.source,
        source="doctests",
        licence=document.license,
        provenance=place,
        repo=document.repo,
    )
