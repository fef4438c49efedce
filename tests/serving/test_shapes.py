import itertools

import pytest

from codex_jax.sampling.generate import Completion, sample_all
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.sampler import task_key
from codex_jax.sampling.scheduler import GenerationCancelled
from codex_jax.serving.shapes import generate, round_up, shape_for

PARAMS = SamplingParams(0.9, 1.0, 40, ("a", "Q", "7", "xy"))


def requests_for(engine, prompts, n):
    return [SampleRequest(engine.encode(prompt, PARAMS), task_key(prompt), range(n)) for prompt in prompts]


def test_rounding_changes_no_sample(engine):
    requests = requests_for(engine, ["def", "x = 1\ny = 2\n"], 3)
    expected = {(one.request, one.number): one.sample for one in sample_all(engine, requests, PARAMS, 7, 8)}
    completions = {(one.request, one.number): one for one in generate(engine, requests, PARAMS, 7, 4)}
    assert completions.keys() == expected.keys()
    for key, completion in completions.items():
        assert completion.sample.completion == expected[key].completion
        assert completion.sample.finish == expected[key].finish
        assert bytes(completion.raw.tokens.tolist()).decode().startswith(completion.sample.completion)


def test_the_pieces_of_a_sample_are_its_text(engine):
    for seed in range(4):
        *pieces, completion = generate(engine, requests_for(engine, ["def"], 1), PARAMS, seed, 4, stream=True)
        assert isinstance(completion, Completion)
        assert "".join(pieces) == completion.sample.completion
        assert all(pieces)


def test_a_cancelled_request_stops(engine):
    calls = itertools.count(1)
    events = generate(engine, requests_for(engine, ["def"], 1), PARAMS, 1, 4, True, lambda: next(calls) == 3)
    with pytest.raises(GenerationCancelled):
        list(events)
    assert next(calls) == 4


def test_few_shapes():
    shapes = {
        shape_for([SampleRequest([0], 0, range(samples))] * prompts, 128, 1)
        for prompts in range(1, 129)
        for samples in range(1, 128 // prompts + 1)
    }
    # All that the default limits allow.
    assert len(shapes) <= 40
    assert all(shape.groups * shape.rows <= 128 for shape in shapes)
    assert [round_up(number, 64, 200) for number in (1, 64, 65, 128, 129, 200)] == [64, 64, 128, 128, 200, 200]
