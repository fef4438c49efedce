"""The structure of the package: imports run one way, names are unique, and modules are short."""

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "codex_jax"
# Each line may import from the lines above it, and from itself; commands, which are the other top-level modules and
# a room's __main__, from all.
ORDER = (
    ("errors", "config", "terminal", "failure", "cli", "storage"),
    ("text",),
    ("problems",),
    ("sources",),
    ("records",),
    ("corpus_build",),
    ("parallel",),
    ("model",),
    ("runs",),
    ("training",),
    ("sampling",),
    ("serving",),
    ("sandbox",),
    ("scoring",),
    ("curation",),
    ("reporting",),
    ("planning",),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
WITHOUT_JAX = {room for rooms in ORDER[:4] for room in rooms} | {"sandbox", "scoring", "curation", "reporting"}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, path.relative_to(PACKAGE).with_suffix("").parts


def imported(path):
    """The dotted names that a module imports, at any depth of its code, and in the source text of its strings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def rooms_of(path):
    names = (name.split(".") for name in imported(path))
    return {name[1] for name in names if name[0] == "codex_jax" and len(name) > 1}


def test_imports_run_one_way():
    upward = []
    for path, parts in modules():
        if parts[0] in LEVEL and parts[-1] != "__main__":
            above = (room for room in rooms_of(path) if LEVEL.get(room, len(ORDER)) > LEVEL[parts[0]])
            upward += [f"{'.'.join(parts)} imports {room}" for room in above]
    assert upward == []


def test_every_room_has_its_place_in_the_order():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= LEVEL.keys()


def test_rooms_that_need_no_jax_do_not_import_it():
    found = []
    for path, parts in modules():
        if parts[0] in WITHOUT_JAX:
            tops = {name.split(".")[0] for name in imported(path)}
            found += [f"{'.'.join(parts)} imports {name}" for name in tops & {"jax", "flax", "optax", "orbax"}]
    assert found == []


def test_no_two_modules_or_classes_share_a_name():
    stems = Counter(parts[-1] for _, parts in modules() if parts[-1] not in ("__init__", "__main__"))
    classes = Counter(
        node.name
        for path, _ in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in (stems + Counter()).items() if count > 1] == []
    assert [name for name, count in classes.items() if count > 1 and name != "Args"] == []


def test_modules_stay_readable_in_one_sitting():
    lines = {"/".join(parts): len(path.read_text().splitlines()) for path, parts in modules()}
    assert {name: count for name, count in lines.items() if count > 300} == {}
