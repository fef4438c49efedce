import numpy as np
import pytest

from codex_jax.sampling.completion import settled_text, to_sample
from codex_jax.sampling.params import SamplingParams
from codex_jax.sampling.session import RawSample

TOKEN_BYTES = [b"", b"a", b"bc", "é".encode()[:1], "é".encode()[1:], b"\n", b"x\nd"]
EOT = 0


def sample(ids, stops=(), min_new_tokens=0):
    logps = -np.arange(1, len(ids) + 1, dtype=np.float32)
    raw = RawSample(np.array(ids, np.int32), logps, logps / 2)
    return to_sample(raw, TOKEN_BYTES, EOT, SamplingParams(stops=stops, min_new_tokens=min_new_tokens))


@pytest.mark.parametrize(
    ("ids", "stops", "text", "tokens", "finish"),
    [
        ([1, 2, 1], (), "abca", 3, "length"),
        ([1, 2, 0], (), "abc", 3, "eot"),  # the end-of-text is counted
        ([0], (), "", 1, "eot"),
        ([], (), "", 0, "length"),
        ([1, 2, 5, 1], ("c\n",), "ab", 2, "stop"),  # a token that begins before the cut is counted
        ([1, 6], ("\nd",), "ax", 2, "stop"),
        ([1, 5], ("\n",), "a", 1, "stop"),
        ([5, 1], ("\n",), "", 1, "stop"),  # at least one token is counted
        ([1, 2, 0], ("z",), "abc", 3, "eot"),
        ([1, 2, 0], ("bc",), "a", 1, "stop"),
        ([3, 4, 1, 3], (), "éa\ufffd", 4, "length"),
    ],
)
def test_samples(ids, stops, text, tokens, finish):
    result = sample(ids, stops)
    assert (result.completion, result.tokens, result.finish) == (text, tokens, finish)
    total = -tokens * (tokens + 1) / 2
    assert (result.sum_logp, result.sampling_sum_logp) == (total, total / 2)
    assert result.mean_logp == pytest.approx(total / max(tokens, 1))
    assert result.sampling_mean_logp == pytest.approx(total / 2 / max(tokens, 1))


def test_stop_strings_within_min_new_tokens_do_not_count():
    assert sample([1, 1, 2], ("a",)).completion == ""
    assert sample([1, 1, 2], ("a",), 1).completion == "a"
    assert sample([1, 1, 2], ("a",), 2).completion == "aabc"
    assert sample([2, 2], ("cb",), 1).completion == "b"  # it ends after the first token
    assert sample([1, 0], ("a",), 1).completion == "a"
    assert sample([1], ("a",), 5).completion == "a"


def test_settled_text_leaves_out_what_may_change():
    assert settled_text("abcdef", SamplingParams()) == "abcdef"
    assert settled_text("abcdef", SamplingParams(stops=("xy", "z"))) == "abcd"
    assert settled_text("a", SamplingParams(stops=("xyz",))) == ""
    assert settled_text("ab\ufffd\ufffd", SamplingParams()) == "ab"
