"""Assigns repositories to the train, validation and test splits; a repository keeps its split as a corpus grows.

Repositories are ranked by a hash of their name and a seed. Test takes repositories from the start of the ranking until
it reaches its token target, validation takes the next ones, and train gets the rest. The manifest stores the ranks at
which test and validation end. Later versions of the corpus use the same ranks to assign new repositories.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from codex_jax.text.hashing import BASE, mix

HELD_OUT = ("test", "validation")  # in the order of the ranking
FRACTION = 0.05  # default target of each held-out split, as a fraction of all tokens
MAX_TOKENS = 10_000_000  # upper limit of the default target
OVERSHOOT = 1.1  # a repository that would fill a split beyond this multiple of its target goes to train


@dataclass(frozen=True)
class Boundaries:
    """Where the held-out splits end. Repositories are identified by repo_hash.

    ends: split -> the first rank after it. members: repository -> its held-out split.
    exceptions: repositories that rank inside a held-out split but belong to train.
    """

    seed: int
    ends: Mapping[str, int]
    members: Mapping[int, str] = field(default_factory=dict)
    exceptions: frozenset[int] = frozenset()


def repo_hash(repo: str) -> int:
    """The 64-bit BLAKE2b hash of a repository's name."""
    return int.from_bytes(hashlib.blake2b(repo.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def ranks(repos: np.ndarray, seed: int) -> np.ndarray:
    """uint64 [R] repository hashes -> uint64 [R]: their ranks under this seed."""
    return mix(repos ^ mix(np.array([seed * 2 + 1], np.uint64) * np.uint64(BASE)))


def may_train_tokenizer(repos: np.ndarray, seed: int, earlier: Boundaries | None = None) -> np.ndarray:
    """bool [R]: which repositories are certain to be in train, so that a tokenizer may be trained on them.

    The boundaries are not known yet, because they depend on token counts. But the last half of the ranking is always
    in train (see fill). earlier: the boundaries of an earlier version of the corpus, which are used instead if given.
    """
    if earlier:
        return assign(repos, earlier) == "train"
    repo_ranks = ranks(repos, seed)
    return repo_ranks >= np.sort(repo_ranks)[_held_out_limit(len(repos))] if len(repos) else np.zeros(0, bool)


def _held_out_limit(count: int) -> int:
    # How many of `count` repositories may be held out: the first half of the ranking.
    return (count + 1) // 2 if count > 2 else 0


def fill(repos: np.ndarray, tokens: np.ndarray, targets: Mapping[str, int | None], seed: int) -> Boundaries:
    """Chooses the boundaries of a new corpus.

    repos: uint64 [R] hashes; tokens: int64 [R], per repository; targets: see target_tokens.

    Test ends within the first quarter of the ranking, validation within the first half. Each takes at least one
    repository: if all are too large, the smallest. If there are fewer than three repositories, all go to train.
    """
    repo_ranks = ranks(repos, seed)
    order = np.argsort(repo_ranks, kind="stable")
    limit = _held_out_limit(len(repos))
    position, ends, members = 0, {}, {}
    exceptions: set[int] = set()
    for number, split in enumerate(HELD_OUT, 1):
        target = target_tokens(split, int(tokens.sum()), targets)
        stop = max(limit * number // len(HELD_OUT), min(number, limit))
        start, filled = position, 0
        taken: list[int] = []
        while position < stop and filled < target:
            size = int(tokens[order[position]])
            if size and filled + size <= OVERSHOOT * target:
                filled += size
                taken.append(position)
            position += 1
        if not taken and position > start:
            sizes = tokens[order[start:position]]
            taken = [start + int(np.argmin(np.where(sizes, sizes, sizes.max() + 1)))]
        members.update({int(repos[order[n]]): split for n in taken})
        exceptions.update(int(repos[order[n]]) for n in range(start, position) if n not in set(taken))
        ends[split] = int(repo_ranks[order[position]]) if position < len(order) else 0
    return Boundaries(seed, ends, members, frozenset(exceptions))


def target_tokens(split: str, total_tokens: int, targets: Mapping[str, int | None]) -> int:
    """The token target of a held-out split; if it is not given, 5% of all tokens, at most 10 million."""
    target = targets.get(split)
    return min(int(FRACTION * total_tokens), MAX_TOKENS) if target is None else target


def extend(earlier: Boundaries, repos: np.ndarray, tokens: np.ndarray, targets: Mapping[str, int | None]) -> Boundaries:
    """The boundaries of a later version of a corpus; arguments as in fill.

    Known repositories keep their split. New ones are assigned by rank, except that too large ones go to train.
    """
    splits = assign(repos, earlier)
    members, exceptions = dict(earlier.members), set(earlier.exceptions)
    for split in HELD_OUT:
        max_tokens = OVERSHOOT * target_tokens(split, int(tokens.sum()), targets)
        for repo, size in zip(repos[splits == split].tolist(), tokens[splits == split].tolist(), strict=True):
            if repo in members or size <= max_tokens:
                members[repo] = split
            else:
                exceptions.add(repo)
    return Boundaries(earlier.seed, earlier.ends, members, frozenset(exceptions))


def assign(repos: np.ndarray, boundaries: Boundaries) -> np.ndarray:
    """uint64 [R] repository hashes -> str [R]: the split of each."""
    repo_ranks = ranks(repos, boundaries.seed)
    splits = np.full(len(repos), "train", "<U10")
    for split in reversed(HELD_OUT):
        splits[repo_ranks < np.uint64(boundaries.ends[split])] = split
    known = {**dict.fromkeys(boundaries.exceptions, "train"), **boundaries.members}
    if known:
        known_repos = np.array(sorted(known), np.uint64)
        positions = np.minimum(np.searchsorted(known_repos, repos), len(known_repos) - 1)
        matches = known_repos[positions] == repos
        splits[matches] = np.array([known[int(repo)] for repo in known_repos[positions[matches]]], "<U10")
    return splits
