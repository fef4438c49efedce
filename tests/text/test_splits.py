import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.text.splits import OVERSHOOT, SMALL, assign, extend, fill, hash_of, may_train_tokenizer, ranks


def hashes(count):
    return np.sort(np.array([hash_of(f"repo{n}") for n in range(count)], np.uint64))


def total(repos, tokens, boundaries, split):
    return int(tokens[assign(repos, boundaries) == split].sum())


def test_splits_are_filled_to_their_targets():
    repos, tokens = hashes(2000), np.arange(100, 2100)
    boundaries = fill(repos, tokens, {"test": 40_000, "validation": None}, 0)
    assert 40_000 <= total(repos, tokens, boundaries, "test") <= OVERSHOOT * 40_000
    assert 0.05 <= total(repos, tokens, boundaries, "validation") / tokens.sum() <= 0.055
    other = fill(repos, tokens, {}, 1)
    assert set(other.members) != set(boundaries.members)


def test_a_giant_stays_in_train():
    repos = hashes(100)
    first = int(np.argmin(ranks(repos, 0)))
    tokens = np.full(100, 1000)
    tokens[first] = 10**7
    boundaries = fill(repos, tokens, {"test": 5000, "validation": 5000}, 0)
    assert assign(repos, boundaries)[first] == "train"
    assert boundaries.exceptions == {int(repos[first])}
    assert total(repos, tokens, boundaries, "test") == 5000


def test_few_repositories():
    for count in (0, 1, 2):
        repos = hashes(count)
        assert set(assign(repos, fill(repos, np.full(count, 9), {}, 0)).tolist()) <= {"train"}
    repos = hashes(3)
    assert sorted(assign(repos, fill(repos, np.full(3, 9), {}, 0)).tolist()) == ["test", "train", "validation"]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(0, 5), st.integers(0, 20_000))
def test_what_trains_a_tokenizer_is_in_train(sizes, seed, target):
    repos, tokens = hashes(len(sizes)), np.array(sizes)
    boundaries = fill(repos, tokens, {"test": target, "validation": target}, seed)
    split = assign(repos, boundaries)
    usable = may_train_tokenizer(repos, seed)
    assert usable.any()
    assert set(split[usable].tolist()) == {"train"}
    assert {int(repo): name for repo, name in zip(repos, split, strict=True) if name != "train"} == boundaries.members


@given(st.integers(0, 9), st.integers(0, 300))
def test_a_repository_keeps_its_split_when_the_corpus_grows(seed, more):
    every = np.array([hash_of(f"repo{n}") for n in range(300 + more)], np.uint64)
    old, new = np.sort(every[:300]), np.sort(every)
    first = fill(old, np.full(300, 1000), {}, seed)
    grown = extend(first, new, np.full(len(new), 1100), {})
    split = dict(zip(new.tolist(), assign(new, grown).tolist(), strict=True))
    assert all(split[repo] == name for repo, name in zip(old.tolist(), assign(old, first).tolist(), strict=True))
    assert set(split.values()) <= {"train", *SMALL}
    assert may_train_tokenizer(new, seed, first).sum() >= list(split.values()).count("train")
