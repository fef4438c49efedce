"""The compiled functions over one model's weights, on any mesh: samples in batches that stay full, or as they grow."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from codex_jax.config import ModelConfig
from codex_jax.errors import InputError
from codex_jax.model.cache import cache_bytes
from codex_jax.model.decode import Weights
from codex_jax.model.product import precise
from codex_jax.sampling import rows
from codex_jax.sampling.completion import shown, to_sample
from codex_jax.sampling.likelihood import Score, scores, token_logps
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams, check_seed
from codex_jax.sampling.programs import jitted, slots_for
from codex_jax.sampling.scheduler import Layout, buckets, drawn_by, layout, new_rows, schedule

KEPT = 4  # sets of stop strings whose tables stay on the devices: a fifth of a second to make, and some 10 MB
EVERY = 4  # tokens between two pieces of a streamed sample


class Engine:
    """What draws Requests and scores texts. All processes of a run make the same calls with the same arguments."""

    def __init__(self, config: ModelConfig, weights: Weights, tokenizer: Any, mesh: Mesh) -> None:
        """weights: on the mesh; tokenizer: the one they were trained with."""
        self.config, self.weights, self.tokenizer, self.mesh = config, weights, tokenizer, mesh
        self.copies = mesh.shape["data"] * mesh.shape["fsdp"]
        self.token_bytes = [tokenizer.token_bytes(n) for n in range(tokenizer.vocab_size)]
        self.whole = NamedSharding(mesh, PartitionSpec())
        eot, vocab_size = tokenizer.eot, tokenizer.vocab_size
        self.empty, self.place, self.refill, self.advance = jitted(config, eot, mesh)
        self.fetch = jax.jit(lambda tree: tree, out_shardings=self.whole)
        self.logps = jax.jit(partial(precise(config, token_logps), config, eot, vocab_size), out_shardings=self.whole)
        # Of no method: an engine that is let go must not wait for the garbage collector with its weights.
        token_bytes, whole = self.token_bytes, self.whole

        @lru_cache(KEPT)
        def ends(stops: tuple[str, ...], free_start: bool) -> rows.StopTables:
            return jax.device_put(rows.make_stop_tables(stops, free_start, token_bytes, eot), whole)

        self.ends = ends

    def encode(self, prompt: str, how: SamplingParams, truncate_left: bool = False) -> list[int]:
        """The prompt's tokens behind an end-of-text; InputError where no room is left in the context.

        truncate_left: a longer prompt loses its beginning, until max_new_tokens have room, or half the context.
        """
        tokens, context = self.tokenizer.encode(prompt), self.config.context
        if truncate_left:
            room = max(context - how.max_new_tokens, context // 2, 2) - 1
            tokens = tokens[-room:]
        if len(tokens) + 1 >= context:
            raise InputError(
                f"a prompt of {len(tokens) + 1} tokens leaves no room in the context of {context}: "
                "shorten it, or have --truncate-left drop its beginning"
            )
        return [self.tokenizer.eot, *tokens]

    def sample(
        self, requests: Sequence[SampleRequest], how: SamplingParams, seed: int, batch: int
    ) -> Iterator[tuple[int, int, Sample]]:
        """(index of the request, number, sample) as they finish, at most `batch` drawn at a time by each copy."""
        wanted = [n for n, request in enumerate(requests) if len(request.numbers)]
        if not wanted:
            return
        sizes = buckets([len(requests[n].tokens) - 1 for n in wanted])
        for smaller, size in zip([-1, *sizes], sizes, strict=False):
            those = [n for n in wanted if smaller < len(requests[n].tokens) - 1 <= size]
            part = [requests[n] for n in those]
            shape = layout(part, batch, self.copies)
            programs, limits = Bound(self, how, seed, size), [self.limit(one, how) for one in part]
            for finished in schedule(programs, programs.empty(shape), part, limits, shape):
                sample = to_sample(finished.drawn, self.token_bytes, self.tokenizer.eot, how)
                yield those[finished.request], finished.number, sample

    def stream(self, request: SampleRequest, how: SamplingParams, seed: int) -> Iterator[str | Sample]:
        """A request's samples one after the other: the text of each in pieces as it grows, then the Sample."""
        (size,), shape = buckets([len(request.tokens) - 1]), Layout(self.copies, 1)
        programs = Bound(self, how, seed, size)
        state = programs.place(programs.empty(shape), {0: request.tokens})
        for number in request.numbers:
            state = programs.refill(state, new_rows(self.copies, {0: (request, number, self.limit(request, how))}))
            told, over = "", False
            while not over:
                state = programs.advance(state, EVERY, self.copies)
                over = bool(programs.done(state)[0])
                drawn = drawn_by(0, *programs.drawn(state))
                sample = to_sample(drawn, self.token_bytes, self.tokenizer.eot, how)
                text = sample.completion if over else shown(sample.completion, how)
                yield text[len(told) :]
                told = text
            yield sample

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch: int = 8) -> Iterator[Score]:
        """One for each (prompt's tokens behind an end-of-text, completion's tokens), in their order."""

        def logps(tokens: np.ndarray) -> np.ndarray:
            with jax.set_mesh(self.mesh):
                return np.asarray(self.logps(self.weights, tokens))

        return scores(logps, pairs, batch * self.copies, self.config.context, self.tokenizer.eot)

    def slots(self, how: SamplingParams) -> int:
        """How many new tokens a row has room for."""
        return slots_for(self.config, how)

    def bytes_a_sample(self, how: SamplingParams) -> int:
        """Of its own keys and values, over all devices."""
        return cache_bytes(self.config, self.slots(how))

    def limit(self, request: SampleRequest, how: SamplingParams) -> int:
        """How many tokens its samples may have."""
        return min(how.max_new_tokens, self.config.context - len(request.tokens))


class Bound:
    """An Engine's functions with what they are always given: the scheduler's Programs."""

    def __init__(self, engine: Engine, how: SamplingParams, seed: int, places: int) -> None:
        """places: of a prompt, less its last token; InputError for a seed that is none."""
        check_seed(seed)
        self._engine, self._kind, self._places = engine, how.kind, places
        self._slots, self._numbers = engine.slots(how), rows.make_sampling_scalars(how)
        self._ends = engine.ends(tuple(how.stops), how.kind.free_start)
        self._seed = np.asarray(jax.random.key_data(jax.random.key(seed)))

    def empty(self, shape: Layout) -> rows.State:
        """No prompts, and all rows done."""
        with jax.set_mesh(self._engine.mesh):
            return self._engine.empty(*shape, self._places, self._slots)

    def place(self, state: rows.State, prompts: Mapping[int, Sequence[int]]) -> rows.State:
        """As many prompts at a time as there are copies of the model."""
        copies, eot = self._engine.copies, self._engine.tokenizer.eot
        places = list(prompts)
        for start in range(0, len(places), copies):
            some = places[start : start + copies]
            groups = np.full(copies, np.iinfo(np.int32).max, np.int32)  # beyond the last: dropped
            tokens, lengths = np.full((copies, self._places), eot, np.int32), np.zeros(copies, np.int32)
            for n, group in enumerate(some):
                own = prompts[group][:-1]
                groups[n], lengths[n], tokens[n, : len(own)] = group, len(own), own
            with jax.set_mesh(self._engine.mesh):
                state = self._engine.place(self._engine.weights, state, groups, tokens, lengths)
        return state

    def refill(self, state: rows.State, fresh: rows.NewRows) -> rows.State:
        """See scheduler.Programs."""
        with jax.set_mesh(self._engine.mesh):
            return self._engine.refill(state, self._seed, fresh)

    def advance(self, state: rows.State, steps: int, until: int) -> rows.State:
        """See scheduler.Programs."""
        engine = self._engine
        with jax.set_mesh(engine.mesh):
            numbers = np.int32(steps), np.int32(until)
            return engine.advance(self._kind, self._numbers, self._ends, engine.weights, state, *numbers)

    def done(self, state: rows.State) -> np.ndarray:
        """See scheduler.Programs."""
        return np.asarray(self._engine.fetch(state.rows.done))

    def drawn(self, state: rows.State) -> tuple[np.ndarray, ...]:
        """See scheduler.Programs."""
        own = state.rows
        columns = self._engine.fetch((state.suffix.length, own.tokens, own.logps, own.sampling_logps))
        return tuple(map(np.array, columns))  # copies: the next step takes the state's memory over
