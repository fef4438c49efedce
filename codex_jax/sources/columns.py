"""Column selection for tables: PATH?text=content&repo=repo_name&path=path&license=license."""

import re
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl

from codex_jax.errors import InputError

# The ? of a glob is not followed by KEY=.
QUERY = re.compile(r"(.*)\?(\w+=.*)", re.DOTALL)


@dataclass(frozen=True)
class Columns:
    """The names of the columns that hold a document's fields; "" if a table has no such column."""

    text: str = ""
    repo: str = ""
    path: str = ""
    license: str = ""


KEYS = tuple(field.name for field in fields(Columns))


def split_argument(prefix: str, argument: str) -> tuple[str, dict[str, str]]:
    """PATH?key=column&... -> (PATH, {key: column}). InputError for a key that is not a field of Columns."""
    match = QUERY.fullmatch(argument)
    if not match:
        return argument, {}
    columns = dict(parse_qsl(match[2], keep_blank_values=True))
    for key in columns:
        if key not in KEYS:
            raise InputError(f"{prefix}:{argument}: unknown column key {key!r}: give {', '.join(KEYS)}")
    if columns.get("text") == "":
        raise InputError(f"{prefix}:{argument}: text= must name a column")
    return match[1], columns


def as_text(value: object) -> str:
    """A table cell as text. Lists (of licences) are joined with commas; values other than text and integers give ""."""
    if isinstance(value, list):
        return ",".join(filter(None, map(as_text, value)))
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
