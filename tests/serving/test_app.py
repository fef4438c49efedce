"""The endpoint, used through OpenAI's client."""

import openai
import pytest

from codex_jax.sampling.generate import sample_all
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.sampler import task_key
from tests.serving.endpoint import NAME, call

PROMPTS = ["def", "x = 1\ny = 2\n"]
STOPS = ("a", "Q", "7", "xy")


@pytest.fixture(scope="module")
def client(port):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def expected_samples(engine, prompts, numbers, params, seed):
    """{(place of the prompt, number): Sample}, as Sampler.sample draws them."""
    requests = [SampleRequest(engine.encode(prompt, params), task_key(prompt), numbers) for prompt in prompts]
    return {(one.request, one.number): one.sample for one in sample_all(engine, requests, params, seed, 8)}


@pytest.mark.slow
def test_samples_are_those_of_the_sampler(client, engine):
    expected = expected_samples(engine, PROMPTS, range(3), SamplingParams(0.9, 1.0, 40, STOPS), 7)
    answer = client.completions.create(
        model=NAME, prompt=PROMPTS, n=3, max_tokens=40, temperature=0.9, stop=STOPS, seed=7
    )
    assert [choice.index for choice in answer.choices] == list(range(6))
    for choice in answer.choices:
        sample = expected[divmod(choice.index, 3)]
        assert choice.text == sample.completion
        assert choice.finish_reason == ("length" if sample.finish == "length" else "stop")
    assert {choice.finish_reason for choice in answer.choices} == {"stop", "length"}
    assert answer.usage.prompt_tokens == sum(map(len, PROMPTS))
    assert answer.usage.completion_tokens == sum(sample.tokens for sample in expected.values())
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert (answer.model, answer.object) == (NAME, "text_completion")


def test_defaults_are_the_apis_and_the_seed_is_returned(client):
    one, other = (client.completions.create(model=NAME, prompt="def") for _ in range(2))
    assert one.usage.completion_tokens <= 16
    assert one.id != other.id
    assert one.seed != other.seed
    again = client.completions.create(model=NAME, prompt="def", seed=one.seed)
    assert again.choices[0].text == one.choices[0].text != other.choices[0].text


def test_a_repeated_prompt_gets_other_samples(client):
    answer = client.completions.create(model=NAME, prompt=["def", "def"], n=4, seed=3)
    first = client.completions.create(model=NAME, prompt="def", n=8, seed=3)
    texts = [choice.text for choice in answer.choices]
    assert texts == [choice.text for choice in first.choices]
    assert len(set(texts)) == 8


def test_a_prompt_can_be_tokens(client):
    texts = [
        client.completions.create(model=NAME, prompt=prompt, seed=3).choices[0].text
        for prompt in ("def", list(b"def"), [list(b"def")], [0, *b"def"])
    ]
    assert len(set(texts)) == 1


def test_log_probabilities_of_the_sampled_tokens(client, engine):
    answer = client.completions.create(model=NAME, prompt="def", n=4, seed=5, logprobs=0)
    pairs = [(engine.encode("def", SamplingParams()), choice.text.encode()) for choice in answer.choices]
    for choice, score in zip(answer.choices, engine.score(pairs), strict=True):
        assert "".join(choice.logprobs.tokens) == choice.text
        assert sum(choice.logprobs.token_logprobs) == pytest.approx(score.sum_logp, abs=1e-4)
        assert choice.logprobs.text_offset == list(range(len(choice.text)))


def test_best_of_returns_the_most_probable(client):
    arguments = {"model": NAME, "prompt": "def", "seed": 5, "logprobs": 0}
    whole = client.completions.create(**arguments, n=4)
    best = client.completions.create(**arguments, n=2, best_of=4)

    def mean(choice):
        return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.tokens)

    expected = sorted(whole.choices, key=mean, reverse=True)[:2]
    assert [choice.text for choice in best.choices] == [choice.text for choice in expected]
    assert [choice.index for choice in best.choices] == [0, 1]
    assert best.usage == whole.usage


@pytest.mark.parametrize(("n", "stop"), [(1, None), (1, STOPS), (3, STOPS)])
def test_a_stream_is_the_response_in_pieces(client, n, stop):
    arguments = {"model": NAME, "prompt": "def", "max_tokens": 40, "n": n, "seed": 11, "stop": stop}
    whole = client.completions.create(**arguments)
    texts, finishes, pieces, usage = [""] * n, [None] * n, 0, None
    for chunk in client.completions.create(**arguments, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            finishes[choice.index] = choice.finish_reason
            pieces += 1
    assert texts == [choice.text for choice in whole.choices]
    assert finishes == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage
    if n == 1 and stop is None:
        assert pieces > 5  # not sent all at the end


def test_models_and_health(client, port):
    assert [model.id for model in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).id == NAME
    with pytest.raises(openai.NotFoundError, match="no model 'other'"):
        client.models.retrieve("other")
    assert call(port, "GET", "/health")[::2] == (200, {"status": "ok", "waiting": 0})


def test_the_client_understands_errors(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="other", prompt="def")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=NAME, prompt="x" * 180, max_tokens=16)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "prompt")
    assert "of 181 tokens with max_tokens 16 is longer than the context of 192" in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/completions", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/completions", {"Host": "evil.example"}, 400),
        ("GET", "/health", {"Host": "evil.example:80"}, 400),
        ("GET", "/v1/completions", {}, 405),
        ("POST", "/v1/chat/completions", {}, 404),
    ],
)
def test_bad_calls_get_an_error(port, method, path, headers, status):
    actual, response_headers, body = call(port, method, path, {"prompt": "def"}, headers)
    assert actual == status
    assert "access-control-allow-origin" not in response_headers
    if "Host" not in headers:
        assert body["error"]["message"]
