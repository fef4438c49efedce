import gc
import weakref

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import sample_all
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.sampler import COPIES
from tests.sampling.letters import CONFIG, Letters, teacher_forced

PARAMS = SamplingParams(max_new_tokens=48)


def test_a_prompt_starts_with_end_of_text(engine):
    assert engine.encode("abc", PARAMS) == [0, 97, 98, 99]
    longest = engine.encode("a" * 190, PARAMS)
    assert len(longest) == 191
    with pytest.raises(InputError, match="a prompt of 192 tokens leaves no room in the context of 192"):
        engine.encode("a" * 191, PARAMS)


@pytest.mark.parametrize(("new_tokens", "expected"), [(48, 144), (150, 96), (1000, 96)])
def test_a_long_prompt_is_truncated_on_the_left(engine, new_tokens, expected):
    prompt = "b" * 400 + "a" * 50
    tokens = engine.encode(prompt, SamplingParams(max_new_tokens=new_tokens), truncate_left=True)
    assert tokens == [0, *prompt.encode()[-(expected - 1) :]]


def test_scores_are_log_probabilities_of_a_forward_pass(params, engine):
    pairs = [(b"\0abc", b"def"), (b"\0", b"x"), (b"\0if a:\n" * 3, b"b" * 70), (b"\0a", b"")]
    scores = list(engine.score([(list(prompt), list(completion)) for prompt, completion in pairs], batch=3))
    for (prompt, completion), score in zip(pairs, scores, strict=True):
        logits = teacher_forced(params, [*prompt, *completion])[len(prompt) - 1 : -1]
        logps = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        expected = logps[np.arange(len(completion)), list(completion)].sum()
        assert score.tokens == len(completion)
        assert score.sum_logp == pytest.approx(expected, abs=1e-4)
        assert score.mean_logp == pytest.approx(expected / max(len(completion), 1), abs=1e-5)


def test_a_pair_longer_than_the_context_is_rejected(engine):
    assert len(list(engine.score([([0] * 92, [1] * 100)]))) == 1
    with pytest.raises(InputError, match="a prompt of 93 tokens with a completion of 100"):
        list(engine.score([([0] * 93, [1] * 100)]))


def test_stop_tables_are_cached(engine):
    assert engine.stop_tables(("e", "xy"), False) is engine.stop_tables(("e", "xy"), False)
    first, other, with_min = (engine.stop_tables(*key) for key in ((("e",), False), (("y",), False), (("e",), True)))
    assert np.any(first.tables != other.tables)
    assert (first.tables.shape[0], with_min.tables.shape[0]) == (1, 2)


def test_the_memory_of_a_sample(engine):
    # 48 new tokens take 64 slots, with a key and a value of 32 float32 in each of 2 layers.
    assert engine.bytes_per_sample(PARAMS) == 64 * 2 * 2 * 32 * 4


def test_a_deleted_engine_keeps_no_weights(params):
    engine = Engine(CONFIG, unstack(params), Letters(), make_mesh(COPIES))
    request = SampleRequest(engine.encode("def", PARAMS), 0, range(2))
    assert len(list(sample_all(engine, [request], SamplingParams(max_new_tokens=2), 0, 2))) == 2
    reference = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert reference() is None
    finally:
        gc.enable()
