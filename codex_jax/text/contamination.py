"""Documents that hold what a benchmark asks or answers: they would make its scores worthless.

Prompts and solutions are taken apart into runs of 10 words (see codex_jax.text.hashing: whitespace does not count). A
document that holds at least half of the runs of one prompt, or of one solution, is contaminated. Texts of under
20 words are not looked for alone: such a line is written by chance again and again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from codex_jax.text.hashing import ngrams, words

RUN = 10  # words
LEAST_WORDS = 20
SHARE = 0.5
SIEVE_BITS = 22


@dataclass(frozen=True)
class Index:
    """grams: uint64 [G], ascending; owners[starts[i]:starts[i + 1]]: the texts that hold gram i; needed: by text."""

    names: tuple[str, ...]
    grams: np.ndarray
    starts: np.ndarray
    owners: np.ndarray
    needed: np.ndarray
    sieve: np.ndarray

    def find(self, hashes: np.ndarray) -> str:
        """The name of a text that a document of these words contains, or ""; the one it holds most runs of."""
        if not self.names:
            return ""
        runs = ngrams(hashes, RUN)
        runs = np.unique(runs[self.sieve[runs >> np.uint64(64 - SIEVE_BITS)]])
        places = np.minimum(np.searchsorted(self.grams, runs), len(self.grams) - 1)
        hits = places[self.grams[places] == runs]
        if not len(hits):
            return ""
        owners = np.concatenate([self.owners[self.starts[hit] : self.starts[hit + 1]] for hit in hits])
        counts = np.bincount(owners, minlength=len(self.names))
        shares = counts / self.needed
        best = int(shares.argmax())
        return self.names[best] if shares[best] >= 1.0 else ""


def make_index(texts: Iterable[tuple[str, str]]) -> Index:
    """texts: (name, prompt or solution) pairs; names may repeat."""
    names: list[str] = []
    parts: list[np.ndarray] = []
    for name, text in texts:
        hashes = words(text)
        if len(hashes) >= LEAST_WORDS:
            names.append(name)
            parts.append(np.unique(ngrams(hashes, RUN)))
    return _index(names, parts)


def _index(names: Sequence[str], parts: Sequence[np.ndarray]) -> Index:
    sizes = np.array([len(part) for part in parts], np.int64)
    every = np.concatenate([np.zeros(0, np.uint64), *parts])
    owners = np.repeat(np.arange(len(parts)), sizes)
    order = np.argsort(every, kind="stable")
    grams, first = np.unique(every[order], return_index=True)
    sieve = np.zeros(1 << SIEVE_BITS, bool)
    sieve[grams >> np.uint64(64 - SIEVE_BITS)] = True
    starts = np.append(first, len(every))
    return Index(tuple(names), grams, starts, owners[order], np.maximum(SHARE * sizes, 1.0), sieve)
