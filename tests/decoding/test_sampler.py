import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.decoding.sampler import Draw, Sample, Sampler, sample_keys
from codex_jax.errors import InputError
from codex_jax.model.gpt import GPT, segments_and_positions

CONFIG = ModelConfig(layers=2, width=32, heads=2, context=96, vocab_size=128)


class Letters:
    """ASCII: a token a character, and NUL for end-of-text."""

    eot, vocab_size = 0, 127

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(ids).decode()

    def token_bytes(self, token):
        return bytes([token])


@pytest.fixture(scope="module")
def params():
    tokens = jnp.zeros((1, 4), jnp.int32)
    tree = nn.meta.unbox(GPT(CONFIG).init(jax.random.key(0), tokens, tokens, tokens))["params"]
    return jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), tree)


@jax.jit
def full_logits(params, tokens):
    segments, positions = segments_and_positions(tokens, 0)
    return GPT(CONFIG).apply({"params": params}, tokens, segments, positions)[0]


def teacher_forced(params, ids):
    """Logits [len(ids), 127] of the plain forward pass; padded on the right, so that one length is compiled."""
    padded = np.ones((1, 64), np.int32)
    padded[0, : len(ids)] = ids
    return full_logits(params, padded)[0, : len(ids), :127]


def sampler(params, **how):
    return Sampler(CONFIG, params, Letters(), Draw(**{"max_new_tokens": 24, "stops": ("e", "xy"), **how}))


def test_same_seed_same_samples_at_any_batch_size(params):
    keys = sample_keys(3, 7, range(10))
    ours = [[s.completion for s in sampler(params).sample("def", keys, batch)] for batch in (1, 4, 10, 10)]
    assert ours[0] == ours[1] == ours[2] == ours[3]
    assert len(set(ours[0])) > 5
    assert [s.completion for s in sampler(params).sample("def", sample_keys(4, 7, range(10)), 10)] != ours[0]


def test_log_probabilities_are_those_of_a_teacher_forced_pass(params):
    prompt = "def f"
    seen = set()
    for sample in sampler(params, temperature=1.0, top_p=1.0).sample(prompt, sample_keys(0, 0, range(40)), 40):
        seen.add(sample.finish)
        if sample.finish == "eot":
            continue
        ids = [0, *prompt.encode(), *sample.completion.encode()]
        logps = jax.nn.log_softmax(teacher_forced(params, ids)[:-1])[np.arange(len(ids) - 1), np.array(ids[1:])]
        wanted = float(logps[len(prompt) :].sum())
        if sample.completion:
            assert sample.sum_logp == pytest.approx(wanted, abs=1e-4)
            assert sample.tokens == len(sample.completion)
            assert sample.mean_logp == pytest.approx(sample.sum_logp / sample.tokens)
    assert {"stop", "length"} <= seen


def test_greedy_is_the_argmax_of_the_full_forward(params):
    (sample,) = sampler(params, temperature=0.0, stops=()).sample("abc", sample_keys(0, 0, range(1)), 1)
    ids = [0, *b"abc"]
    for token in sample.completion.encode():
        assert int(teacher_forced(params, ids)[-1].argmax()) == token
        ids.append(token)


def test_streamed_text_is_the_sample(params):
    ours = sampler(params)
    for key in sample_keys(1, 1, range(6)):
        (whole,) = ours.sample("abc", key[None], 1)
        *pieces, last = ours.stream("abc", key)
        assert isinstance(last, Sample)
        assert last == whole
        assert "".join(pieces) == whole.completion


def test_bad_input(params):
    with pytest.raises(InputError, match="context"):
        sampler(params).encode("a" * 96)
    for bad in ({"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"max_new_tokens": 0}, {"stops": ("",)}):
        with pytest.raises(InputError):
            sampler(params, **bad)
