"""Train, validation and test by repository: ranked by a hash, filled to a number of tokens, stable when all grows.

A split takes the repositories whose rank lies in its own interval. Where that ends is decided once, when the
repositories reach the split's target, and written to the manifest; a later version of the corpus starts from there, so
that a repository keeps its split, and a new one goes where its rank says.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from codex_jax.text.hashing import BASE, mix

SMALL = ("test", "validation")  # in the order of their intervals
FRACTION = 0.05  # of all tokens for each, where no target is given
MOST_TOKENS = 10_000_000
OVERSHOOT = 1.1  # a repository that would lead beyond this much of the target is left to train


@dataclass(frozen=True)
class Boundaries:
    """Repositories go by their hash (see hash_of). ends: the rank at which a split's interval ends.

    members: repository -> test or validation; exceptions: those inside an interval that train keeps.
    """

    seed: int
    ends: Mapping[str, int]
    members: Mapping[int, str] = field(default_factory=dict)
    exceptions: frozenset[int] = frozenset()


def hash_of(repo: str) -> int:
    """64 bits of BLAKE2b of a repository's name."""
    return int.from_bytes(hashlib.blake2b(repo.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def ranks(repos: np.ndarray, seed: int) -> np.ndarray:
    """uint64 [R] hashes -> uint64 [R]: the order in which a seed takes them."""
    return mix(repos ^ mix(np.array([seed * 2 + 1], np.uint64) * np.uint64(BASE)))


def may_train_tokenizer(repos: np.ndarray, seed: int, earlier: Boundaries | None = None) -> np.ndarray:
    """bool [R]: whether a repository will surely be in train: the half that ranks last (see fill), or what was there.

    A tokenizer has to be trained before there are tokens to fill a target with.
    """
    if earlier:
        return assign(repos, earlier) == "train"
    own = ranks(repos, seed)
    return own >= np.sort(own)[_last(len(repos))] if len(repos) else np.zeros(0, bool)


def _last(count: int) -> int:
    return (count + 1) // 2 if count > 2 else 0


def fill(repos: np.ndarray, tokens: np.ndarray, targets: Mapping[str, int | None], seed: int) -> Boundaries:
    """uint64 [R] hashes and int64 [R] tokens, targets by split (None: 5% of all, at most 10M) -> where splits end.

    Test may reach over the first quarter of the ranking and validation over the second. Each takes one repository
    at least, the smallest it came by where all are too large; with fewer than three repositories all go to train.
    """
    own = ranks(repos, seed)
    order = np.argsort(own, kind="stable")
    last = _last(len(repos))
    place, ends, members = 0, {}, {}
    exceptions: set[int] = set()
    for number, name in enumerate(SMALL, 1):
        target = target_of(name, int(tokens.sum()), targets)
        stop = max(last * number // len(SMALL), min(number, last))
        start, filled = place, 0
        taken: list[int] = []
        while place < stop and filled < target:
            size = int(tokens[order[place]])
            if size and filled + size <= OVERSHOOT * target:
                filled += size
                taken.append(place)
            place += 1
        if not taken and place > start:
            sizes = tokens[order[start:place]]
            taken = [start + int(np.argmin(np.where(sizes, sizes, sizes.max() + 1)))]
        members.update({int(repos[order[n]]): name for n in taken})
        exceptions.update(int(repos[order[n]]) for n in range(start, place) if n not in set(taken))
        ends[name] = int(own[order[place]]) if place < len(order) else 0
    return Boundaries(seed, ends, members, frozenset(exceptions))


def target_of(split: str, tokens: int, targets: Mapping[str, int | None]) -> int:
    """The tokens a split is to have, of so many in all."""
    given = targets.get(split)
    return min(int(FRACTION * tokens), MOST_TOKENS) if given is None else given


def extend(earlier: Boundaries, repos: np.ndarray, tokens: np.ndarray, targets: Mapping[str, int | None]) -> Boundaries:
    """The boundaries for a corpus that has grown: old repositories stay, new ones that are too large go to train."""
    found = assign(repos, earlier)
    members, exceptions = dict(earlier.members), set(earlier.exceptions)
    for name in SMALL:
        most = OVERSHOOT * target_of(name, int(tokens.sum()), targets)
        for repo, size in zip(repos[found == name].tolist(), tokens[found == name].tolist(), strict=True):
            if repo in members or size <= most:
                members[repo] = name
            else:
                exceptions.add(repo)
    return Boundaries(earlier.seed, earlier.ends, members, frozenset(exceptions))


def assign(repos: np.ndarray, boundaries: Boundaries) -> np.ndarray:
    """uint64 [R] hashes -> str [R]: each repository's split."""
    own = ranks(repos, boundaries.seed)
    out = np.full(len(repos), "train", "<U10")
    for name in reversed(SMALL):
        out[own < np.uint64(boundaries.ends[name])] = name
    fixed = {**dict.fromkeys(boundaries.exceptions, "train"), **boundaries.members}
    if fixed:
        known = np.array(sorted(fixed), np.uint64)
        places = np.minimum(np.searchsorted(known, repos), len(known) - 1)
        hits = known[places] == repos
        out[hits] = np.array([fixed[int(repo)] for repo in known[places[hits]]], "<U10")
    return out
