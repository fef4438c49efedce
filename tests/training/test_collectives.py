"""What a step sends between eight simulated devices: what its mesh needs, to the byte, and nothing else."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

C, V, T, B, LAYERS = 256, 1024, 64, 16, 3
F32 = 4
SMALL = 60_000  # bytes: norms, biases, positions, sums and counts; an activation or a matrix is more

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
    """{(kind, devices of a group, what it is for): bytes a device sends in a step}, of all that are not small."""
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(mesh)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = Counter()
    for kind, name, count, ways in json.loads(done.stdout):
        found[kind, ways, purpose(name)] += count
    return {key: round(count) for key, count in found.items() if count > SMALL}


def purpose(name):
    """What an operation works on, by its path of modules."""
    if "btv" in name or "unembedding" in name:
        return "logits"
    if "_embed" in name:
        return "embedding"
    if "/attention/" in name:
        return "keys and values"
    return "layers" if "blocks" in name else "rest"


def ring(count, ways):
    """Bytes a device sends to gather `count` bytes, or to scatter their sum, over a ring; a reduction takes both."""
    return count * (ways - 1) / ways


MATRICES = LAYERS * 12 * C * C * F32  # query, key, value and out, and the MLP's two of four widths
TABLE = V * C * F32
ACTIVATION = B * T * C * F32  # the whole batch's at one place


@pytest.fixture(scope="module")
def sharded():
    return collectives({"fsdp": 8})


def test_sharded_data_parallel_gathers_weights_and_reduces_gradients_only(sharded):
    assert sharded == {
        ("all-gather", 8, "layers"): 2 * ring(MATRICES, 8),  # forward, and again backward under remat
        ("all-gather", 8, "logits"): ring(TABLE, 8),
        ("all-to-all", 8, "embedding"): 2 * ring(ACTIVATION / 8, 8),
        ("all-reduce", 8, "layers"): pytest.approx(2 * ring(MATRICES, 8), rel=0.01),  # with the biases' and norms'
        ("all-reduce", 8, "logits"): pytest.approx(2 * ring(TABLE, 8), rel=0.01),
    }


def test_copies_reduce_gradients_only():
    sent = collectives({"data": 8, "fsdp": 1})
    assert {key[:2] for key in sent} == {("all-reduce", 8)}
    assert sum(sent.values()) == pytest.approx(2 * ring(MATRICES + TABLE, 8), rel=0.3)  # the table is reduced twice


def test_tensor_parallel_sums_activations_and_gathers_neither_logits_nor_weights():
    assert collectives({"fsdp": 1, "model": 8}) == {
        # Forward out and down; out again under remat; backward up, and query, key and value each.
        ("all-reduce", 8, "layers"): LAYERS * 7 * 2 * ring(ACTIVATION, 8),
        ("all-reduce", 8, "embedding"): 2 * ring(ACTIVATION, 8),
        ("all-reduce", 8, "logits"): 2 * ring(ACTIVATION, 8),  # of the hidden states' gradient
    }


def test_split_sequences_exchange_keys_and_values_alone(sharded):
    sent = collectives({"fsdp": 4, "sequence": 2})
    part = B / 4 * T * C * F32  # one device's keys of whole sequences
    # Forward, and again under remat; the rest are document numbers.
    assert sent.pop(("all-gather", 2, "keys and values")) == pytest.approx(2 * LAYERS * 2 * ring(part, 2), rel=0.01)
    assert sent.pop(("all-reduce", 2, "keys and values")) == LAYERS * 2 * 2 * ring(part, 2)
    for ways in (2, 4):
        assert sent.pop(("all-to-all", ways, "embedding")) == 2 * ring(ACTIVATION / 8, ways)
    alike = {key: count for key, count in sharded.items() if key[0] != "all-to-all"}
    assert sent == pytest.approx(alike, rel=0.01)  # biases are reduced with the gradients there, and apart here
