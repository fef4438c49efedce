"""One source file, or one prompt with its solution."""

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
