import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.rows import Layout
from codex_jax.sampling.session import Session
from tests.sampling.letters import CONFIG, teacher_forced


def greedy_tokens(params, prompt, count):
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(teacher_forced(params, ids)[-1].argmax()))
    return ids[len(prompt) :]


def test_rows_draw_from_the_prompt_of_their_group(params, engine):
    prompts = {1: [0, *b"def"], 0: [0, *b"x = "]}
    session = Session(engine, SamplingParams(temperature=0, max_new_tokens=5), 0, Layout(2, 2), 64)
    assert session.done().tolist() == [True] * 4
    session.place(prompts)
    requests = {group: SampleRequest(tokens, group, [0]) for group, tokens in prompts.items()}
    session.refill({0: (requests[0], 0), 3: (requests[1], 0)})
    assert session.done().tolist() == [False, True, True, False]
    session.advance(2, 4)
    assert [len(raw.tokens) for raw in session.read([0, 3])] == [2, 2]
    session.advance(64, 4)
    assert session.done().all()
    for group, raw in zip((0, 1), session.read([0, 3]), strict=True):
        assert raw.tokens.tolist() == greedy_tokens(params, prompts[group], 5)
        assert np.all(raw.logps < 0)
        assert raw.sampling_logps.tolist() == [0] * 5
    # A row that begins again forgets its sample.
    session.refill({1: (requests[0], 1), 3: (requests[1], 1)})
    session.advance(1, 4)
    for group, raw in zip((0, 1), session.read([1, 3]), strict=True):
        assert raw.tokens.tolist() == greedy_tokens(params, prompts[group], 1)


def test_the_context_limits_a_sample(engine):
    tokens = [0, *b"a" * (CONFIG.context - 4)]
    params = SamplingParams(temperature=0, max_new_tokens=50, min_new_tokens=50)
    session = Session(engine, params, 0, Layout(1, 1), 192)
    session.place({0: tokens})
    session.refill({0: (SampleRequest(tokens, 0, [0]), 0)})
    session.advance(64, 1)
    (raw,) = session.read([0])
    assert len(raw.tokens) == 3


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range(engine, seed):
    with pytest.raises(InputError, match="--seed"):
        Session(engine, SamplingParams(), seed, Layout(1, 1), 64)
