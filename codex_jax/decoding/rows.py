"""The device's side of sampling: B = G x R rows, R for each of G prompts, advanced and refilled by pure functions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.decoding.nucleus import draw
from codex_jax.decoding.settings import Draw
from codex_jax.decoding.stop import token_automaton
from codex_jax.model.cache import Prefix, Suffix, empty_prefix, empty_suffix
from codex_jax.model.decode import Weights, decode, forward

Array = jax.Array


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


class Ends(NamedTuple):
    """Where samples end. tables: int32 [1 or 2, states, vocabulary], the stop strings' automaton.

    The second is for the first tokens, which end nothing. What the logits have behind that vocabulary is padding.
    matched: int32 [], the state of a match; eot: int32 [], the token.
    """

    tables: Array
    matched: Array
    eot: Array


class Fresh(NamedTuple):
    """Samples that rows are to begin: where rows is True, one by (seed's key, task, number); [B] each."""

    rows: np.ndarray  # bool
    task: np.ndarray  # uint32
    number: np.ndarray  # uint32
    token: np.ndarray  # int32: the last of the prompt
    limit: np.ndarray  # int32


def make_ends(how: Draw, token_bytes: Sequence[bytes], eot: int) -> Ends:
    """The tables for a tokenizer's tokens."""
    table, matched = token_automaton(how.stops, token_bytes)
    tables = [table]
    if how.min_new_tokens:
        tables.append(token_automaton(how.stops, token_bytes, absorb=False)[0])
    return Ends(jnp.asarray(np.stack(tables)), jnp.int32(matched), jnp.int32(eot))


def empty_state(config: ModelConfig, groups: int, rows: int, places: int, slots: int) -> State:
    """No prompts, and all rows done. places: of a prompt, less its last token; slots: new tokens of a sample."""
    batch = groups * rows

    def zeros(*shape: int, dtype: Any = jnp.int32) -> Array:  # a buffer of its own each time: all are donated
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


def place(
    config: ModelConfig, eot: int, weights: Weights, state: State, group: Array, tokens_1P: Array, length: Array
) -> State:
    """With a prompt's first `length` tokens computed and kept as a group's; its rows must be done."""
    _, keys, values = forward(config, weights, tokens_1P, eot)
    return state._replace(prefix=state.prefix.place(group, keys, values, length))


def refill(state: State, seed_key: Array, fresh: Fresh) -> State:
    """With new samples begun in the rows of `fresh`."""
    begins = jnp.asarray(fresh.rows)

    def key_of(task: Array, number: Array) -> Array:
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
    config: ModelConfig, how: Draw, ends: Ends, weights: Weights, state: State, steps: Array, until: Array
) -> State:
    """Up to `steps` tokens of each row, or until `until` rows are done; int32 [] both, so that one program serves."""

    def goes_on(carry: tuple[Array, State]) -> Array:
        step, state = carry
        return (step < steps) & (state.rows.done.sum() < until)

    def body(carry: tuple[Array, State]) -> tuple[Array, State]:
        step, state = carry
        return step + 1, _step(config, how, ends, weights, state)

    return jax.lax.while_loop(goes_on, body, (jnp.zeros((), jnp.int32), state))[1]


def _step(config: ModelConfig, how: Draw, ends: Ends, weights: Weights, state: State) -> State:
    prefix, suffix, rows = state
    live, drawn = ~rows.done, suffix.length
    logits, keys, values = decode(config, weights, rows.token, prefix, suffix, live)
    vocabulary = jnp.arange(logits.shape[1])
    logits = jnp.where(vocabulary < ends.tables.shape[2], logits, -jnp.inf)

    free = drawn < how.min_new_tokens
    choice = jnp.where(free[:, None] & (vocabulary == ends.eot), -jnp.inf, logits) if how.min_new_tokens else logits
    token_keys = jax.vmap(jax.random.fold_in)(rows.key, drawn)
    token, sampling_logp = draw(token_keys, choice, how.temperature, how.top_p, how.top_k)
    logp = jnp.take_along_axis(logits, token[:, None], axis=1)[:, 0] - jax.nn.logsumexp(logits, axis=1)

    table = free.astype(jnp.int32) if how.min_new_tokens else 0
    stop_state = ends.tables[table, rows.stop_state, token]
    ended = (token == ends.eot) | (stop_state == ends.matched) | (drawn + 1 >= rows.limit)
    done = rows.done | ended

    def record(kept: Array, new: Array) -> Array:
        column = jnp.where(live, drawn, kept.shape[1])  # out of bounds: dropped
        return kept.at[jnp.arange(len(kept)), column].set(new, mode="drop", unique_indices=True)

    rows = rows._replace(
        token=token,
        stop_state=jnp.where(live, stop_state, rows.stop_state),
        done=done,
        tokens=record(rows.tokens, token),
        logps=record(rows.logps, logp),
        sampling_logps=record(rows.sampling_logps, sampling_logp),
    )
    # Only rows that go on need this token's keys and values. That also has every layer read the suffix before it is
    # written, so that it is written in place.
    suffix = suffix.append(keys, values, ~done)._replace(length=drawn + live)
    return State(prefix, suffix, rows)
