"""What a client may ask for, and how long it may take to ask."""

import dataclasses
from dataclasses import dataclass

from codex_jax.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Beyond them a request is refused."""

    body_bytes: int = 2**20  # of a request
    body_seconds: int = 10  # until all of it has come
    samples: int = 128  # of a request: prompts times best_of, or n
    stops: int = 16  # stop strings
    stop_bytes: int = 128  # of all of them: each is a row of a table as wide as the vocabulary
    waiting: int = 32  # requests behind the one that is drawn
    connections: int = 128  # open at a time

    def check(self) -> None:
        """InputError for those that no request fits."""
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise InputError(f"--limits.{name.replace('_', '-')} must be at least 1, not {value}")
