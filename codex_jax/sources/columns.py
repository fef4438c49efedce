"""Which columns of a table hold a document: PATH?text=content&repo=repo_name&path=path&license=license."""

import re
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl

from codex_jax.errors import InputError

# A ? in a glob is followed by no key=.
QUERY = re.compile(r"(.*)\?(\w+=.*)", re.DOTALL)


@dataclass(frozen=True)
class Columns:
    """Column names; "" for one that is not there."""

    text: str = ""
    repo: str = ""
    path: str = ""
    license: str = ""


KEYS = tuple(field.name for field in fields(Columns))


def split_argument(prefix: str, argument: str) -> tuple[str, dict[str, str]]:
    """PATH?key=column&... -> (PATH, {key: column}); InputError for a key that is none of KEYS."""
    found = QUERY.fullmatch(argument)
    if not found:
        return argument, {}
    given = dict(parse_qsl(found[2], keep_blank_values=True))
    for key in given:
        if key not in KEYS:
            raise InputError(f"{prefix}:{argument}: no column is called {key!r}: give {', '.join(KEYS)}")
    if given.get("text") == "":
        raise InputError(f"{prefix}:{argument}: text= names no column")
    return found[1], given


def as_text(value: object) -> str:
    """A cell as text: a list (of licences) is joined with commas, what is neither text nor a number is ""."""
    if isinstance(value, list):
        return ",".join(filter(None, map(as_text, value)))
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
