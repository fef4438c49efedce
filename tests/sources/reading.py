"""What every test of a source does."""

import pickle

from codex_jax.sources.source import parts
from codex_jax.text.document import Document, Rejected


def read(spec):
    """All items of a spec, its parts having gone through pickle as they do to a worker."""
    found = parts(spec)
    assert len({part.name for part in found}) == len(found)
    return [item for part in found for item in pickle.loads(pickle.dumps(part)).documents()]


def documents(spec):
    """(documents by id, reasons by id); ids are unique."""
    items = read(spec)
    assert len({item.id for item in items}) == len(items)
    return (
        {item.id: item for item in items if isinstance(item, Document)},
        {item.id: item.reason for item in items if isinstance(item, Rejected)},
    )
