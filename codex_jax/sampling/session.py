"""A sampling session: one batch of rows on the devices, and the compiled functions that change it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import SampleRequest, SamplingParams, check_seed
from codex_jax.sampling.programs import slots_for
from codex_jax.sampling.rows import Layout, NewRows, make_sampling_scalars

DROPPED = np.iinfo(np.int32).max  # a group out of bounds: the device ignores it


class RawSample(NamedTuple):
    """A sample's tokens, int32 [T], and their log probabilities, float32 [T]: see Sample."""

    tokens: np.ndarray
    logps: np.ndarray
    sampling_logps: np.ndarray


class Session:
    """Owns the state of layout.groups prompts with layout.rows rows each. Every row draws one sample at a time.

    The state is donated to each compiled function, which reuses its memory for the next state.
    """

    def __init__(
        self, engine: Engine, params: SamplingParams, seed: int, layout: Layout, prompt_slots: int, new_slots: int = 0
    ) -> None:
        """Slots: see rows.empty_state; new_slots 0: as many as params need. InputError for a seed out of range."""
        check_seed(seed)
        self.engine, self.params, self.layout = engine, params, layout
        self._prompt_slots = prompt_slots
        self._seed = np.asarray(jax.random.key_data(jax.random.key(seed)))
        self._scalars = make_sampling_scalars(params)
        self._stop_tables = engine.stop_tables(tuple(params.stops), params.program_key.min_tokens)
        with jax.set_mesh(engine.mesh):
            new_slots = new_slots or slots_for(engine.config, params)
            self._state = engine.programs.empty(*layout, prompt_slots, new_slots)

    def place(self, prompts: Mapping[int, Sequence[int]]) -> None:
        """Computes prompts by group; all rows of these groups must be done. Each model copy computes one at a time."""
        engine, groups = self.engine, list(prompts)
        for start in range(0, len(groups), engine.copies):
            group_K = np.full(engine.copies, DROPPED, np.int32)
            tokens_KP = np.full((engine.copies, self._prompt_slots), engine.tokenizer.eot, np.int32)
            length_K = np.zeros(engine.copies, np.int32)
            for k, group in enumerate(groups[start : start + engine.copies]):
                tokens = prompts[group][:-1]  # a row reads the last token in its first step
                group_K[k], length_K[k], tokens_KP[k, : len(tokens)] = group, len(tokens), tokens
            with jax.set_mesh(engine.mesh):
                self._state = engine.programs.place(engine.weights, self._state, group_K, tokens_KP, length_K)

    def refill(self, samples: Mapping[int, tuple[SampleRequest, int]]) -> None:
        """Begins samples in rows that are done: (request, number of the sample) by row."""
        batch = self.layout.groups * self.layout.rows
        unsigned, signed = (np.zeros((2, batch), dtype) for dtype in (np.uint32, np.int32))
        new_rows = NewRows(np.zeros(batch, bool), *unsigned, *signed)
        for row, (request, number) in samples.items():
            new_rows.rows[row], new_rows.task[row], new_rows.number[row] = True, request.task, number
            new_rows.token[row] = request.tokens[-1]
            new_rows.limit[row] = min(self.params.max_new_tokens, self.engine.config.context - len(request.tokens))
        with jax.set_mesh(self.engine.mesh):
            self._state = self.engine.programs.refill(self._state, self._seed, new_rows)

    def advance(self, steps: int, until_done: int) -> None:
        """Draws up to `steps` tokens in each row; stops early when `until_done` rows are done."""
        engine, limits = self.engine, (np.int32(steps), np.int32(until_done))
        with jax.set_mesh(engine.mesh):
            self._state = engine.programs.advance(
                self.params.program_key, self._scalars, self._stop_tables, engine.weights, self._state, *limits
            )

    def done(self) -> np.ndarray:
        """bool [B]: the rows whose samples have ended."""
        return np.asarray(self.engine.fetch(self._state.rows.done))

    def read(self, rows: Sequence[int]) -> list[RawSample]:
        """The tokens that these rows have drawn so far."""
        state = self._state.rows
        columns = self.engine.fetch((self._state.suffix.length, state.tokens, state.logps, state.sampling_logps))
        lengths, *values = map(np.array, columns)  # copies: the next step reuses the state's memory
        return [RawSample(*(value[row, : lengths[row]] for value in values)) for row in rows]
