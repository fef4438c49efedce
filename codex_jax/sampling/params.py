"""How samples are drawn, what is asked for and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codex_jax.errors import InputError

LEAST_TEMPERATURE = 1e-3  # below it logits leave the range of a float32


class ProgramKey(NamedTuple):
    """What of a SamplingParams a program is compiled for; its numbers are given when it runs."""

    greedy: bool
    top_k: bool  # whether there is one
    nucleus: bool
    free_start: bool  # whether some first tokens end nothing


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn and where they end. The first min_new_tokens of them end nothing, a stop string neither."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 300
    stops: tuple[str, ...] = ()
    top_k: int = 0  # 0: all
    min_new_tokens: int = 0

    @property
    def kind(self) -> ProgramKey:
        """Draws of one kind share their programs."""
        return ProgramKey(self.temperature == 0, self.top_k > 0, self.top_p < 1, self.min_new_tokens > 0)

    def check(self) -> None:
        """InputError for values that cannot be sampled with."""
        if not (self.temperature == 0 or LEAST_TEMPERATURE <= self.temperature < float("inf")):
            raise InputError(
                f"--temperature must be 0 (greedy), or {LEAST_TEMPERATURE} or above, not {self.temperature}"
            )
        if not 0 < self.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            raise InputError(f"--top-k must be 0 (all) or above, not {self.top_k}")
        if self.max_new_tokens < 1:
            raise InputError(f"--max-new-tokens must be at least 1, not {self.max_new_tokens}")
        if not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise InputError(
                f"--min-new-tokens must be from 0 to --max-new-tokens {self.max_new_tokens}, not {self.min_new_tokens}"
            )
        if "" in self.stops:
            raise InputError("a stop string is empty: leave it out")


def check_seed(seed: int) -> None:
    """InputError for one that JAX's keys cannot tell from another."""
    if not 0 <= seed < 1 << 32:
        raise InputError(f"--seed must be from 0 to 2^32 - 1, not {seed}")


@dataclass(frozen=True)
class SampleRequest:
    """Samples of one prompt. Each is drawn by (seed, task, its number), whatever it is drawn beside."""

    tokens: Sequence[int]  # of the prompt, behind an end-of-text
    task: int  # what tells the prompt from others, below 2^32
    numbers: Sequence[int]


@dataclass(frozen=True)
class Sample:
    """One completion. tokens counts those that the log probabilities (nats) are taken over.

    mean_logp, sum_logp: under the model at temperature 1; sampling_...: under the distribution it was drawn from, that
    is at the temperature and among the tokens that top-k and top-p kept.
    """

    completion: str
    tokens: int
    mean_logp: float
    sum_logp: float
    sampling_mean_logp: float
    sampling_sum_logp: float
    finish: str  # "stop", "eot" or "length"
