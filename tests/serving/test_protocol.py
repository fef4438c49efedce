from types import SimpleNamespace

import pytest

from codex_jax.sampling.sampler import task_key
from codex_jax.serving.api_error import APIError
from codex_jax.serving.protocol import read_request
from codex_jax.serving.request_limits import RequestLimits
from tests.sampling.letters import CONFIG, Letters

ENGINE = SimpleNamespace(config=CONFIG, tokenizer=Letters(), token_bytes=[bytes([n]) for n in range(127)])
LIMITS = RequestLimits(samples=8, stops=3, stop_bytes=10)


def read(text):
    return read_request(text.encode("utf-8", "surrogatepass"), ENGINE, "letters", LIMITS)


def test_all_fields_are_read():
    request = read(
        '{"model": "letters", "prompt": ["ab", "c", "ab"], "n": 2, "max_tokens": 9, "temperature": 0, "top_p": 0.5,'
        ' "stop": "x", "seed": 3, "user": "me", "echo": false,'
        ' "suffix": null, "frequency_penalty": 0.0, "logit_bias": {}}'
    )
    assert [list(one.tokens) for one in request.prompts] == [[0, *b"ab"], [0, *b"c"], [0, *b"ab"]]
    assert [one.numbers for one in request.prompts] == [range(2), range(2), range(2, 4)]
    assert [one.task for one in request.prompts] == [task_key("ab"), task_key("c"), task_key("ab")]
    assert (request.params.temperature, request.params.top_p, request.params.max_new_tokens) == (0.0, 0.5, 9)
    assert (request.params.stops, request.seed) == (("x",), 3)
    assert not request.stream
    assert not request.logprobs


def test_only_a_prompt_is_required():
    request = read('{"prompt": ""}')
    assert (request.n, request.params.temperature, request.params.top_p, request.params.max_new_tokens) == (
        1,
        1.0,
        1.0,
        16,
    )
    assert request.params.stops == ()
    assert read('{"prompt": ""}').seed != request.seed  # one in 2^32


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "not an object"),
        ("{}", "prompt must be"),
        ('{"prompt": []}', "prompt must be"),
        ('{"prompt": 1}', "prompt must be"),
        ('{"prompt": ["a", 1]}', "prompt must be"),
        ('{"prompt": ["a", [1]]}', "prompt must be"),
        ('{"prompt": [true]}', "prompt must be"),
        ('{"prompt": [1, 127]}', "from 0 to 126"),
        ('{"prompt": [1, 0, 1]}', "or 0 after the first"),
        ('{"prompt": [-1]}', "from 0 to 126"),
        ('{"prompt": "\\ud800"}', "half a surrogate"),
        ('{"prompt": "\ud800"}', "not UTF-8"),
        ('{"prompt": "' + "x" * 176 + '"}', "of 177 tokens with max_tokens 16"),
        ('{"prompt": "' + "x" * 1000 + '"}', "far longer than"),
        ('{"prompt": ["a", "a", "a"], "n": 3}', "may have 2 prompts, with 3 samples each"),
        ('{"prompt": "a", "n": 9}', "n must be an integer from 1 to 8"),
        ('{"prompt": "a", "n": 0}', "n must"),
        ('{"prompt": "a", "n": true}', "n must"),
        ('{"prompt": "a", "n": 1.5}', "n must"),
        ('{"prompt": "a", "n": 3, "best_of": 2}', "best_of must be an integer from 3"),
        ('{"prompt": "a", "n": 1, "best_of": 2, "stream": true}', "best_of above n"),
        ('{"prompt": "a", "max_tokens": 0}', "max_tokens must"),
        ('{"prompt": "a", "max_tokens": 1000}', "max_tokens must be an integer from 1 to 192"),
        ('{"prompt": "a", "temperature": -1}', "temperature must"),
        ('{"prompt": "a", "temperature": NaN}', "temperature must"),
        ('{"prompt": "a", "temperature": 1e-30}', "0.001"),
        ('{"prompt": "a", "temperature": "1"}', "temperature must"),
        ('{"prompt": "a", "top_p": 0}', "top_p must"),
        ('{"prompt": "a", "top_p": 1.1}', "top_p must"),
        ('{"prompt": "a", "stop": ""}', "stop must"),
        ('{"prompt": "a", "stop": ["a", 1]}', "stop must"),
        ('{"prompt": "a", "stop": {"a": 1}}', "stop must"),
        ('{"prompt": "a", "stop": ["a", "b", "c", "d"]}', "3 strings of 10 bytes together"),
        ('{"prompt": "a", "stop": "12345678901"}', "3 strings of 10 bytes together"),
        ('{"prompt": "a", "stop": "\\ud800"}', "half a surrogate"),
        ('{"prompt": "a", "seed": -1}', "seed must"),
        ('{"prompt": "a", "seed": 4294967296}', "seed must"),
        ('{"prompt": "a", "logprobs": 1}', "logprobs must be 0"),
        ('{"prompt": "a", "logprobs": 0, "stream": true}', "logprobs cannot be streamed"),
        ('{"prompt": "a", "stream": "yes"}', "stream must"),
        ('{"prompt": "a", "stream_options": {"include_usage": true}}', "needs stream"),
        ('{"prompt": "a", "stream_options": 1, "stream": true}', "stream_options must"),
        ('{"prompt": "a", "echo": true}', "echo is not supported"),
        ('{"prompt": "a", "suffix": "b"}', "suffix is not supported"),
        ('{"prompt": "a", "presence_penalty": 1}', "presence_penalty is not supported"),
        ('{"prompt": "a", "logit_bias": {"5": 1}}', "logit_bias is not supported"),
        ('{"prompt": "a", "messages": []}', "messages is not a known field"),
    ],
)
def test_errors_name_the_field(body, message):
    with pytest.raises(APIError) as caught:
        read(body)
    assert caught.value.status == 400
    assert message in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.body["error"]["type"] == "invalid_request_error"


def test_another_model_is_not_found():
    with pytest.raises(APIError, match="no model 'gpt': this server has 'letters'") as caught:
        read('{"model": "gpt", "prompt": "a"}')
    assert caught.value.status == 404
