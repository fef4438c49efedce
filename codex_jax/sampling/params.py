"""Sampling parameters, requests and samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codex_jax.errors import InputError
from codex_jax.text.encoding import is_utf8

MIN_TEMPERATURE = 1e-3  # below it, logits overflow a float32


class ProgramKey(NamedTuple):
    """The part of SamplingParams that selects a compiled program. The numbers are arguments of that program."""

    greedy: bool
    top_k: bool  # whether top-k is used
    nucleus: bool
    min_tokens: bool  # whether min_new_tokens is used


@dataclass(frozen=True)
class SamplingParams:
    """Sampling settings. Neither end-of-text nor a stop string ends a sample before min_new_tokens."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 300
    stops: tuple[str, ...] = ()
    top_k: int = 0  # 0: all tokens
    min_new_tokens: int = 0

    @property
    def program_key(self) -> ProgramKey:
        """Parameters with equal keys share compiled programs."""
        return ProgramKey(self.temperature == 0, self.top_k > 0, self.top_p < 1, self.min_new_tokens > 0)

    def check(self) -> None:
        """Raises InputError for a value out of range."""
        if not (self.temperature == 0 or MIN_TEMPERATURE <= self.temperature < float("inf")):
            raise InputError(f"--temperature must be 0 (greedy) or at least {MIN_TEMPERATURE}, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            raise InputError(f"--top-k must be 0 (all tokens) or above, not {self.top_k}")
        if self.max_new_tokens < 1:
            raise InputError(f"--max-new-tokens must be at least 1, not {self.max_new_tokens}")
        if not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise InputError(
                f"--min-new-tokens must be from 0 to --max-new-tokens {self.max_new_tokens}, not {self.min_new_tokens}"
            )
        if not all(map(is_utf8, self.stops)):
            raise InputError("a stop string is not UTF-8 text: it has half a surrogate pair")
        if "" in self.stops:
            raise InputError("a stop string is empty: leave it out")


def check_seed(seed: int) -> None:
    """Raises InputError for a seed that does not fit in 32 bits, because JAX ignores higher bits."""
    if not 0 <= seed < 1 << 32:
        raise InputError(f"--seed must be from 0 to 2^32 - 1, not {seed}")


@dataclass(frozen=True)
class SampleRequest:
    """Samples to draw for one prompt. A sample is determined by the seed, the task and its number."""

    tokens: Sequence[int]  # end-of-text, then the prompt
    task: int  # identifies the prompt, below 2^32
    numbers: Sequence[int]


@dataclass(frozen=True)
class Sample:
    """One completion. tokens: how many tokens the log probabilities (in nats) cover.

    mean_logp, sum_logp: under the model at temperature 1. sampling_mean_logp, sampling_sum_logp: under the distribution
    that the tokens were drawn from, after temperature, top-k and top-p.
    """

    completion: str
    tokens: int
    mean_logp: float
    sum_logp: float
    sampling_mean_logp: float
    sampling_sum_logp: float
    finish: str  # "stop", "eot" or "length"
