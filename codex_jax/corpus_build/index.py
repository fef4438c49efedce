"""An index of all documents that passed the filters."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codex_jax.corpus_build.intermediates import part_name, text_range
from codex_jax.storage.remote_files import Folder
from codex_jax.text.splits import Boundaries, may_train_tokenizer
from codex_jax.text.tokenizers import TRAINING_BYTES


@dataclass
class DocumentIndex:
    """rows: ROW [N], ordered by part; counts: the number of rows per part."""

    work: Folder
    counts: list[int]
    rows: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """int64 [parts + 1]: the first row of each part."""
        return np.cumsum([0, *self.counts])

    def band(self, number: int) -> np.ndarray:
        """uint64 [N]: one band of every document's sketch."""
        ranges = ((f"{part_name(part)}.bands", 8 * number * n, 8 * n) for part, n in enumerate(self.counts))
        return np.frombuffer(b"".join(self.work.read_ranges(ranges)), np.uint64)

    def parts_of(self, rows: np.ndarray) -> np.ndarray:
        """int64 [M] row numbers -> int64 [M]: the part of each."""
        return np.searchsorted(self.starts, rows, "right") - 1

    def training_rows(self, keep: np.ndarray, seed: int, earlier: Boundaries | None) -> np.ndarray:
        """int64 [M]: the rows to train a tokenizer on, ordered by key: about 2 * TRAINING_BYTES of text, or less.

        Their repositories will be in train. keep: bool [N], the rows that are not copies.
        """
        rows = np.flatnonzero(keep)
        repos, which = np.unique(self.rows["repo"][rows], return_inverse=True)
        rows = rows[may_train_tokenizer(repos, seed, earlier)[which]]
        rows = rows[np.argsort(self.rows["key_high"][rows], kind="stable")]
        return rows[: int(np.searchsorted(np.cumsum(self.rows["text"][rows]), 2 * TRAINING_BYTES)) + 1]

    def texts(self, rows: np.ndarray) -> Iterator[str]:
        """The texts, without prompts, of these rows."""
        for part, row in zip(self.parts_of(rows).tolist(), self.rows[rows], strict=True):
            name, start, size = text_range(part, row)
            (data,) = self.work.read_ranges([(name, start + int(row["prompt"]), size)])
            yield data.decode()

    def names(self, repos: set[int]) -> dict[int, str]:
        """Repository hash -> name, for the hashes in `repos` that occur in the corpus."""
        names: dict[int, str] = {}
        for marker in self.work.read_ranges((f"{part_name(part)}.json", 0, None) for part in range(len(self.counts))):
            found = json.loads(marker)["repos"].items()
            names.update((int(repo, 16), name) for repo, name in found if int(repo, 16) in repos)
        return names
