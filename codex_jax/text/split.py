"""Train, validation and test by repository, so that no repository is in two."""

import hashlib
from collections.abc import Mapping

FRACTIONS = {"test": 0.05, "validation": 0.05}  # of all bytes; train takes the rest


def split_by_repository(sizes: Mapping[str, int], seed: int) -> dict[str, str]:
    """repo -> split. Repositories are ranked by hash and fill test, then validation, each with one at least.

    With fewer than three repositories all go to train. A repository larger than what a small split may still
    take is left to train, so that one giant does not become the validation set.
    """
    ranked = sorted(sizes, key=lambda repo: hashlib.blake2b(f"{seed}\0{repo}".encode()).digest())
    splits = dict.fromkeys(ranked, "train")
    if len(ranked) < 3:
        return splits
    total = sum(sizes.values())
    left = list(ranked)
    for name, fraction in FRACTIONS.items():
        target, filled = fraction * total, 0
        for repo in list(left):
            if filled + sizes[repo] <= target:
                splits[repo], filled = name, filled + sizes[repo]
                left.remove(repo)
        if not filled and len(left) > 1:
            smallest = min(left, key=lambda repo: sizes[repo])
            splits[smallest] = name
            left.remove(smallest)
    return splits
