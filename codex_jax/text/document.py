"""What a source yields: a source file or a problem, or word of one that could not be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """text is what the model learns to write; prompt stands before it and carries no loss."""

    id: str  # unique within its source
    repo: str  # what the split goes by: a repository, package or problem
    path: str
    text: str
    prompt: str = ""
    license: str = ""


@dataclass(frozen=True)
class Rejected:
    """A document that is left out before any filter sees it; the reason is counted in the report."""

    id: str
    reason: str
