import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.text.splits import assign, extend, fill, may_train_tokenizer, ranks, repo_hash


def hashes(count):
    return np.sort(np.array([repo_hash(f"repo{n}") for n in range(count)], np.uint64))


def total(repos, tokens, boundaries, split):
    return int(tokens[assign(repos, boundaries) == split].sum())


def test_splits_are_filled_to_their_targets():
    repos, tokens = hashes(2000), np.arange(100, 2100)
    boundaries = fill(repos, tokens, {"test": 40_000, "validation": None}, 0)
    assert 40_000 <= total(repos, tokens, boundaries, "test") <= 44_000
    assert 0.05 <= total(repos, tokens, boundaries, "validation") / tokens.sum() <= 0.055
    other = fill(repos, tokens, {}, 1)
    assert set(other.members) != set(boundaries.members)


def test_the_default_target_is_at_most_ten_million_tokens():
    repos, tokens = hashes(1000), np.full(1000, 10**6)
    boundaries = fill(repos, tokens, {}, 0)
    assert total(repos, tokens, boundaries, "test") == total(repos, tokens, boundaries, "validation") == 10**7


@pytest.mark.parametrize(("second", "expected"), [(500, "test"), (501, "train"), (510, "train")])
def test_a_split_may_exceed_its_target_by_a_tenth(second, expected):
    # The target is 1000. The first repository of the ranking has 600 tokens, and the second leads to 1.1 times the
    # target exactly, or beyond it.
    repos = hashes(100)
    order = np.argsort(ranks(repos, 0))
    tokens = np.full(100, 200)
    tokens[order[:2]] = 600, second
    boundaries = fill(repos, tokens, {"test": 1000, "validation": 1000}, 0)
    assert assign(repos, boundaries)[order[:2]].tolist() == ["test", expected]
    assert total(repos, tokens, boundaries, "test") == (1100 if expected == "test" else 1000)


@pytest.mark.parametrize(("size", "expected"), [(1100, "test"), (1101, "train"), (1110, "train")])
def test_a_new_repository_of_a_later_version_may_have_a_tenth_more_than_the_target(size, expected):
    repos = hashes(100)
    order = np.argsort(ranks(repos, 0))
    boundaries = fill(np.delete(repos, order[1]), np.full(99, 200), {"test": 1000, "validation": 1000}, 0)
    tokens = np.full(100, 200)
    tokens[order[1]] = size  # ranks inside test
    later = extend(boundaries, repos, tokens, {"test": 1000, "validation": 1000})
    assert assign(repos, later)[order[1]] == expected


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
def test_repositories_that_may_train_a_tokenizer_are_in_train(sizes, seed, target):
    repos, tokens = hashes(len(sizes)), np.array(sizes)
    boundaries = fill(repos, tokens, {"test": target, "validation": target}, seed)
    split = assign(repos, boundaries)
    usable = may_train_tokenizer(repos, seed)
    assert usable.any()
    assert set(split[usable].tolist()) == {"train"}
    assert {int(repo): name for repo, name in zip(repos, split, strict=True) if name != "train"} == boundaries.members


@given(st.integers(0, 9), st.integers(0, 300))
def test_a_repository_keeps_its_split_when_the_corpus_grows(seed, more):
    all_repos = np.array([repo_hash(f"repo{n}") for n in range(300 + more)], np.uint64)
    first, later = np.sort(all_repos[:300]), np.sort(all_repos)
    boundaries = fill(first, np.full(300, 1000), {}, seed)
    grown = extend(boundaries, later, np.full(len(later), 1100), {})
    split = dict(zip(later.tolist(), assign(later, grown).tolist(), strict=True))
    assert all(split[repo] == name for repo, name in zip(first.tolist(), assign(first, boundaries), strict=True))
    assert set(split.values()) <= {"train", "test", "validation"}
    assert may_train_tokenizer(later, seed, boundaries).sum() >= list(split.values()).count("train")
