"""The bytes that a training step sends between eight simulated devices: only those that its mesh needs."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

C, V, T, B, LAYERS = 256, 1024, 64, 16, 3
F32 = 4
SMALL = 60_000  # bytes: more than norms, biases, positions, sums and counts; less than an activation or a matrix

PROGRAM = f"""
import json, sys
import jax
from jax.sharding import NamedSharding
from codex_jax.config import MeshConfig, ModelConfig, TrainConfig
from codex_jax.planning.hlo import read_costs
from codex_jax.parallel.mesh import BATCH, make_mesh
from codex_jax.training.state import abstract_state
from codex_jax.training.step import make_train_step

mesh = make_mesh(MeshConfig(**json.loads(sys.argv[1])))
config = ModelConfig(layers={LAYERS}, width={C}, heads=8, context={T}, vocab_size={V}, remat="full")
run = TrainConfig(model=config)
with jax.set_mesh(mesh):
    state = abstract_state(run, mesh)
    batch = {{"tokens": jax.ShapeDtypeStruct(({B}, {T} + 1), "int32", sharding=NamedSharding(mesh, BATCH))}}
    text = make_train_step(run, mesh, 0).lower(state, batch).compile().as_text()
print(json.dumps([[c.kind, c.name, c.bytes * c.times, len(c.group)] for c in read_costs(text).collectives]))
"""


def collectives(mesh):
    """{(kind, devices per group, purpose): bytes that a device sends per step}, without those below SMALL."""
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(mesh)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    sent = Counter()
    for kind, name, count, ways in json.loads(done.stdout):
        sent[kind, ways, purpose(name)] += count
    return {key: round(count) for key, count in sent.items() if count > SMALL}


def purpose(name):
    """What an operation computes, from the path of modules in its name."""
    if "btv" in name or "unembedding" in name:
        return "logits"
    if "embed" in name:
        return "embedding"
    if "/attention/bht" in name.replace("(", ""):  # products of queries, keys and values, not those of linear layers
        return "keys and values"
    return "layers" if "blocks" in name else "rest"


def ring(count, ways):
    """Bytes that a device sends round a ring to all-gather or reduce-scatter `count` bytes; an all-reduce does both."""
    return count * (ways - 1) / ways


MATRICES = LAYERS * 12 * C * C * F32  # query, key, value and out of C x C; up and down of C x 4 C
TABLE = V * C * F32
ACTIVATION = B * T * C * F32  # of the whole batch


@pytest.fixture(scope="module")
def sharded():
    return collectives({"fsdp": 8})


def test_sharded_data_parallel_gathers_weights_and_reduces_gradients_only(sharded):
    assert sharded == {
        ("all-gather", 8, "layers"): 2 * ring(MATRICES, 8),  # forward, and again backward under remat
        ("all-gather", 8, "logits"): ring(TABLE, 8),
        ("all-to-all", 8, "embedding"): 2 * ring(ACTIVATION / 8, 8),
        ("all-reduce", 8, "layers"): pytest.approx(2 * ring(MATRICES, 8), rel=0.01),  # includes biases and norms
        ("all-reduce", 8, "logits"): pytest.approx(2 * ring(TABLE, 8), rel=0.01),
    }


def test_data_parallel_reduces_gradients_only():
    sent = collectives({"data": 8, "fsdp": 1})
    assert {key[:2] for key in sent} == {("all-reduce", 8)}
    assert sum(sent.values()) == pytest.approx(2 * ring(MATRICES + TABLE, 8), rel=0.3)  # the table is reduced twice


def test_tensor_parallel_sums_activations_and_gathers_neither_logits_nor_weights():
    assert collectives({"fsdp": 1, "model": 8}) == {
        # Forward: out and down. Recomputed: out. Backward: up, query, key and value.
        ("all-reduce", 8, "layers"): LAYERS * 7 * 2 * ring(ACTIVATION, 8),
        # XLA combines it with the sums of the norms: a number of 4 bytes for each of 11 split arrays.
        ("all-reduce", 8, "embedding"): 2 * ring(ACTIVATION + 11 * 4, 8),
        ("all-reduce", 8, "logits"): 2 * ring(ACTIVATION, 8),  # the gradient of the hidden states
    }


def test_split_sequences_also_exchange_keys_and_values(sharded):
    sent = collectives({"fsdp": 4, "sequence": 2})
    part = B / 4 * T * C * F32  # one device's keys of whole sequences
    # Forward, and recomputed; the difference is segment ids.
    assert sent.pop(("all-gather", 2, "keys and values")) == pytest.approx(2 * LAYERS * 2 * ring(part, 2), rel=0.01)
    assert sent.pop(("all-reduce", 2, "keys and values")) == LAYERS * 2 * 2 * ring(part, 2)
    for ways in (2, 4):
        assert sent.pop(("all-to-all", ways, "embedding")) == 2 * ring(ACTIVATION / 8, ways)
    alike = {key: count for key, count in sharded.items() if key[0] != "all-to-all"}
    assert sent == pytest.approx(alike, rel=0.01)  # there biases are reduced with the gradients, here separately
