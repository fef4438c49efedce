from codex_jax.text.split import split_by_repository


def test_splits_are_by_repository_and_near_their_share():
    sizes = {f"r{n}": 100 + n for n in range(400)}
    splits = split_by_repository(sizes, 0)
    total = sum(sizes.values())
    for name in ("validation", "test"):
        share = sum(sizes[repo] for repo in sizes if splits[repo] == name) / total
        assert 0.045 < share <= 0.05
    assert splits == split_by_repository(dict(reversed(sizes.items())), 0)
    assert splits != split_by_repository(sizes, 1)


def test_few_repositories():
    assert set(split_by_repository({"a": 1, "b": 1}, 0).values()) == {"train"}
    assert sorted(split_by_repository({"a": 5, "b": 5, "c": 5}, 0).values()) == ["test", "train", "validation"]
