import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.runs.array_digests import digest

TREE = {"a": np.arange(24, dtype=np.float32).reshape(4, 6), "b": {"c": np.array(3, np.int32)}}
MESH = """
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from codex_jax.runs.array_digests import digest
mesh = jax.make_mesh((2, 2), ("x", "y"))
array = jax.device_put(np.arange(24, dtype=np.float32).reshape(4, 6), NamedSharding(mesh, PartitionSpec("x", "y")))
print(digest({"a": array, "b": {"c": jax.numpy.int32(3)}})[0])
"""


def of(tree):
    return digest({"a": jnp.asarray(tree["a"]), "b": {"c": jnp.asarray(tree["b"]["c"])}})[0]


@pytest.mark.parametrize("place", [(0, 0), (2, 5), (3, 1)])
@pytest.mark.parametrize("bit", [0, 22, 31])
def test_one_bit_changes_the_digest(place, bit):
    changed = TREE["a"].copy()
    changed.view(np.uint32)[place] ^= np.uint32(1 << bit)
    assert of({**TREE, "a": changed}) != of(TREE)
    assert of({**TREE, "a": TREE["a"].copy()}) == of(TREE)


def test_the_place_of_a_number_counts():
    swapped = TREE["a"].copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert of({**TREE, "a": swapped}) != of(TREE)
    assert digest({"a": jnp.ones(3)}) != digest({"b": jnp.ones(3)})
    assert digest({"a": jnp.ones(3), "b": jnp.zeros(3)}) != digest({"a": jnp.zeros(3), "b": jnp.ones(3)})


def test_the_layout_over_devices_does_not_count():
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", MESH], env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) == of(TREE)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
@pytest.mark.parametrize("value", [1.0, np.nan, -np.inf])
def test_numbers_that_are_not_finite_are_found(dtype, value):
    if dtype == "int32":
        assert digest({"a": jnp.ones(3, dtype)})[1]
    else:
        assert digest({"a": jnp.array([1.0, value], dtype)})[1] == np.isfinite(value)
