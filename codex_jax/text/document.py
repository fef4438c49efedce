"""The items that a source yields: documents, and records of files that could not be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """A source file, or a problem with its solution. Training computes the loss on `text` only, not on `prompt`."""

    id: str  # unique within its source
    repo: str  # repository, package or problem; all documents of a repo are in the same split
    path: str
    text: str
    prompt: str = ""  # precedes text
    license: str = ""


@dataclass(frozen=True)
class Rejected:
    """A document that its source could not deliver. The corpus report counts these by reason."""

    id: str
    reason: str
