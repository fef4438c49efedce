"""OpenAI's completions, in and out: a request's JSON read with every fault named, and the answers' shape.

https://platform.openai.com/docs/api-reference/completions
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import LEAST_TEMPERATURE, SampleRequest, SamplingParams
from codex_jax.sampling.sampler import task_key
from codex_jax.serving.api_error import APIError
from codex_jax.serving.generate import Completion
from codex_jax.serving.request_limits import Limits
from codex_jax.storage.jsonl import Json, parse

TAKEN = ("model", "prompt", "n", "best_of", "max_tokens", "temperature", "top_p", "stop", "seed", "logprobs", "stream")
IGNORED = ("user",)
# Taken only where they change nothing.
WITHOUT: dict[str, tuple[Any, ...]] = {
    "echo": (False,),
    "suffix": ("",),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
SEEDS = 2**32


@dataclass(frozen=True)
class CompletionRequest:
    """A request that can be drawn. Each prompt has its numbers of samples, of which n are answered."""

    requests: tuple[SampleRequest, ...]
    n: int
    how: SamplingParams
    seed: int
    logprobs: bool
    stream: bool
    include_usage: bool  # at the end of a stream

    @property
    def single(self) -> bool:
        """Whether there is one sample, which can be shown as it grows."""
        return len(self.requests) == 1 and len(self.requests[0].numbers) == 1


def read_request(body: bytes, engine: Engine, model: str, limits: Limits) -> CompletionRequest:
    """A request's body; APIError names the field that is wrong. Without a seed it gets a fresh one."""
    try:
        reason, row = parse(body.decode())
    except UnicodeDecodeError:
        reason, row = "not UTF-8", {}
    if reason:
        raise APIError(400, f"the request is {reason}")
    _check_fields(row, model)
    stream, logprobs = _truth(row, "stream"), _whole(row, "logprobs", -1, 0, 5)
    if logprobs > 0:
        raise _wrong(
            "logprobs", "may be 0, for the log probabilities of the sampled tokens: those of others are not kept"
        )
    if stream and logprobs == 0:
        raise _wrong("logprobs", "cannot be streamed")
    n = _whole(row, "n", 1, 1, limits.samples)
    best_of = _whole(row, "best_of", n, n, limits.samples)
    if stream and best_of > n:
        raise _wrong("best_of", "above n cannot be streamed: all must be there to choose from")
    how = SamplingParams(
        temperature=_real(row, "temperature", 1.0, 0.0, 2.0),
        top_p=_real(row, "top_p", 1.0, 0.0, 1.0),
        max_new_tokens=_whole(row, "max_tokens", 16, 1, engine.config.context),
        stops=_stops(row, limits),
    )
    if 0 < how.temperature < LEAST_TEMPERATURE:
        raise _wrong("temperature", f"must be 0 (greedy), or from {LEAST_TEMPERATURE} to 2")
    if how.top_p == 0:
        raise _wrong("top_p", "must be above 0")
    requests = _requests(_prompts(row, limits.samples // best_of, best_of), best_of, engine, how.max_new_tokens)
    seed = _whole(row, "seed", int.from_bytes(os.urandom(4)), 0, SEEDS - 1)
    options = row.get("stream_options") or {}
    if not isinstance(options, dict) or (options and not stream):
        raise _wrong("stream_options", "must be an object, and goes with stream")
    return CompletionRequest(tuple(requests), n, how, seed, logprobs == 0, stream, _truth(options, "include_usage"))


def choices(asked: CompletionRequest, made: Sequence[Completion], token_bytes: Sequence[bytes]) -> list[Json]:
    """Each prompt's n samples, in order; of more, those with the highest mean log probability."""
    rows = []
    for place, request in enumerate(asked.requests):
        own = sorted((one for one in made if one.request == place), key=lambda one: one.number)
        if len(request.numbers) > asked.n:
            own = sorted(own, key=lambda one: -one.sample.mean_logp)[: asked.n]
        for number, one in enumerate(own):
            logprobs = _logprobs(one, token_bytes) if asked.logprobs else None
            rows.append(choice(place * asked.n + number, one.sample.completion, finish_reason(one), logprobs))
    return rows


def choice(index: int, text: str, finish: str | None = None, logprobs: Json | None = None) -> Json:
    """One of an answer, or of a piece of a stream."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}


def finish_reason(made: Completion) -> str:
    """In OpenAI's words."""
    return "length" if made.sample.finish == "length" else "stop"


def usage(asked: CompletionRequest, made: Sequence[Completion]) -> Json:
    """In tokens; the end-of-text before a prompt is not counted, and each prompt once."""
    prompt = sum(len(request.tokens) - 1 for request in asked.requests)
    completion = sum(one.sample.tokens for one in made)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def no_model(name: str, model: str) -> APIError:
    """Where another is asked for."""
    return APIError(404, f"there is no model {name[:80]!r} here, but {model!r}", "model", "model_not_found")


def _wrong(param: str, problem: str, code: str = "invalid_value") -> APIError:
    return APIError(400, f"{param} {problem}", param, code)


def _check_fields(row: Json, model: str) -> None:
    if row.get("model") not in (None, model):
        raise no_model(str(row["model"]), model)
    for name, values in WITHOUT.items():
        if row.get(name) is not None and row[name] not in values:
            raise _wrong(name, "is not supported", "unsupported_parameter")
    for name in row.keys() - {*TAKEN, *IGNORED, *WITHOUT, "stream_options"}:
        raise _wrong(str(name)[:80], "is not known", "unknown_parameter")


def _truth(row: Json, name: str) -> bool:
    value = row.get(name)
    if value not in (None, True, False):
        raise _wrong(name, "must be true or false")
    return bool(value)


def _whole(row: Json, name: str, default: int, low: int, high: int) -> int:
    value = row.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(name, f"must be a whole number from {low} to {high}")
    return value


def _real(row: Json, name: str, default: float, low: float, high: float) -> float:
    value = row.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(name, f"must be a number from {low:g} to {high:g}")
    return float(value)


def _stops(row: Json, limits: Limits) -> tuple[str, ...]:
    stops = row.get("stop")
    stops = [] if stops is None else [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise _wrong("stop", "must be a string or a list of strings, none empty")
    try:
        size = sum(len(stop.encode()) for stop in stops)
    except UnicodeEncodeError:
        raise _wrong("stop", "has half a surrogate pair") from None
    if len(stops) > limits.stops or size > limits.stop_bytes:
        raise _wrong("stop", f"may be {limits.stops} strings of {limits.stop_bytes} bytes in all")
    return tuple(stops)


def _prompts(row: Json, most: int, best_of: int) -> list[str | list[int]]:
    given = row.get("prompt")
    prompts: Any = [given] if isinstance(given, str) or (isinstance(given, list) and _are_tokens(given)) else given
    if not isinstance(prompts, list) or not prompts:
        raise _wrong("prompt", "must be a string, a list of strings, a list of tokens or a list of such lists")
    if len(prompts) > most:
        raise _wrong("prompt", f"may be a list of {most}, with {best_of} samples each")
    if not all(isinstance(prompt, str) for prompt in prompts) and not all(map(_are_tokens, prompts)):
        raise _wrong("prompt", "must be a string, a list of strings, a list of tokens or a list of such lists")
    return prompts


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _requests(prompts: Sequence[str | list[int]], best_of: int, engine: Engine, new: int) -> list[SampleRequest]:
    # As Sampler.sample draws them; the same prompt again gets other samples.
    requests, seen, context = [], dict[int, int](), engine.config.context
    for prompt in prompts:
        tokens = _encode(prompt, engine) if isinstance(prompt, str) else _take_tokens(prompt, engine)
        if len(tokens) + new > context:
            message = f"of {len(tokens)} tokens with max_tokens {new} is longer than the context of {context}"
            raise _wrong("prompt", message, "context_length_exceeded")
        text = prompt if isinstance(prompt, str) else _text(tokens[1:], engine)
        task = task_key(text)
        start = seen.get(task, 0)
        seen[task] = start + best_of
        requests.append(SampleRequest(tokens, task, range(start, start + best_of)))
    return requests


def _encode(prompt: str, engine: Engine) -> list[int]:
    longest, context = max(map(len, engine.token_bytes)), engine.config.context
    try:
        size = len(prompt.encode())
    except UnicodeEncodeError:
        raise _wrong("prompt", "has half a surrogate pair") from None
    if size > longest * context:  # not worth tokenizing
        raise _wrong("prompt", f"is far longer than the context of {context} tokens", "context_length_exceeded")
    return [engine.tokenizer.eot, *engine.tokenizer.encode(prompt)]


def _take_tokens(prompt: list[int], engine: Engine) -> list[int]:
    eot = engine.tokenizer.eot
    tokens = prompt[1:] if prompt[0] == eot else prompt
    if not all(0 <= token < engine.tokenizer.vocab_size and token != eot for token in tokens):
        raise _wrong("prompt", f"has a token that is not from 0 to {engine.tokenizer.vocab_size - 1}, or {eot} inside")
    return [eot, *tokens]


def _text(tokens: Sequence[int], engine: Engine) -> str:
    return b"".join(engine.token_bytes[token] for token in tokens).decode("utf-8", "replace")


def _logprobs(made: Completion, token_bytes: Sequence[bytes]) -> Json:
    # Of the tokens that begin in the text, each with its place in it; nats, at temperature 1.
    ids = made.drawn.tokens[: made.sample.tokens].tolist()
    pieces = [token_bytes[token] for token in ids]
    return {
        "tokens": [piece.decode("utf-8", "replace") for piece in pieces],
        "token_logprobs": [float(logp) for logp in made.drawn.logps[: len(ids)]],
        "top_logprobs": None,
        "text_offset": [len(b"".join(pieces[:n]).decode("utf-8", "replace")) for n in range(len(pieces))],
    }
