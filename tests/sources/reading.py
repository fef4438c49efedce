"""Reads all of a source."""

import pickle

from codex_jax.sources.source import parts
from codex_jax.text.document import Document, Rejected


def read(spec):
    """All items of a specification. Its parts are pickled and unpickled, as they are when sent to workers."""
    all_parts = parts(spec)
    assert len({part.name for part in all_parts}) == len(all_parts)
    return [item for part in all_parts for item in pickle.loads(pickle.dumps(part)).documents()]


def documents(spec):
    """(documents by id, reasons of rejections by id). Asserts that ids are unique."""
    items = read(spec)
    assert len({item.id for item in items}) == len(items)
    return (
        {item.id: item for item in items if isinstance(item, Document)},
        {item.id: item.reason for item in items if isinstance(item, Rejected)},
    )
