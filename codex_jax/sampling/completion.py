"""From the tokens of a row to a Sample: cut at its stop string, with the log probabilities of what is kept."""

from collections.abc import Sequence

import numpy as np

from codex_jax.sampling.params import Sample, SamplingParams
from codex_jax.sampling.scheduler import RawSample
from codex_jax.sampling.stops import cut


def to_sample(drawn: RawSample, token_bytes: Sequence[bytes], eot: int, how: SamplingParams) -> Sample:
    """Counted are the tokens that begin before the cut, at least one, and the end-of-text that ended the sample."""
    ids = drawn.tokens.tolist()
    ended = bool(ids) and ids[-1] == eot
    text_ids = ids[:-1] if ended else ids
    data = b"".join(token_bytes[token] for token in text_ids)
    ends = np.cumsum([0, *(len(token_bytes[token]) for token in ids)])
    # A stop string that is completed within the first min_new_tokens does not count.
    text, stopped = cut(data, how.stops, int(ends[min(how.min_new_tokens, len(text_ids))]))
    kept = int((ends[:-1] < len(text)).sum()) if stopped else len(ids)
    kept = max(kept, min(1, len(ids)))
    sums = [float(logps[:kept].sum(dtype=np.float64)) for logps in (drawn.logps, drawn.sampling_logps)]
    means = [total / max(kept, 1) for total in sums]
    finish = "stop" if stopped else "eot" if ended else "length"
    return Sample(text.decode("utf-8", "replace"), kept, means[0], sums[0], means[1], sums[1], finish)


def shown(completion: str, how: SamplingParams) -> str:
    """The part of an unfinished completion that stays: not what may yet become a stop string or a whole character."""
    hold = max((len(stop) for stop in how.stops), default=0)
    return completion[: -hold or None].rstrip("\ufffd")
