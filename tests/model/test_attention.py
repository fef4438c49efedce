import dataclasses
import json
import os
import re
import subprocess
import sys
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import DataConfig, ModelConfig, TrainConfig, validate
from codex_jax.errors import InputError
from codex_jax.model.gpt import GPT, segments_and_positions
from codex_jax.model.kernels import attention, chosen, cudnn
from tests.model.made import make_params
from tests.model.reference import attention as reference
from tests.model.reference import attention_gradients, forward

SHAPE = (2, 160, 2, 16)  # not a multiple of splash's 128
WINDOWS = [0, 1, 40, 160]
WAYS = {
    "xla": partial(attention, implementation="xla"),
    "splash": partial(attention, implementation="splash"),
    # cuDNN itself needs a GPU: here what we ask of it, by the same function's own XLA.
    "cudnn": partial(cudnn, implementation="xla"),
}


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    query, key, value, cotangent = (rng.normal(size=SHAPE).astype(np.float32) for _ in range(4))
    segment_ids = np.cumsum(rng.random(SHAPE[:2]) < 0.02, axis=1).astype(np.int32)
    return query, key, value, segment_ids, cotangent


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("way", WAYS)
def test_agrees_with_float64_reference_forward_and_gradient(way, window):
    *args, cotangent = arrays()
    ours = partial(WAYS[way], window=window)
    out, pull = jax.vjp(lambda q, k, v: ours(q, k, v, jnp.asarray(args[3])), *args[:3])
    np.testing.assert_allclose(out, reference(*args, window), atol=3e-6)
    for mine, theirs in zip(pull(cotangent), attention_gradients(*args, window, cotangent), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)


@pytest.mark.parametrize("way", ["xla", "splash"])
def test_a_flag_says_whether_the_window_counts(way):
    *args, _ = arrays()
    run = jax.jit(lambda banded: WAYS[way](*args, 40, banded=banded))
    np.testing.assert_allclose(run(True), reference(*args, 40), atol=3e-6)
    np.testing.assert_allclose(run(False), reference(*args, 0), atol=3e-6)


def test_the_reference_gradient_is_the_slope_of_the_reference():
    *args, cotangent = arrays()
    args = [a[:1, :12] for a in args]
    args[3][:, 7:] += 1
    gradients = attention_gradients(*args, 4, cotangent[:1, :12])
    for n, gradient in enumerate(gradients):
        direction = np.random.default_rng(n).normal(size=gradient.shape)
        sums = []
        for step in (1e-5, -1e-5):
            moved = [a + step * direction if i == n else a for i, a in enumerate(args)]
            sums.append((reference(*moved, 4) * cotangent[:1, :12]).sum())
        assert (sums[0] - sums[1]) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-6)


def test_auto_chooses_by_platform():
    assert chosen("auto", "cpu", jnp.float32, 256, 64) == "xla"
    assert chosen("auto", "tpu", jnp.bfloat16, 256, 64) == "splash"
    assert chosen("auto", "gpu", jnp.float32, 256, 64) == "xla"  # cuDNN has no float32
    assert chosen("xla", "tpu", jnp.float32, 256, 64) == "xla"
    with pytest.raises(InputError, match="attention cudnn needs an NVIDIA GPU"):
        chosen("cudnn", "cpu", jnp.bfloat16, 256, 64)
    with pytest.raises(InputError, match="attention splash needs a TPU"):
        chosen("splash", "gpu", jnp.bfloat16, 256, 64)


@pytest.mark.parametrize(
    ("capability", "kernel"), [("9.0", "cudnn"), ("8.0", "cudnn"), ("7.5", "xla"), ("gfx90a", "xla")]
)
def test_auto_leaves_gpus_without_a_fused_kernel_to_xla(monkeypatch, capability, kernel):
    device = type("Device", (), {"compute_capability": capability})()
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert chosen("auto", "gpu", jnp.bfloat16, 256, 64) == kernel
    assert chosen("auto", "gpu", jnp.bfloat16, 255, 64) == "xla"


CONFIG = ModelConfig(layers=3, width=32, heads=4, context=40, vocab_size=64, window=6)


@pytest.fixture(scope="module")
def params():
    return make_params(CONFIG)


@partial(jax.jit, static_argnums=2)
def logits(params, tokens, config=CONFIG):
    return GPT(config).apply({"params": params}, tokens, *segments_and_positions(tokens, 0))


@pytest.mark.parametrize("how", [{}, {"attention": "splash"}, {"remat": "full", "attention": "splash"}, {"unroll": 3}])
def test_alternating_layers_agree_with_float64_reference(params, how):
    document = np.concatenate([[0], np.random.default_rng(0).integers(1, 64, 29)])
    ours, _ = logits(params, jnp.asarray(document)[None], dataclasses.replace(CONFIG, **how))
    theirs = forward(jax.tree.map(np.asarray, params), document, CONFIG.heads, CONFIG.window)
    np.testing.assert_allclose(ours[0], theirs, atol=1e-5 * np.abs(theirs).max(), rtol=1e-5)
    dense = forward(jax.tree.map(np.asarray, params), document, CONFIG.heads)
    assert np.abs(theirs - dense).max() > 0.1


def test_a_window_leaves_the_parameters_as_they_were(params):
    tokens = jnp.zeros((1, 4), jnp.int32)
    plain = dataclasses.replace(CONFIG, window=0)
    tree = nn.meta.unbox(GPT(plain).init(jax.random.key(0), tokens, tokens, tokens))["params"]
    assert jax.tree.map(jnp.shape, tree) == jax.tree.map(jnp.shape, params)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "flash"}, "--model.attention must be one of auto, xla, splash, cudnn, not 'flash'"),
        ({"attention": "cudnn"}, "--model.attention cudnn needs --model.compute-dtype bfloat16"),
        ({"window": -1}, "--model.window must be from 0 to --model.context 2048, not -1"),
        ({"window": 2049}, "--model.window must be from 0 to --model.context 2048, not 2049"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    config = TrainConfig(model=ModelConfig(**settings), data=DataConfig(path="x"))
    with pytest.raises(InputError, match=re.escape(message)):
        validate(config)


PROGRAM = """
import json, sys
import flax.linen as nn, jax, jax.numpy as jnp, numpy as np
from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.model.gpt import GPT, segments_and_positions
from codex_jax.parallel.mesh import make_mesh

mesh = make_mesh(MeshConfig(**json.loads(sys.argv[1])))
config = ModelConfig(layers=2, width=32, heads=2, context=256, vocab_size=64, window=24)
tokens = jnp.asarray(np.random.default_rng(0).integers(0, 64, (4, 256)), jnp.int32)
one = jnp.zeros((1, 1), jnp.int32)
params = nn.meta.unbox(GPT(config).init(jax.random.key(0), one, one, one))["params"]
params, grads = jax.tree.map(lambda x: 3 * x, params), {}
with jax.set_mesh(mesh):
    for attention in ("xla", "splash"):
        model = GPT(ModelConfig(**{**config.__dict__, "attention": attention}))
        loss = lambda p: (model.apply({"params": p}, tokens, *segments_and_positions(tokens, 0))[0] ** 2).mean()
        program = jax.jit(jax.grad(loss))
        assert ("shard_map" in str(program.trace(params).jaxpr)) == (attention == "splash")
        grads[attention] = program(params)
# Keys' biases shift all scores of a query alike: their gradient is rounding and nothing else.
for grad in grads.values():
    del grad["blocks"]["key"]["bias"]
pairs = zip(jax.tree.leaves(grads["xla"]), jax.tree.leaves(grads["splash"]))
print(json.dumps([max(float(jnp.abs(a - b).max() / jnp.abs(a).max()) for a, b in pairs)]))
"""


@pytest.mark.parametrize("mesh", [{"data": 2, "fsdp": 2, "model": 2}, {"fsdp": 2, "sequence": 2, "model": 2}])
def test_splash_on_a_mesh_of_eight_has_the_gradient_of_xla(mesh):
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(mesh)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)[0] < 1e-5
