"""OpenAI's completions API: reads a request's JSON, and makes the JSON of a response.

https://platform.openai.com/docs/api-reference/completions
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import Completion
from codex_jax.sampling.params import MIN_TEMPERATURE, SampleRequest, SamplingParams
from codex_jax.sampling.sampler import task_key
from codex_jax.serving.api_error import APIError
from codex_jax.serving.request_limits import RequestLimits
from codex_jax.storage.jsonl import Json, parse
from codex_jax.text.encoding import is_utf8

FIELDS = ("model", "prompt", "n", "best_of", "max_tokens", "temperature", "top_p", "stop", "seed", "logprobs", "stream")
IGNORED = ("user",)
# Accepted only with values that have no effect.
NO_EFFECT: dict[str, tuple[Any, ...]] = {
    "echo": (False,),
    "suffix": ("",),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
SEEDS = 2**32


@dataclass(frozen=True)
class CompletionRequest:
    """A valid request."""

    prompts: tuple[SampleRequest, ...]  # each with best_of numbers
    n: int  # samples per prompt in the response
    params: SamplingParams
    seed: int
    logprobs: bool
    stream: bool
    include_usage: bool  # whether a stream ends with the usage

    @property
    def single(self) -> bool:
        """Whether there is only one sample. Its text can be streamed in pieces."""
        return len(self.prompts) == 1 and len(self.prompts[0].numbers) == 1


def read_request(body: bytes, engine: Engine, model: str, limits: RequestLimits) -> CompletionRequest:
    """Reads a request's body; APIError names the field that is wrong. The default seed is random."""
    try:
        reason, row = parse(body.decode())
    except UnicodeDecodeError:
        reason, row = "not UTF-8", {}
    if reason:
        raise APIError(400, f"the request is {reason}")
    _check_fields(row, model)
    stream, logprobs = _boolean(row, "stream"), _integer(row, "logprobs", -1, 0, 5)
    if logprobs > 0:
        raise _invalid("logprobs", "must be 0: only the log probabilities of the sampled tokens are supported")
    if stream and logprobs == 0:
        raise _invalid("logprobs", "cannot be streamed")
    n = _integer(row, "n", 1, 1, limits.samples)
    best_of = _integer(row, "best_of", n, n, limits.samples)
    if stream and best_of > n:
        raise _invalid("best_of", "above n cannot be streamed: the best are known only when all samples are done")
    params = SamplingParams(
        temperature=_number(row, "temperature", 1.0, 0.0, 2.0),
        top_p=_number(row, "top_p", 1.0, 0.0, 1.0),
        max_new_tokens=_integer(row, "max_tokens", 16, 1, engine.config.context),
        stops=_stops(row, limits),
    )
    if 0 < params.temperature < MIN_TEMPERATURE:
        raise _invalid("temperature", f"must be 0 (greedy) or from {MIN_TEMPERATURE} to 2")
    if params.top_p == 0:
        raise _invalid("top_p", "must be above 0")
    texts = _prompts(row, limits.samples // best_of, best_of)
    prompts = _sample_requests(texts, best_of, engine, params.max_new_tokens)
    seed = _integer(row, "seed", int.from_bytes(os.urandom(4)), 0, SEEDS - 1)
    options = row.get("stream_options") or {}
    if not isinstance(options, dict) or (options and not stream):
        raise _invalid("stream_options", "must be an object, and needs stream")
    include_usage = _boolean(options, "include_usage")
    return CompletionRequest(tuple(prompts), n, params, seed, logprobs == 0, stream, include_usage)


def choices(request: CompletionRequest, completions: Sequence[Completion], token_bytes: Sequence[bytes]) -> list[Json]:
    """The n samples of each prompt, in order. Of more than n, those with the highest mean log probability."""
    rows = []
    for index, prompt in enumerate(request.prompts):
        own = sorted((one for one in completions if one.request == index), key=lambda one: one.number)
        if len(prompt.numbers) > request.n:
            own = sorted(own, key=lambda one: -one.sample.mean_logp)[: request.n]
        for number, one in enumerate(own):
            logprobs = _logprobs(one, token_bytes) if request.logprobs else None
            rows.append(choice(index * request.n + number, one.sample.completion, finish_reason(one), logprobs))
    return rows


def choice(index: int, text: str, finish: str | None = None, logprobs: Json | None = None) -> Json:
    """A choice of a response, or of a piece of a stream."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}


def finish_reason(completion: Completion) -> str:
    """OpenAI's finish_reason: "length" or "stop"."""
    return "length" if completion.sample.finish == "length" else "stop"


def usage(request: CompletionRequest, completions: Sequence[Completion]) -> Json:
    """Counts tokens: each prompt once, without the end-of-text before it, and all completions."""
    prompt = sum(len(one.tokens) - 1 for one in request.prompts)
    completion = sum(one.sample.tokens for one in completions)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def model_not_found(name: str, model: str) -> APIError:
    """The error for a request of model `name` to a server of `model`."""
    return APIError(404, f"no model {name[:80]!r}: this server has {model!r}", "model", "model_not_found")


def _invalid(param: str, problem: str, code: str = "invalid_value") -> APIError:
    return APIError(400, f"{param} {problem}", param, code)


def _check_fields(row: Json, model: str) -> None:
    if row.get("model") not in (None, model):
        raise model_not_found(str(row["model"]), model)
    for name, values in NO_EFFECT.items():
        if row.get(name) is not None and row[name] not in values:
            raise _invalid(name, "is not supported", "unsupported_parameter")
    for name in row.keys() - {*FIELDS, *IGNORED, *NO_EFFECT, "stream_options"}:
        raise _invalid(str(name)[:80], "is not a known field", "unknown_parameter")


def _field(row: Json, name: str, default: Any, valid: Callable[[Any], bool], problem: str) -> Any:
    value = row.get(name)
    if value is None:
        return default
    if not valid(value):
        raise _invalid(name, problem)
    return value


def _boolean(row: Json, name: str) -> bool:
    return bool(_field(row, name, False, lambda value: value in (True, False), "must be true or false"))


def _integer(row: Json, name: str, default: int, low: int, high: int) -> int:
    valid = lambda value: type(value) is int and low <= value <= high  # noqa: E731
    return _field(row, name, default, valid, f"must be an integer from {low} to {high}")


def _number(row: Json, name: str, default: float, low: float, high: float) -> float:
    valid = lambda value: type(value) in (int, float) and low <= value <= high  # noqa: E731
    return float(_field(row, name, default, valid, f"must be a number from {low:g} to {high:g}"))


def _stops(row: Json, limits: RequestLimits) -> tuple[str, ...]:
    stops = row.get("stop")
    stops = [] if stops is None else [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise _invalid("stop", "must be a string or a list of strings, none empty")
    if not all(map(is_utf8, stops)):
        raise _invalid("stop", "has half a surrogate pair")
    if len(stops) > limits.stops or sum(len(stop.encode()) for stop in stops) > limits.stop_bytes:
        raise _invalid("stop", f"may have {limits.stops} strings of {limits.stop_bytes} bytes together")
    return tuple(stops)


def _prompts(row: Json, most: int, best_of: int) -> list[str | list[int]]:
    value = row.get("prompt")
    prompts: Any = [value] if isinstance(value, str) or _are_tokens(value) else value
    valid = isinstance(prompts, list) and prompts
    if not valid or not (all(isinstance(prompt, str) for prompt in prompts) or all(map(_are_tokens, prompts))):
        raise _invalid("prompt", "must be a string, a list of strings, a list of tokens or a list of such lists")
    if len(prompts) > most:
        raise _invalid("prompt", f"may have {most} prompts, with {best_of} samples each")
    return prompts


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _sample_requests(
    prompts: Sequence[str | list[int]], best_of: int, engine: Engine, new_tokens: int
) -> list[SampleRequest]:
    # Requests the same samples as Sampler.sample. A repeated prompt gets the next numbers, so its samples differ.
    requests, next_numbers, context = [], dict[int, int](), engine.config.context
    for prompt in prompts:
        tokens = _encode(prompt, engine) if isinstance(prompt, str) else _check_tokens(prompt, engine)
        tokens = [engine.tokenizer.eot, *tokens]
        if len(tokens) + new_tokens > context:
            message = f"of {len(tokens)} tokens with max_tokens {new_tokens} is longer than the context of {context}"
            raise _invalid("prompt", message, "context_length_exceeded")
        pieces = (engine.token_bytes[token] for token in tokens[1:])
        task = task_key(prompt if isinstance(prompt, str) else b"".join(pieces).decode("utf-8", "replace"))
        start = next_numbers.get(task, 0)
        next_numbers[task] = start + best_of
        requests.append(SampleRequest(tokens, task, range(start, start + best_of)))
    return requests


def _encode(prompt: str, engine: Engine) -> list[int]:
    longest, context = max(map(len, engine.token_bytes)), engine.config.context
    if not is_utf8(prompt):
        raise _invalid("prompt", "has half a surrogate pair")
    if len(prompt.encode()) > longest * context:  # too long for any tokenization
        raise _invalid("prompt", f"is far longer than the context of {context} tokens", "context_length_exceeded")
    return engine.tokenizer.encode(prompt)


def _check_tokens(prompt: list[int], engine: Engine) -> list[int]:
    eot, last = engine.tokenizer.eot, engine.tokenizer.vocab_size - 1
    tokens = prompt[1:] if prompt[0] == eot else prompt
    if not all(0 <= token <= last and token != eot for token in tokens):
        raise _invalid("prompt", f"has a token that is not from 0 to {last}, or {eot} after the first")
    return tokens


def _logprobs(completion: Completion, token_bytes: Sequence[bytes]) -> Json:
    # The sample's tokens with their log probabilities in nats at temperature 1, and their offsets in the text.
    ids = completion.raw.tokens[: completion.sample.tokens].tolist()
    pieces = [token_bytes[token] for token in ids]
    return {
        "tokens": [piece.decode("utf-8", "replace") for piece in pieces],
        "token_logprobs": [float(logp) for logp in completion.raw.logps[: len(ids)]],
        "top_logprobs": None,
        "text_offset": [len(b"".join(pieces[:n]).decode("utf-8", "replace")) for n in range(len(pieces))],
    }
