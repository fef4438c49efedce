import itertools

import pytest

from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.sampler import task_key
from codex_jax.serving import generate
from codex_jax.serving.generate import CancelledError, draw, rounded, shape_for

HOW = SamplingParams(0.9, 1.0, 40, ("a", "Q", "7", "xy"))


def requests_for(engine, prompts, n):
    return [SampleRequest(engine.encode(prompt, HOW), task_key(prompt), range(n)) for prompt in prompts]


def test_rounding_up_changes_no_sample(engine):
    asked = requests_for(engine, ["def", "x = 1\ny = 2\n"], 3)
    wanted = {(place, number): one for place, number, one in engine.sample(asked, HOW, 7, 8)}
    made = {(one.request, one.number): one for one in draw(engine, asked, HOW, 7, 4)}
    assert {key: one.sample.completion for key, one in made.items()} == {
        key: one.completion for key, one in wanted.items()
    }
    assert {key: one.sample.finish for key, one in made.items()} == {key: one.finish for key, one in wanted.items()}
    for one in made.values():
        assert bytes(one.drawn.tokens.tolist()).decode().startswith(one.sample.completion)


def test_the_pieces_of_one_sample_are_its_text(engine):
    for seed in range(4):
        pieces = []
        (made,) = draw(engine, requests_for(engine, ["def"], 1), HOW, seed, 4, grown=pieces.append)
        assert "".join(pieces) == made.sample.completion
        assert all(pieces)


def test_samples_that_nobody_waits_for_are_not_drawn_to_their_end(engine, monkeypatch):
    calls = itertools.count(1)
    monkeypatch.setattr(generate, "EVERY", 4)
    made = draw(engine, requests_for(engine, ["def"], 1), HOW, 1, 4, lambda: next(calls) < 3, lambda text: None)
    with pytest.raises(CancelledError):
        next(made)
    assert next(calls) == 4


def test_few_shapes():
    shapes = {
        shape_for([SampleRequest([0], 0, range(samples))] * prompts, 128, 1)
        for prompts in range(1, 129)
        for samples in range(1, 128 // prompts + 1)
    }
    # All that a request may ask for within the limits.
    assert len(shapes) <= 40
    assert all(shape.groups * shape.rows <= 128 for shape in shapes)
    assert [rounded(number, 64, 200) for number in (1, 64, 65, 128, 129, 200)] == [64, 64, 128, 128, 200, 200]
