import gc
import weakref

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.sampling import scheduler
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams
from codex_jax.sampling.sampler import COPIES
from codex_jax.sampling.stops import cut
from tests.sampling.letters import CONFIG, Letters, make_params, teacher_forced

PROMPTS = ["def", "x = 1\ny = 2\n", "", "class A:\n" * 8, "if"]


@pytest.fixture(scope="module")
def params():
    return make_params()


@pytest.fixture(scope="module")
def engine(params):
    return Engine(CONFIG, unstack(params), Letters(), make_mesh(COPIES))


def draw(**how):
    return SamplingParams(**{"max_new_tokens": 48, "stops": ("e", "xy"), **how})


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def drawn(engine, numbers, how=None, prompts=PROMPTS, seed=3, batch=8):
    how = how or draw()
    requests = [SampleRequest(engine.encode(prompt, how), n, numbers) for n, prompt in enumerate(prompts)]
    made = {(request, number): one for request, number, one in engine.sample(requests, how, seed, batch)}
    assert len(made) == len(prompts) * len(numbers)
    return made


def test_same_seed_same_samples_whatever_they_are_drawn_beside(engine, monkeypatch):
    ours = engine
    wanted = {key: one.completion for key, one in drawn(ours, range(6)).items()}
    assert len(set(wanted.values())) > 20
    assert len({len(text) for text in wanted.values()}) > 5
    for batch in (1, 3, 30):
        assert {key: one.completion for key, one in drawn(ours, range(6), batch=batch).items()} == wanted
    backwards = drawn(ours, [5, 3, 4, 0, 1, 2])
    assert {key: one.completion for key, one in backwards.items()} == wanted
    monkeypatch.setattr(scheduler, "STEPS", 3)
    monkeypatch.setattr(scheduler, "GROUPS", 2)
    assert {key: one.completion for key, one in drawn(ours, range(6)).items()} == wanted
    some = drawn(ours, [2, 4])
    assert {key: one.completion for key, one in some.items()} == {key: wanted[key] for key in some}
    assert {key: one.completion for key, one in drawn(ours, range(6), seed=4).items()} != wanted


@pytest.mark.parametrize("how", [{}, {"temperature": 0.7, "top_p": 0.8, "top_k": 20}])
def test_log_probabilities_are_those_of_a_teacher_forced_pass(params, engine, how):
    how, finishes = draw(**{"temperature": 1.0, "top_p": 1.0, **how}), set()
    for (prompt, _), one in drawn(engine, range(8), how).items():
        finishes.add(one.finish)
        ids = [0, *PROMPTS[prompt].encode(), *one.completion.encode(), *([0] if one.finish == "eot" else [])]
        start = 1 + len(PROMPTS[prompt])
        if len(ids) == start:  # the stop string alone: its first token is counted
            continue
        logits = teacher_forced(params, ids)[start - 1 : -1]
        new = np.array(ids[start:])
        assert one.tokens == len(new)
        assert one.sum_logp == pytest.approx(log_softmax(logits)[np.arange(len(new)), new].sum(), abs=1e-4)
        assert one.mean_logp == pytest.approx(one.sum_logp / one.tokens)
        scaled = logits / how.temperature
        if how.top_k:
            scaled[scaled < np.sort(scaled)[:, -how.top_k, None]] = -np.inf
            probabilities = np.exp(log_softmax(scaled))
            order = np.sort(probabilities)[:, ::-1]
            edge = order[np.arange(len(order)), (np.cumsum(order, axis=1) < how.top_p).sum(1)]
            scaled[probabilities < edge[:, None]] = -np.inf
        wanted = log_softmax(scaled)[np.arange(len(new)), new].sum()
        assert one.sampling_sum_logp == pytest.approx(wanted, abs=1e-4)
        assert one.sampling_mean_logp == pytest.approx(one.sampling_sum_logp / one.tokens)
    assert ({"length"} if how.top_k else {"stop", "length"}) <= finishes


def test_greedy_is_the_argmax_of_the_full_forward(params, engine):
    (one,) = drawn(engine, [0], draw(temperature=0.0, stops=()), ["abc"]).values()
    ids = [0, *b"abc"]
    for token in one.completion.encode():
        assert int(teacher_forced(params, ids)[-1].argmax()) == token
        ids.append(token)
    assert one.sampling_sum_logp == 0


def test_completions_are_cut_as_a_string_search_cuts_them(engine):
    stops = ("a", "Q", "xy")
    whole, ours = (drawn(engine, range(10), draw(stops=some)) for some in ((), stops))
    for key, one in ours.items():
        text, stopped = cut(whole[key].completion.encode(), stops)
        assert (one.completion, one.finish) == (text.decode(), "stop" if stopped else whole[key].finish)


def test_the_first_tokens_end_nothing(engine):
    stops = ("a", "Q", "xy")
    whole = drawn(engine, range(10), draw(stops=(), min_new_tokens=20))
    for key, one in drawn(engine, range(10), draw(stops=stops, min_new_tokens=20)).items():
        text, stopped = cut(whole[key].completion.encode(), stops, after=20)
        assert (one.completion, one.finish) == (text.decode(), "stop" if stopped else whole[key].finish)
        assert len(whole[key].completion) >= 20


def test_the_context_is_a_limit(engine):
    prompt = "a" * (CONFIG.context - 11)
    for one in drawn(engine, range(4), draw(stops=()), [prompt]).values():
        assert one.tokens == 10 or one.finish == "eot"


def test_streamed_text_is_the_samples_one_after_the_other(engine):
    request = SampleRequest(engine.encode("abc", draw()), 1, range(6))
    made = {number: one for _, number, one in engine.sample([request], draw(), 1, 1)}
    text = ""
    streamed = []
    for piece in engine.stream(request, draw(), 1):
        if isinstance(piece, Sample):
            assert text == piece.completion
            streamed.append(piece)
        text = "" if isinstance(piece, Sample) else text + piece
    assert streamed == [made[number] for number in range(6)]


def test_scores_are_the_log_probabilities_that_the_sampler_gives(engine):
    how = draw(stops=())
    made = {key: one for key, one in drawn(engine, range(3), how).items() if one.finish == "length"}
    pairs = [(engine.encode(PROMPTS[prompt], how), list(one.completion.encode())) for (prompt, _), one in made.items()]
    scores = list(engine.score(pairs, batch=4))
    for one, score in zip(made.values(), scores, strict=True):
        assert score.tokens == one.tokens
        assert score.sum_logp == pytest.approx(one.sum_logp, abs=1e-4)
    with pytest.raises(InputError, match="context"):
        list(engine.score([([0] * 100, [1] * 100)]))


def test_programs_are_compiled_at_most_twice(params):
    ours = Engine(CONFIG, unstack(params), Letters(), make_mesh(COPIES))
    lengths = np.random.default_rng(0).integers(1, 140, 40)
    prompts = ["a" * length for length in lengths]
    drawn(ours, range(3), prompts=prompts, batch=12)
    # SamplingScalars and stop strings are no reason to compile.
    drawn(ours, range(3), draw(temperature=0.3, top_p=0.7, stops=("abcd",)), prompts, batch=12)
    assert ours.advance._cache_size() <= 2
    assert ours.place._cache_size() <= 2


def test_tables_of_stop_strings_are_made_once(engine):
    assert engine.ends(("e", "xy"), False) is engine.ends(("e", "xy"), False)
    first, other, free = (engine.ends(*key) for key in ((("e",), False), (("y",), False), (("e",), True)))
    assert np.any(first.tables != other.tables)
    assert (first.tables.shape[0], free.tables.shape[0]) == (1, 2)


def test_an_engine_that_is_let_go_holds_no_weights(params):
    engine = Engine(CONFIG, unstack(params), Letters(), make_mesh(COPIES))
    drawn(engine, range(2), draw(max_new_tokens=2), ["def"])
    held = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert held() is None
    finally:
        gc.enable()


def test_bad_input(engine):
    with pytest.raises(InputError, match="context"):
        engine.encode("a" * CONFIG.context, draw())
    for seed in (-1, 1 << 32):
        with pytest.raises(InputError, match="--seed"):
            drawn(engine, [0], seed=seed)
    assert len(engine.encode("a" * 500, draw(), truncate_left=True)) == CONFIG.context - 48
    for bad in (
        {"temperature": -1},
        {"temperature": 1e-9},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"max_new_tokens": 0},
        {"min_new_tokens": 49},
        {"stops": ("",)},
    ):
        with pytest.raises(InputError):
            draw(**bad).check()
