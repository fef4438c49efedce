import numpy as np
import pytest

from codex_jax.decoding import scheduler
from codex_jax.decoding.sampler import Sampler
from codex_jax.decoding.scoring import Scorer
from codex_jax.decoding.settings import Draw, Request, Sample
from codex_jax.decoding.stop import cut
from codex_jax.errors import InputError
from tests.decoding.letters import CONFIG, Letters, make_params, teacher_forced

PROMPTS = ["def", "x = 1\ny = 2\n", "", "class A:\n" * 8, "if"]


@pytest.fixture(scope="module")
def params():
    return make_params()


def sampler(params, **how):
    return Sampler(CONFIG, params, Letters(), Draw(**{"max_new_tokens": 48, "stops": ("e", "xy"), **how}))


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def drawn(ours, numbers, prompts=PROMPTS, seed=3, batch=8):
    requests = [Request(ours.encode(prompt), n, numbers) for n, prompt in enumerate(prompts)]
    made = {(request, number): one for request, number, one in ours.sample(requests, seed, batch)}
    assert len(made) == len(prompts) * len(numbers)
    return made


def test_same_seed_same_samples_whatever_they_are_drawn_beside(params, monkeypatch):
    ours = sampler(params)
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
def test_log_probabilities_are_those_of_a_teacher_forced_pass(params, how):
    ours, finishes = sampler(params, **{"temperature": 1.0, "top_p": 1.0, **how}), set()
    for (prompt, _), one in drawn(ours, range(8)).items():
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
        scaled = logits / ours.how.temperature
        if ours.how.top_k:
            scaled[scaled < np.sort(scaled)[:, -ours.how.top_k, None]] = -np.inf
            probabilities = np.exp(log_softmax(scaled))
            order = np.sort(probabilities)[:, ::-1]
            edge = order[np.arange(len(order)), (np.cumsum(order, axis=1) < ours.how.top_p).sum(1)]
            scaled[probabilities < edge[:, None]] = -np.inf
        wanted = log_softmax(scaled)[np.arange(len(new)), new].sum()
        assert one.sampling_sum_logp == pytest.approx(wanted, abs=1e-4)
        assert one.sampling_mean_logp == pytest.approx(one.sampling_sum_logp / one.tokens)
    assert ({"length"} if ours.how.top_k else {"stop", "length"}) <= finishes


def test_greedy_is_the_argmax_of_the_full_forward(params):
    (one,) = drawn(sampler(params, temperature=0.0, stops=()), [0], ["abc"]).values()
    ids = [0, *b"abc"]
    for token in one.completion.encode():
        assert int(teacher_forced(params, ids)[-1].argmax()) == token
        ids.append(token)
    assert one.sampling_sum_logp == 0


def test_completions_are_cut_as_a_string_search_cuts_them(params):
    stops = ("a", "Q", "xy")
    whole, ours = (drawn(sampler(params, stops=some), range(10)) for some in ((), stops))
    for key, one in ours.items():
        text, stopped = cut(whole[key].completion.encode(), stops)
        assert (one.completion, one.finish) == (text.decode(), "stop" if stopped else whole[key].finish)


def test_the_first_tokens_end_nothing(params):
    stops = ("a", "Q", "xy")
    whole = drawn(sampler(params, stops=(), min_new_tokens=20), range(10))
    for key, one in drawn(sampler(params, stops=stops, min_new_tokens=20), range(10)).items():
        text, stopped = cut(whole[key].completion.encode(), stops, after=20)
        assert (one.completion, one.finish) == (text.decode(), "stop" if stopped else whole[key].finish)
        assert len(whole[key].completion) >= 20


def test_the_context_is_a_limit(params):
    prompt = "a" * (CONFIG.context - 11)
    for one in drawn(sampler(params, stops=()), range(4), [prompt]).values():
        assert one.tokens == 10 or one.finish == "eot"


def test_streamed_text_is_the_sample(params):
    ours = sampler(params)
    for number in range(6):
        request = Request(ours.encode("abc"), 1, [number])
        ((_, _, whole),) = ours.sample([request], 1, 1)
        *pieces, last = ours.stream(request, 1)
        assert isinstance(last, Sample)
        assert last == whole
        assert "".join(pieces) == whole.completion


def test_complete_gives_each_prompts_samples_in_order(params):
    ours = sampler(params)
    made = ours.complete(PROMPTS, 3, seed=1)
    assert [len(some) for some in made] == [3] * len(PROMPTS)
    assert made[1] == ours.complete(PROMPTS[1:2], 3, seed=1)[0]


def test_scores_are_the_log_probabilities_that_the_sampler_gives(params):
    ours = sampler(params, stops=())
    made = {key: one for key, one in drawn(ours, range(3)).items() if one.finish == "length"}
    pairs = [(ours.encode(PROMPTS[prompt]), list(one.completion.encode())) for (prompt, _), one in made.items()]
    scores = list(Scorer(CONFIG, ours.weights, 0, 127).score(pairs, batch=4))
    for one, score in zip(made.values(), scores, strict=True):
        assert score.tokens == one.tokens
        assert score.sum_logp == pytest.approx(one.sum_logp, abs=1e-4)
    with pytest.raises(InputError, match="context"):
        list(Scorer(CONFIG, ours.weights, 0, 127).score([([0] * 100, [1] * 100)]))


def test_programs_are_compiled_at_most_twice(params):
    ours = sampler(params)
    lengths = np.random.default_rng(0).integers(1, 140, 40)
    drawn(ours, range(3), ["a" * length for length in lengths], batch=12)
    assert ours.advance._cache_size() <= 2
    assert ours.place._cache_size() <= 2


def test_bad_input(params):
    with pytest.raises(InputError, match="context"):
        sampler(params).encode("a" * CONFIG.context)
    assert len(sampler(params).encode("a" * 500, truncate_left=True)) == CONFIG.context - 48
    for bad in (
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"max_new_tokens": 0},
        {"min_new_tokens": 49},
        {"stops": ("",)},
    ):
        with pytest.raises(InputError):
            sampler(params, **bad)
