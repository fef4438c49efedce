"""Finds documents that contain a benchmark's prompts or solutions, which would make its scores meaningless.

Each protected text is split into its word 10-grams, here called runs (see codex_jax.text.hashing). A document is
contaminated if it contains at least half of a text's runs. Texts of fewer than 20 words, which recur by chance, are
not protected.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from codex_jax.text.hashing import ngram_hashes, word_hashes

RUN_WORDS = 10
MIN_WORDS = 20
MIN_SHARE = 0.5  # of a protected text's runs
SIEVE_BITS = 22


@dataclass(frozen=True)
class ContaminationIndex:
    """An inverted index from runs of words to the protected texts that contain them. Built by make_index.

    names: one per protected text.
    runs: uint64 [R], the hashes of all runs, ascending and unique.
    starts: int64 [R + 1]; owners[starts[i] : starts[i + 1]] are the int64 indices of the texts that contain runs[i].
    needed: float64 [len(names)], how many of a text's runs make a document contaminated.
    sieve: bool [2 ** SIEVE_BITS], whether any run starts with these bits. It makes most lookups unnecessary.
    """

    names: tuple[str, ...]
    runs: np.ndarray
    starts: np.ndarray
    owners: np.ndarray
    needed: np.ndarray
    sieve: np.ndarray

    def find(self, document_words: np.ndarray) -> str:
        """The name of the protected text that a document (word_hashes, uint64 [N]) contains most of; "" if clean."""
        if not self.names:
            return ""
        runs = ngram_hashes(document_words, RUN_WORDS)
        runs = np.unique(runs[self.sieve[runs >> np.uint64(64 - SIEVE_BITS)]])
        positions = np.minimum(np.searchsorted(self.runs, runs), len(self.runs) - 1)
        matches = positions[self.runs[positions] == runs]
        if not len(matches):
            return ""
        owners = np.concatenate([self.owners[self.starts[match] : self.starts[match + 1]] for match in matches])
        shares = np.bincount(owners, minlength=len(self.names)) / self.needed
        best = int(shares.argmax())
        return self.names[best] if shares[best] >= 1.0 else ""


def make_index(texts: Iterable[tuple[str, str]]) -> ContaminationIndex:
    """Builds the index of (name, prompt or solution) pairs; a name may occur more than once."""
    names: list[str] = []
    runs_by_text: list[np.ndarray] = []
    for name, text in texts:
        words = word_hashes(text)
        if len(words) >= MIN_WORDS:
            names.append(name)
            runs_by_text.append(np.unique(ngram_hashes(words, RUN_WORDS)))
    sizes = np.array([len(runs) for runs in runs_by_text], np.int64)
    all_runs = np.concatenate([np.zeros(0, np.uint64), *runs_by_text])
    order = np.argsort(all_runs, kind="stable")
    runs, first = np.unique(all_runs[order], return_index=True)
    sieve = np.zeros(1 << SIEVE_BITS, bool)
    sieve[runs >> np.uint64(64 - SIEVE_BITS)] = True
    starts = np.append(first, len(all_runs))
    owners = np.repeat(np.arange(len(names)), sizes)[order]
    return ContaminationIndex(tuple(names), runs, starts, owners, np.maximum(MIN_SHARE * sizes, 1.0), sieve)
