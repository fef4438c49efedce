"""A problem that was made, in HumanEval's form and with where it comes from."""

import hashlib
import json
from dataclasses import asdict, dataclass

from codex_jax.problems.humaneval import humaneval_problem
from codex_jax.problems.problem import Problem
from codex_jax.storage.jsonl import Json


@dataclass(frozen=True)
class MadeProblem:
    """One row of problems.jsonl. The first five fields are HumanEval's; readers of its format ignore the others."""

    task_id: str
    prompt: str  # ends with the function's docstring
    entry_point: str
    canonical_solution: str
    test: str  # defines check(candidate)
    source: str  # the kind, such as doctests
    licence: str  # SPDX expression, "" if it is not known
    provenance: str  # the file and line, or the page, that it was made from
    repo: str  # all problems of a repo are in the same split

    @property
    def text(self) -> str:
        """What a model is trained on."""
        return self.prompt + self.canonical_solution

    @property
    def key(self) -> str:
        """Identifies the content, so that a journal never applies a result to another version."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]

    def problem(self) -> Problem:
        """The problem as samples of it are judged."""
        return humaneval_problem(self.task_id, self.prompt, self.entry_point, self.canonical_solution, self.test)

    def row(self, split: str) -> Json:
        """The line of the file. split: train, validation or test."""
        return {**asdict(self), "split": split}


@dataclass(frozen=True)
class NotMade:
    """What was found and cannot become a problem."""

    name: str
    reason: str
    repo: str = ""


Outcome = MadeProblem | NotMade
