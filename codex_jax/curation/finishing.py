"""What is done with problems of every kind: no benchmark's problems, no near copies, and splits by repository."""

from collections.abc import Sequence

import numpy as np

from codex_jax.text.contamination import ContaminationIndex
from codex_jax.text.dedupe import THRESHOLD, bands, jaccard, shingles
from codex_jax.text.hashing import word_hashes
from codex_jax.text.splits import assign, fill, repo_hash

FIRST = 8  # texts with an equal band that a later one is compared with, as in corpus_build


def contaminated(texts: Sequence[str], protected: ContaminationIndex) -> list[str]:
    """For each text, the name of the benchmark's problem that it contains, or ""."""
    return [protected.find(word_hashes(text)) for text in texts]


def near_copies(texts: Sequence[str]) -> list[bool]:
    """For each text, whether it is a near copy of an earlier one that is not: see text/dedupe.py."""
    groups: dict[tuple[int, int], list[int]] = {}  # (band, its value) -> the texts with this value
    sets: list[np.ndarray] = []
    copies = []
    for number, text in enumerate(texts):
        sets.append(shingles(text))
        keys = list(enumerate(bands(sets[number]).tolist()))
        earlier = {other for key in keys for other in groups.get(key, ())}
        copies.append(any(jaccard(sets[other], sets[number]) >= THRESHOLD for other in earlier))
        if not copies[-1]:
            for key in keys:
                group = groups.setdefault(key, [])
                if len(group) < FIRST:
                    group.append(number)
    return copies


def splits_by_repo(repos: Sequence[str], texts: Sequence[str], seed: int) -> list[str]:
    """train, validation or test for each problem. About 5% of the text is in each held-out split: see text/splits.py.

    With fewer than three repositories, all problems are in train.
    """
    hashes = np.array([repo_hash(repo) for repo in repos], np.uint64)
    unique, which = np.unique(hashes, return_inverse=True)
    sizes = np.bincount(which, [len(text) for text in texts], len(unique)).astype(np.int64)
    return assign(unique, fill(unique, sizes, {}, seed))[which].tolist()
