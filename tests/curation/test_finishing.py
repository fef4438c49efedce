from collections import Counter

import numpy as np

from codex_jax.curation.finishing import contaminated, near_copies, splits_by_repo
from codex_jax.text.contamination import make_index

WORDS = [f"word{n}" for n in range(200)]
TEXT = " ".join(WORDS)


def test_near_copies_are_compared_with_what_is_kept():
    changed = " ".join(["other", *WORDS[1:]])
    half = " ".join(WORDS[100:])
    assert near_copies([TEXT, half, changed, TEXT, ""]) == [False, False, True, True, False]
    assert near_copies([]) == []


def test_contaminated_names_the_problem():
    index = make_index([("B/1", " ".join(WORDS[:40]))])
    assert contaminated([TEXT, " ".join(WORDS[60:])], index) == ["B/1", ""]


def test_a_repo_is_in_one_split():
    rng = np.random.default_rng(0)
    repos = [f"r{n}" for n in rng.integers(60, size=600)]
    texts = ["x" * int(size) for size in rng.integers(50, 500, size=600)]
    splits = splits_by_repo(repos, texts, seed=0)
    assert len(set(zip(repos, splits, strict=True))) == len(set(repos))
    shares = Counter(splits)
    assert 15 <= shares["test"] <= 50
    assert 15 <= shares["validation"] <= 50
    assert splits == splits_by_repo(repos, texts, seed=0) != splits_by_repo(repos, texts, seed=1)
    assert splits_by_repo(["a", "b"], ["x", "y"], 0) == ["train", "train"]
    assert splits_by_repo([], [], 0) == []
