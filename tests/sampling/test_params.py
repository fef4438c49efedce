import pytest

from codex_jax.errors import InputError
from codex_jax.sampling.params import ProgramKey, SamplingParams, check_seed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -1}, "--temperature must be 0 (greedy) or at least 0.001, not -1"),
        ({"temperature": 1e-9}, "--temperature"),
        ({"temperature": float("nan")}, "--temperature"),
        ({"temperature": float("inf")}, "--temperature"),
        ({"top_p": 0}, "--top-p"),
        ({"top_p": 1.5}, "--top-p"),
        ({"top_k": -1}, "--top-k"),
        ({"max_new_tokens": 0}, "--max-new-tokens"),
        ({"min_new_tokens": -1}, "--min-new-tokens"),
        ({"min_new_tokens": 49}, "--min-new-tokens must be from 0 to --max-new-tokens 48, not 49"),
        ({"stops": ("a", "")}, "a stop string is empty"),
    ],
)
def test_values_out_of_range(changes, message):
    with pytest.raises(InputError) as caught:
        SamplingParams(**{"max_new_tokens": 48, **changes}).check()
    assert message in str(caught.value)


def test_the_ends_of_each_range_are_allowed():
    SamplingParams(temperature=0, top_p=1, top_k=0, max_new_tokens=1, min_new_tokens=0).check()
    SamplingParams(temperature=0.001, top_p=1e-6, max_new_tokens=7, min_new_tokens=7).check()
    check_seed(0)
    check_seed(2**32 - 1)
    for seed in (-1, 2**32):
        with pytest.raises(InputError, match="--seed must be from 0 to"):
            check_seed(seed)


def test_only_what_needs_another_program_is_in_its_key():
    assert SamplingParams(temperature=0.5, top_p=0.9).program_key == ProgramKey(False, False, True, False)
    assert SamplingParams(top_p=1, top_k=1, min_new_tokens=1).program_key == ProgramKey(False, True, False, True)
    assert SamplingParams(0.7, 0.2, 9, ("a",)).program_key == ProgramKey(False, False, True, False)
    assert SamplingParams(0, 1, top_k=3, min_new_tokens=2).program_key == ProgramKey(True, True, False, True)
