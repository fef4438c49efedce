"""All documents that passed the filters, over the files that hold them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from codex_jax.corpus_build.intermediates import ROW, read_band, read_text
from codex_jax.text.splits import Boundaries, may_train_tokenizer
from codex_jax.text.tokenizers import TRAINING_BYTES


@dataclass
class Index:
    """All documents that passed the filters: where each lies, and its rows."""

    stems: list[Path] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, ROW))

    @property
    def starts(self) -> np.ndarray:
        """int64 [files + 1]: the first row of each texts' file."""
        return np.cumsum([0, *self.counts])

    def band(self, number: int) -> np.ndarray:
        """uint64 [N]: one value of every document's sketch."""
        return np.concatenate(
            [read_band(stem, number, count) for stem, count in zip(self.stems, self.counts, strict=True)]
        )

    def place(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64 [N] rows -> (their file, their row in it)."""
        files = np.searchsorted(self.starts, rows, "right") - 1
        return files, rows - self.starts[files]

    def training_texts(self, keep: np.ndarray, seed: int, earlier: Boundaries | None) -> Iterator[str]:
        """Texts to train a tokenizer on, in the order of their keys, of repositories that will be in train.

        keep: bool [N], the rows that are no copies.
        """
        rows = np.flatnonzero(keep)
        repos, which = np.unique(self.rows["repo"][rows], return_inverse=True)
        rows = rows[may_train_tokenizer(repos, seed, earlier)[which]]
        rows = rows[np.argsort(self.rows["key_high"][rows], kind="stable")]
        rows = rows[: int(np.searchsorted(np.cumsum(self.rows["text"][rows]), 2 * TRAINING_BYTES)) + 1]
        for row, file in zip(rows, self.place(rows)[0], strict=True):
            with self.stems[file].with_suffix(".texts").open("rb") as texts:
                yield read_text(texts, self.rows[row])[1]

    def names(self, repos: set[int]) -> dict[int, str]:
        """The names of these repositories, as far as they are known."""
        out: dict[int, str] = {}
        for stem in self.stems:
            found = json.loads(stem.with_suffix(".json").read_text())["repos"]
            out.update((int(repo, 16), name) for repo, name in found.items() if int(repo, 16) in repos)
        return out
