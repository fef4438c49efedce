from typing import get_args

from codex_jax.config import RematPolicy
from codex_jax.model.remat import REMAT


def test_every_policy_has_an_entry():
    assert set(REMAT) == set(get_args(RematPolicy))


def test_the_saved_widths_are_those_of_the_saved_names():
    # Per token and in widths: attention's output 1; query, key and value 3; out 1, and up 4; a layer's input 1.
    heads, split, whole = {"attention": 1, "qkv": 3}, {"up": 4}, {"out": 1}
    for policy, remat in REMAT.items():
        if policy != "none":
            sums = [sum(sizes.get(name, 0) for name in remat.names) for sizes in (heads, split, whole)]
            assert remat.widths == (sums[0], sums[1], sums[2] + 1), policy


def test_what_is_not_saved_is_computed_again():
    for policy, remat in REMAT.items():
        saved = {"attention", "qkv", "out", "up"} if policy == "none" else set(remat.names)
        expected = [name for name in ("query", "key", "value") if "qkv" not in saved]
        expected += [name for name in ("out", "up") if name not in saved]
        assert list(remat.linear_layers) == expected, policy
        assert remat.attention == ("attention" not in saved), policy
