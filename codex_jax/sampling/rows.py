"""The device's side of sampling: B = G x R rows, R for each of G prompts, advanced and refilled by pure functions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.model.cache import Prefix, Suffix, empty_prefix, empty_suffix
from codex_jax.model.decode import Weights, decode, forward
from codex_jax.parallel.mesh import constrain, spec
from codex_jax.sampling.nucleus import draw
from codex_jax.sampling.params import ProgramKey, SamplingParams
from codex_jax.sampling.stops import token_automaton

Array = jax.Array
Given = Array | np.ndarray  # by the host: NumPy's outside of a program


class Rows(NamedTuple):
    """What each row is at. key: of jax.random [B]; token, limit, stop_state: int32 [B]; done: bool [B].

    token: the last one, which the next step reads; limit: how many may be drawn; tokens: int32 [B, S], those drawn;
    logps, sampling_logps: float32 [B, S], theirs. How many are drawn is the length of the row's suffix.
    """

    key: Array
    token: Array
    limit: Array
    stop_state: Array
    done: Array
    tokens: Array
    logps: Array
    sampling_logps: Array


class State(NamedTuple):
    """All that a step changes, and the prompts."""

    prefix: Prefix
    suffix: Suffix
    rows: Rows


class SamplingScalars(NamedTuple):
    """A Draw's, for a compiled program: float32 [], or int32 []."""

    temperature: Given
    top_p: Given
    top_k: Given
    min_new_tokens: Given


class StopTables(NamedTuple):
    """Where samples end. tables: int32 [1 or 2, states, vocabulary], the stop strings' automaton.

    The second is for the first tokens, which end nothing. What the logits have behind that vocabulary is padding.
    matched: int32 [], the state of a match; eot: int32 [], the token.
    """

    tables: Given
    matched: Given
    eot: Given


class NewRows(NamedTuple):
    """Samples that rows are to begin: where rows is True, one by (seed's key, task, number); [B] each."""

    rows: Given  # bool
    task: Given  # uint32
    number: Given  # uint32
    token: Given  # int32: the last of the prompt
    limit: Given  # int32


STATES = 32  # an automaton's are padded to multiples of it, so that other stop strings find the program compiled


def make_sampling_scalars(how: SamplingParams) -> SamplingScalars:
    """NumPy's, which go to every device."""
    floats, integers = (how.temperature, how.top_p), (how.top_k, how.min_new_tokens)
    return SamplingScalars(*(np.asarray(x, np.float32) for x in floats), *(np.asarray(x, np.int32) for x in integers))


def make_stop_tables(stops: Sequence[str], free_start: bool, token_bytes: Sequence[bytes], eot: int) -> StopTables:
    """The tables for a tokenizer's tokens; NumPy's."""
    table, matched = token_automaton(stops, token_bytes)
    tables = [table]
    if free_start:
        tables.append(token_automaton(stops, token_bytes, absorb=False)[0])
    padded = np.pad(np.stack(tables), ((0, 0), (0, -len(table) % STATES), (0, 0)))
    return StopTables(padded, np.asarray(matched, np.int32), np.asarray(eot, np.int32))


def empty_state(config: ModelConfig, groups: int, rows: int, places: int, slots: int) -> State:
    """No prompts, and all rows done. places: of a prompt, less its last token; slots: new tokens of a sample."""
    batch = groups * rows

    def zeros(*shape: int, dtype: Any = jnp.int32) -> Array:
        return jnp.zeros((batch, *shape), dtype)

    return State(
        empty_prefix(config, groups, places),
        empty_suffix(config, batch, slots),
        Rows(
            key=jax.random.split(jax.random.key(0), batch),
            token=zeros(),
            limit=zeros(),
            stop_state=zeros(),
            done=jnp.ones(batch, bool),
            tokens=zeros(slots),
            logps=zeros(slots, dtype=jnp.float32),
            sampling_logps=zeros(slots, dtype=jnp.float32),
        ),
    )


def state_axes() -> State:
    """The mesh axes of the arrays of each field: groups, and with them rows, lie apart as a batch does.

    Heads lie as the model's.
    """
    batch: Any = spec("batch")
    cache: Any = spec("batch", "heads", None, None)
    return State(Prefix(cache, cache, batch), Suffix(cache, cache, batch), Rows(*(batch,) * len(Rows._fields)))


def place(
    config: ModelConfig, eot: int, weights: Weights, state: State, groups_K: Array, tokens_KP: Array, lengths_K: Array
) -> State:
    """With the first lengths_K tokens of K prompts computed and kept as those groups'; their rows must be done.

    A group that is not there is dropped.
    """
    _, keys, values = forward(config, weights, tokens_KP, eot)
    return state._replace(prefix=state.prefix.write(groups_K, keys, values, lengths_K))


def refill(state: State, seed: Given, fresh: NewRows) -> State:
    """With new samples begun in the rows of `fresh`. seed: jax.random.key_data of the seed's key."""
    begins, seed_key = fresh.rows, jax.random.wrap_key_data(jnp.asarray(seed))

    def key_of(task: Given, number: Given) -> Array:
        return jax.random.fold_in(jax.random.fold_in(seed_key, task), number)

    rows = state.rows
    key = jnp.where(begins, jax.vmap(key_of)(fresh.task, fresh.number), rows.key)
    return state._replace(
        suffix=state.suffix._replace(length=jnp.where(begins, 0, state.suffix.length)),
        rows=rows._replace(
            key=key,
            token=jnp.where(begins, fresh.token, rows.token),
            limit=jnp.where(begins, fresh.limit, rows.limit),
            stop_state=jnp.where(begins, 0, rows.stop_state),
            done=rows.done & ~begins,
        ),
    )


def advance(
    config: ModelConfig,
    kind: ProgramKey,
    how: SamplingScalars,
    ends: StopTables,
    weights: Weights,
    state: State,
    steps: Array,
    until: Array,
) -> State:
    """Up to `steps` tokens of each row, or until `until` rows are done; int32 [] both, so that one program serves."""

    def goes_on(carry: tuple[Array, State]) -> Array:
        step, state = carry
        return (step < steps) & (state.rows.done.sum() < until)

    def body(carry: tuple[Array, State]) -> tuple[Array, State]:
        step, state = carry
        return step + 1, _step(config, kind, how, ends, weights, state)

    return jax.lax.while_loop(goes_on, body, (jnp.zeros((), jnp.int32), state))[1]


def _step(
    config: ModelConfig, kind: ProgramKey, how: SamplingScalars, ends: StopTables, weights: Weights, state: State
) -> State:
    prefix, suffix, rows = state
    live, drawn = ~rows.done, suffix.length
    logits, keys, values = decode(config, weights, rows.token, prefix, suffix, live)
    logits = constrain(logits, "batch", None)  # a row's draw needs the whole vocabulary
    logits = logits.at[:, ends.tables.shape[2] :].set(-jnp.inf)
    free = drawn < how.min_new_tokens
    if kind.free_start:
        eot_logit = logits[:, ends.eot]
        logits = logits.at[:, ends.eot].set(jnp.where(free, -jnp.inf, eot_logit))
    token_keys = jax.vmap(jax.random.fold_in)(rows.key, drawn)
    token, sampling_logp, log_sum = draw(kind, token_keys, logits, how.temperature, how.top_p, how.top_k)
    if kind.free_start:  # an end-of-text that may not be drawn is in the model's distribution
        log_sum = jnp.where(free, jnp.logaddexp(log_sum, eot_logit), log_sum)
    logp = jnp.take_along_axis(logits, token[:, None], axis=1)[:, 0] - log_sum

    table = free.astype(jnp.int32) if kind.free_start else 0
    stop_state = ends.tables[table, rows.stop_state, token]
    ended = (token == ends.eot) | (stop_state == ends.matched) | (drawn + 1 >= rows.limit)
    done = rows.done | ended

    column = jnp.where(live, drawn, rows.tokens.shape[1])  # out of bounds: dropped
    record = jax.vmap(lambda kept_S, new, column: kept_S.at[column].set(new, mode="drop"))

    rows = rows._replace(
        token=token,
        stop_state=jnp.where(live, stop_state, rows.stop_state),
        done=done,
        tokens=record(rows.tokens, token, column),
        logps=record(rows.logps, logp, column),
        sampling_logps=record(rows.sampling_logps, sampling_logp, column),
    )
    # Only rows that go on need this token's keys and values. That also has every layer read the suffix before it is
    # written, so that it is written in place.
    suffix = suffix.append(keys, values, ~done)._replace(length=drawn + live)
    return State(prefix, suffix, rows)
