import logging

import jax
import numpy as np
import pytest

from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.sampling import scheduler
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import Completion, sample_all, stream_samples
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.sampler import COPIES
from codex_jax.sampling.stops import cut
from tests.sampling.letters import CONFIG, Letters, teacher_forced

PROMPTS = ["def", "x = 1\ny = 2\n", "", "class A:\n" * 8, "if"]
STOPS = ("a", "Q", "xy")


def make(**params):
    return SamplingParams(**{"max_new_tokens": 48, "stops": ("e", "xy"), **params})


def log_softmax(logits):
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def samples_of(engine, numbers, params=None, prompts=PROMPTS, seed=3, batch=8):
    """{(place of the prompt, number): Sample}"""
    params = params or make()
    requests = [SampleRequest(engine.encode(prompt, params), n, numbers) for n, prompt in enumerate(prompts)]
    completions = sample_all(engine, requests, params, seed, batch)
    samples = {(one.request, one.number): one.sample for one in completions}
    assert len(samples) == len(prompts) * len(numbers)
    return samples


def texts_of(*args, **kwargs):
    return {key: sample.completion for key, sample in samples_of(*args, **kwargs).items()}


@pytest.mark.slow
def test_a_sample_depends_only_on_seed_task_and_number(engine, monkeypatch):
    expected = texts_of(engine, range(6))
    assert len(set(expected.values())) > 20
    assert len({len(text) for text in expected.values()}) > 5
    for batch in (1, 3, 30):
        assert texts_of(engine, range(6), batch=batch) == expected
    assert texts_of(engine, [5, 3, 4, 0, 1, 2]) == expected
    monkeypatch.setattr(scheduler, "STEPS", 3)
    monkeypatch.setattr(scheduler, "GROUPS", 2)
    assert texts_of(engine, range(6)) == expected
    some = texts_of(engine, [2, 4])
    assert some == {key: expected[key] for key in some}
    other = texts_of(engine, range(6), seed=4)
    assert sum(other[key] == expected[key] for key in expected) < 5


def test_requests_without_numbers_get_no_samples(engine):
    requests = [SampleRequest([0, 97], 0, numbers) for numbers in ([], [3], [])]
    assert [(one.request, one.number) for one in sample_all(engine, requests, make(), 0, 8)] == [(1, 3)]
    assert list(sample_all(engine, requests[:1], make(), 0, 8)) == []


@pytest.mark.parametrize("changes", [{}, {"temperature": 0.7, "top_p": 0.8, "top_k": 20}])
def test_log_probabilities_are_those_of_a_forward_pass(params, engine, changes):
    sampling, finishes = make(**{"temperature": 1.0, "top_p": 1.0, **changes}), set()
    for (prompt, _), sample in samples_of(engine, range(8), sampling).items():
        finishes.add(sample.finish)
        text = PROMPTS[prompt].encode() + sample.completion.encode()
        ids = [0, *text, *([0] if sample.finish == "eot" else [])]
        start = 1 + len(PROMPTS[prompt])
        if len(ids) == start:  # only a stop string, whose first token is counted
            continue
        logits = teacher_forced(params, ids)[start - 1 : -1]
        new = np.array(ids[start:])
        assert sample.tokens == len(new)
        assert sample.sum_logp == pytest.approx(log_softmax(logits)[np.arange(len(new)), new].sum(), abs=1e-4)
        assert sample.mean_logp == pytest.approx(sample.sum_logp / sample.tokens)
        scaled = logits / sampling.temperature
        if sampling.top_k:
            scaled[scaled < np.sort(scaled)[:, -sampling.top_k, None]] = -np.inf
            probabilities = np.exp(log_softmax(scaled))
            order = np.sort(probabilities)[:, ::-1]
            edge = order[np.arange(len(order)), (np.cumsum(order, axis=1) < sampling.top_p).sum(1)]
            scaled[probabilities < edge[:, None]] = -np.inf
        expected = log_softmax(scaled)[np.arange(len(new)), new].sum()
        assert sample.sampling_sum_logp == pytest.approx(expected, abs=1e-4)
        assert sample.sampling_mean_logp == pytest.approx(sample.sampling_sum_logp / sample.tokens)
    assert ({"length"} if sampling.top_k else {"stop", "length"}) <= finishes


def test_greedy_takes_the_most_probable_token_of_a_forward_pass(params, engine):
    (sample,) = samples_of(engine, [0], make(temperature=0.0, stops=()), ["abc"]).values()
    ids = [0, *b"abc"]
    for token in sample.completion.encode():
        assert int(teacher_forced(params, ids)[-1].argmax()) == token
        ids.append(token)
    assert sample.sampling_sum_logp == 0


def test_completions_are_cut_where_a_string_search_cuts_them(engine):
    whole, cut_ones = (samples_of(engine, range(10), make(stops=stops)) for stops in ((), STOPS))
    for key, sample in cut_ones.items():
        text, stopped = cut(whole[key].completion.encode(), STOPS)
        assert (sample.completion, sample.finish) == (text.decode(), "stop" if stopped else whole[key].finish)


def test_nothing_ends_a_sample_before_min_new_tokens(engine):
    whole = samples_of(engine, range(10), make(stops=(), min_new_tokens=20))
    for key, sample in samples_of(engine, range(10), make(stops=STOPS, min_new_tokens=20)).items():
        text, stopped = cut(whole[key].completion.encode(), STOPS, after=20)
        assert (sample.completion, sample.finish) == (text.decode(), "stop" if stopped else whole[key].finish)
        assert len(whole[key].completion) >= 20


def test_log_probabilities_before_min_new_tokens_are_the_models(params, engine):
    sampling = make(temperature=1.0, top_p=1.0, stops=(), min_new_tokens=48)
    for (prompt, _), sample in samples_of(engine, range(3), sampling).items():
        ids = [0, *PROMPTS[prompt].encode(), *sample.completion.encode()]
        logits, new = teacher_forced(params, ids)[-49:-1], ids[-48:]
        assert sample.sum_logp == pytest.approx(log_softmax(logits)[np.arange(48), new].sum(), abs=1e-4)
        logits[:, 0] = -np.inf
        assert sample.sampling_sum_logp == pytest.approx(log_softmax(logits)[np.arange(48), new].sum(), abs=1e-4)


def test_a_sample_ends_with_the_context(engine):
    prompt = "a" * (CONFIG.context - 11)
    for sample in samples_of(engine, range(4), make(stops=()), [prompt]).values():
        assert sample.tokens == 10 or sample.finish == "eot"


@pytest.mark.parametrize("stops", [("e", "xy"), (), ("abcdefgh", "e")])
def test_streamed_text_is_the_samples_one_after_the_other(engine, stops):
    sampling = make(stops=stops)
    request = SampleRequest(engine.encode("abc", sampling), 1, range(6))
    expected = {one.number: one.sample for one in sample_all(engine, [request], sampling, 1, 1)}
    pieces, streamed = [], []
    for event in stream_samples(engine, request, sampling, 1):
        if isinstance(event, Completion):
            assert "".join(pieces) == event.sample.completion
            assert all(pieces)
            assert len(pieces) >= len(event.sample.completion) // 8  # sent while the sample grows
            streamed.append(event.sample)
            pieces = []
        else:
            pieces.append(event)
    assert streamed == [expected[number] for number in range(6)]


def test_scores_agree_with_the_samples_log_probabilities(engine):
    sampling = make(stops=())
    samples = {key: one for key, one in samples_of(engine, range(3), sampling).items() if one.finish == "length"}
    prompts = [engine.encode(PROMPTS[prompt], sampling) for prompt, _ in samples]
    completions = [list(sample.completion.encode()) for sample in samples.values()]
    for sample, score in zip(
        samples.values(), engine.score(list(zip(prompts, completions, strict=True)), 4), strict=True
    ):
        assert score.tokens == sample.tokens
        assert score.sum_logp == pytest.approx(sample.sum_logp, abs=1e-4)


def test_programs_are_compiled_at_most_twice(params, caplog):
    engine = Engine(CONFIG, unstack(params), Letters(), make_mesh(COPIES))
    prompts = ["a" * length for length in np.random.default_rng(0).integers(1, 140, 40)]
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        samples_of(engine, range(3), prompts=prompts, batch=12)
        # Other numbers and other stop strings use the same programs.
        samples_of(engine, range(3), make(temperature=0.3, top_p=0.7, stops=("abcd",)), prompts, batch=12)
    for name in ("advance", "place"):
        compiled = [line for line in caplog.messages if line.startswith(f"Compiling jit({name})")]
        assert len(compiled) == 2
