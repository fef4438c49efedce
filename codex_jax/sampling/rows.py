"""The device side of sampling: pure functions advance and refill B = G x R rows, R for each of G prompts."""

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
Operand = Array | np.ndarray  # NumPy on the host, JAX inside a program

BUCKET = 64  # a prompt's slots are a multiple of it
STATES = 32  # automata are padded to a multiple of this many states, so that other stop strings reuse the program


class Layout(NamedTuple):
    """G prompts that are drawn at the same time, with R rows each."""

    groups: int
    rows: int


class Rows(NamedTuple):
    """The rows' samples. key: jax.random keys [B]; token, limit, stop_state: int32 [B]; done: bool [B].

    token: the last token drawn, which the next step reads; limit: the most tokens the sample may have;
    tokens: int32 [B, S], all tokens drawn; logps, sampling_logps: float32 [B, S], their log probabilities.
    The number of tokens drawn is the length of the row's suffix.
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
    """The prompts' keys and values, the rows' own keys and values, and the rows."""

    prefix: Prefix
    suffix: Suffix
    rows: Rows


class SamplingScalars(NamedTuple):
    """The numbers of SamplingParams as arguments of a compiled program: float32 [] or int32 []."""

    temperature: Operand
    top_p: Operand
    top_k: Operand
    min_new_tokens: Operand


class StopTables(NamedTuple):
    """tables: int32 [1 or 2, states, V], the automaton of the stop strings over the tokenizer's V tokens.

    The second table, which never matches, is for the first min_new_tokens. Logits beyond V are padding.
    matched: int32 [], the state of a match; eot: int32 [], the end-of-text token.
    """

    tables: Operand
    matched: Operand
    eot: Operand


class NewRows(NamedTuple):
    """Samples to begin, as arrays [B]. rows: bool, the rows in which one begins."""

    rows: Operand
    task: Operand  # uint32
    number: Operand  # uint32
    token: Operand  # int32, the prompt's last token
    limit: Operand  # int32


def make_sampling_scalars(params: SamplingParams) -> SamplingScalars:
    """As NumPy arrays, which JAX copies to every device."""
    floats, integers = (params.temperature, params.top_p), (params.top_k, params.min_new_tokens)
    return SamplingScalars(*(np.asarray(x, np.float32) for x in floats), *(np.asarray(x, np.int32) for x in integers))


def make_stop_tables(stops: Sequence[str], min_tokens: bool, token_bytes: Sequence[bytes], eot: int) -> StopTables:
    """As NumPy arrays. min_tokens: whether to add the second table."""
    table, matched = token_automaton(stops, token_bytes)
    tables = [table]
    if min_tokens:
        tables.append(token_automaton(stops, token_bytes, absorb=False)[0])
    padded = np.pad(np.stack(tables), ((0, 0), (0, -len(table) % STATES), (0, 0)))
    return StopTables(padded, np.asarray(matched, np.int32), np.asarray(eot, np.int32))


def empty_state(config: ModelConfig, groups: int, rows: int, prompt_slots: int, new_slots: int) -> State:
    """No prompts, all rows done; prompt_slots: for a prompt's tokens but the last; new_slots: for a sample's tokens."""
    batch = groups * rows

    def zeros(*shape: int, dtype: Any = jnp.int32) -> Array:
        return jnp.zeros((batch, *shape), dtype)

    return State(
        empty_prefix(config, groups, prompt_slots),
        empty_suffix(config, batch, new_slots),
        Rows(
            key=jax.random.split(jax.random.key(0), batch),
            token=zeros(),
            limit=zeros(),
            stop_state=zeros(),
            done=jnp.ones(batch, bool),
            tokens=zeros(new_slots),
            logps=zeros(new_slots, dtype=jnp.float32),
            sampling_logps=zeros(new_slots, dtype=jnp.float32),
        ),
    )


def state_axes() -> State:
    """The mesh axes of each field's arrays: groups and rows are split like a batch, heads like the model's."""
    batch: Any = spec("batch")
    cache: Any = spec("batch", "heads", None, None)
    return State(Prefix(cache, cache, batch), Suffix(cache, cache, batch), Rows(*(batch,) * len(Rows._fields)))


def place(
    config: ModelConfig, eot: int, weights: Weights, state: State, group_K: Array, tokens_KP: Array, length_K: Array
) -> State:
    """Computes the first length_K tokens of K prompts and stores their keys and values in groups group_K.

    The rows of these groups must be done. Groups out of bounds are dropped.
    """
    _, keys, values = forward(config, weights, tokens_KP, eot)
    return state._replace(prefix=state.prefix.write(group_K, keys, values, length_K))


def refill(state: State, seed: Operand, new_rows: NewRows) -> State:
    """Begins new samples, with keys derived from (seed, task, number). seed: jax.random.key_data of the seed's key."""
    begins, seed_key = new_rows.rows, jax.random.wrap_key_data(jnp.asarray(seed))

    def key_of(task: Operand, number: Operand) -> Array:
        return jax.random.fold_in(jax.random.fold_in(seed_key, task), number)

    rows = state.rows
    key = jnp.where(begins, jax.vmap(key_of)(new_rows.task, new_rows.number), rows.key)
    return state._replace(
        suffix=state.suffix._replace(length=jnp.where(begins, 0, state.suffix.length)),
        rows=rows._replace(
            key=key,
            token=jnp.where(begins, new_rows.token, rows.token),
            limit=jnp.where(begins, new_rows.limit, rows.limit),
            stop_state=jnp.where(begins, 0, rows.stop_state),
            done=rows.done & ~begins,
        ),
    )


def advance(
    config: ModelConfig,
    program_key: ProgramKey,
    scalars: SamplingScalars,
    stop_tables: StopTables,
    weights: Weights,
    state: State,
    steps: Array,
    until_done: Array,
) -> State:
    """Draws up to `steps` tokens in each row, or until `until_done` rows are done; both are traced int32 []."""

    def unfinished(carry: tuple[Array, State]) -> Array:
        step, state = carry
        return (step < steps) & (state.rows.done.sum() < until_done)

    def body(carry: tuple[Array, State]) -> tuple[Array, State]:
        step, state = carry
        return step + 1, _step(config, program_key, scalars, stop_tables, weights, state)

    return jax.lax.while_loop(unfinished, body, (jnp.zeros((), jnp.int32), state))[1]


def _step(
    config: ModelConfig,
    program_key: ProgramKey,
    scalars: SamplingScalars,
    stop_tables: StopTables,
    weights: Weights,
    state: State,
) -> State:
    prefix, suffix, rows = state
    live, count = ~rows.done, suffix.length
    tables, matched, eot = stop_tables
    logits, keys, values = decode(config, weights, rows.token, prefix, suffix, live)
    logits = constrain(logits, "batch", None)  # drawing a token needs the whole vocabulary
    logits = logits.at[:, tables.shape[2] :].set(-jnp.inf)
    early = count < scalars.min_new_tokens
    if program_key.min_tokens:
        eot_logit = logits[:, eot]
        logits = logits.at[:, eot].set(jnp.where(early, -jnp.inf, eot_logit))
    token_keys = jax.vmap(jax.random.fold_in)(rows.key, count)
    token, sampling_logp, log_sum = draw(program_key, token_keys, logits, *scalars[:3])
    if program_key.min_tokens:  # logp is under the model itself, which may draw end-of-text here
        log_sum = jnp.where(early, jnp.logaddexp(log_sum, eot_logit), log_sum)
    logp = jnp.take_along_axis(logits, token[:, None], axis=1)[:, 0] - log_sum

    table = early.astype(jnp.int32) if program_key.min_tokens else 0
    stop_state = tables[table, rows.stop_state, token]
    ended = (token == eot) | (stop_state == matched) | (count + 1 >= rows.limit)
    done = rows.done | ended

    column = jnp.where(live, count, rows.tokens.shape[1])  # out of bounds: dropped
    record = jax.vmap(lambda values_S, value, column: values_S.at[column].set(value, mode="drop"))

    rows = rows._replace(
        token=token,
        stop_state=jnp.where(live, stop_state, rows.stop_state),
        done=done,
        tokens=record(rows.tokens, token, column),
        logps=record(rows.logps, logp, column),
        sampling_logps=record(rows.sampling_logps, sampling_logp, column),
    )
    # Only unfinished rows need this token's keys and values. As `done` depends on all layers, every layer has read the
    # suffix before it is written, so XLA writes it in place.
    suffix = suffix.append(keys, values, ~done)._replace(length=count + live)
    return State(prefix, suffix, rows)
