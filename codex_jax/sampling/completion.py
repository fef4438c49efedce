"""Turns a row's tokens into a Sample: text cut at the first stop string, and log probabilities of what remains."""

from collections.abc import Sequence

import numpy as np

from codex_jax.sampling.params import Sample, SamplingParams
from codex_jax.sampling.session import RawSample
from codex_jax.sampling.stops import cut


def to_sample(raw: RawSample, token_bytes: Sequence[bytes], eot: int, params: SamplingParams) -> Sample:
    """Counts the tokens that begin before the cut (at least one); if nothing is cut, all tokens with end-of-text."""
    ids = raw.tokens.tolist()
    ended = bool(ids) and ids[-1] == eot
    text_ids = ids[:-1] if ended else ids
    data = b"".join(token_bytes[token] for token in text_ids)
    offsets = np.cumsum([0, *(len(token_bytes[token]) for token in ids)])
    # A stop string that is complete within the first min_new_tokens does not count.
    text, stopped = cut(data, params.stops, int(offsets[min(params.min_new_tokens, len(text_ids))]))
    count = int((offsets[:-1] < len(text)).sum()) if stopped else len(ids)
    count = max(count, min(1, len(ids)))
    sums = [float(logps[:count].sum(dtype=np.float64)) for logps in (raw.logps, raw.sampling_logps)]
    means = [total / max(count, 1) for total in sums]
    finish = "stop" if stopped else "eot" if ended else "length"
    return Sample(text.decode("utf-8", "replace"), count, means[0], sums[0], means[1], sums[1], finish)


def settled_text(completion: str, params: SamplingParams) -> str:
    """An unfinished completion, without an end that may begin a stop string or a multi-byte character."""
    longest = max((len(stop) for stop in params.stops), default=0)
    return completion[: -longest or None].rstrip("\ufffd")
