import pytest

from codex_jax.config import MeshConfig
from codex_jax.errors import InputError
from codex_jax.sampling.params import Sample
from codex_jax.sampling.sampler import Sampler
from tests.sampling.made_run import make_run

PARAMS = {"max_new_tokens": 12, "stops": ("\nclass",)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("sampler"))


@pytest.fixture(scope="module")
def sampler(run):
    return Sampler(run)


def test_samples_are_returned_by_prompt_and_number(sampler):
    samples = sampler.sample(["def f(", "x = ", "def f("], n=3, seed=1, **PARAMS)
    assert [len(some) for some in samples] == [3, 3, 3]
    assert len({sample.completion for some in samples[:2] for sample in some}) > 1
    assert samples[2] == samples[0]
    again = sampler.sample(["x = "], n=2, seed=1, batch=1, **PARAMS)
    assert [sample.completion for sample in again[0]] == [sample.completion for sample in samples[1][:2]]
    assert sampler.sample([], **PARAMS) == []


def test_a_stream_is_sample_number_0(sampler):
    *pieces, last = sampler.stream("def f(", seed=1, **PARAMS)
    assert isinstance(last, Sample)
    assert "".join(pieces) == last.completion
    assert last.completion == sampler.sample(["def f("], seed=1, batch=1, **PARAMS)[0][0].completion


def test_scores_cover_the_completions_tokens(sampler):
    encode = sampler.engine.tokenizer.encode
    pairs = [("def f(", "x):\n    return x"), ("", "def f(")]
    tokens = [([sampler.engine.tokenizer.eot, *encode(one)], encode(other)) for one, other in pairs]
    assert sampler.score(pairs) == list(sampler.engine.score(tokens))
    assert [score.tokens for score in sampler.score(pairs)] == [len(encode(other)) for _, other in pairs]
    (empty,) = sampler.score([("def f(", "")])
    assert (empty.tokens, empty.sum_logp) == (0, 0)


@pytest.mark.parametrize("options", [{"dtype": "bfloat16"}, {"int8": True}])
def test_narrower_weights_give_nearly_the_same_scores(run, sampler, options):
    pairs = [("def f(x):", "\n    return x * 3 + 3\n"), ("", "def function_2(x):\n")]
    for wide, narrow in zip(sampler.score(pairs), Sampler(run, **options).score(pairs), strict=True):
        assert narrow.mean_logp == pytest.approx(wide.mean_logp, abs=2e-2)
        assert narrow.mean_logp != wide.mean_logp


def test_bad_input(run, sampler, tmp_path):
    for call, message in (
        (lambda: Sampler(tmp_path), "not a run folder"),
        (lambda: Sampler(run, MeshConfig(data=1, fsdp=1, model=3)), "3"),
        (lambda: Sampler(run, MeshConfig(data=1, fsdp=1, sequence=2)), "does not cover"),
        (lambda: sampler.sample(["x"], max_new_tokens=0), "at least 1"),
        (lambda: sampler.sample("def f("), "give a list"),
        (lambda: sampler.sample(["x"], n=0), "at least 1"),
        (lambda: sampler.sample(["x"], stops=[""]), "empty"),
        (lambda: sampler.sample(["x = 1\n" * 99]), "leaves no room"),
        (lambda: sampler.stream("x", temperature=-1.0), "--temperature"),
    ):
        with pytest.raises(InputError, match=message):
            call()
