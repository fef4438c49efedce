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
from codex_jax.model.context import pack
from codex_jax.model.gpt import GPT, init_params
from codex_jax.model.kernels import choose_kernel, cudnn, packed_attention
from tests.model.made import make_params
from tests.model.reference import attention as reference
from tests.model.reference import attention_gradients, forward

SHAPE = (2, 160, 2, 16)  # not a multiple of splash's 128
WINDOWS = [0, 1, 40, 160]


def attention(kernel, query, key, value, segment_ids, window):
    if kernel == "cudnn":  # cuDNN itself needs a GPU: the same function on XLA
        return cudnn(query, key, value, jnp.asarray(segment_ids), 16**-0.5, window, implementation="xla")
    config = ModelConfig(layers=2, width=32, heads=2, attention=kernel, window=40)
    return packed_attention(config, query, key, value, jnp.asarray(segment_ids), window)


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    query, key, value, cotangent = (rng.normal(size=SHAPE).astype(np.float32) for _ in range(4))
    segment_ids = np.cumsum(rng.random(SHAPE[:2]) < 0.02, axis=1).astype(np.int32)
    return query, key, value, segment_ids, cotangent


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kernel", ["xla", "splash", "cudnn"])
def test_agrees_with_float64_reference_forward_and_gradient(kernel, window):
    *args, cotangent = arrays()
    out, pull = jax.vjp(lambda q, k, v: attention(kernel, q, k, v, args[3], window), *args[:3])
    np.testing.assert_allclose(out, reference(*args, window), atol=3e-6)
    for actual, expected in zip(pull(cotangent), attention_gradients(*args, window, cotangent), strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize("kernel", ["xla", "splash"])
def test_one_compiled_program_serves_layers_with_and_without_a_window(kernel):
    *args, _ = arrays()
    run = jax.jit(lambda window: attention(kernel, *args, window))
    np.testing.assert_allclose(run(40), reference(*args, 40), atol=3e-6)
    np.testing.assert_allclose(run(0), reference(*args, 0), atol=3e-6)


def test_the_reference_gradient_agrees_with_finite_differences():
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


def test_auto_chooses_the_kernel_of_the_platform():
    assert choose_kernel("auto", "cpu", jnp.float32, 256, 64) == "xla"
    assert choose_kernel("auto", "tpu", jnp.bfloat16, 256, 64) == "splash"
    assert choose_kernel("auto", "gpu", jnp.float32, 256, 64) == "xla"  # cuDNN has no float32
    assert choose_kernel("xla", "tpu", jnp.float32, 256, 64) == "xla"
    with pytest.raises(InputError, match="attention cudnn needs an NVIDIA GPU"):
        choose_kernel("cudnn", "cpu", jnp.bfloat16, 256, 64)
    with pytest.raises(InputError, match="attention splash needs a TPU"):
        choose_kernel("splash", "gpu", jnp.bfloat16, 256, 64)


@pytest.mark.parametrize(
    ("capability", "kernel"), [("9.0", "cudnn"), ("8.0", "cudnn"), ("7.5", "xla"), ("gfx90a", "xla")]
)
def test_auto_uses_xla_on_gpus_without_the_fused_kernel(monkeypatch, capability, kernel):
    device = type("Device", (), {"compute_capability": capability})()
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert choose_kernel("auto", "gpu", jnp.bfloat16, 256, 64) == kernel
    assert choose_kernel("auto", "gpu", jnp.bfloat16, 255, 64) == "xla"


CONFIG = ModelConfig(layers=3, width=32, heads=4, context=40, vocab_size=64, window=6)


@pytest.fixture(scope="module")
def params():
    return make_params(CONFIG)


@partial(jax.jit, static_argnums=2)
def logits(params, tokens, config=CONFIG):
    return GPT(config).apply({"params": params}, tokens, pack(tokens, 0))


@pytest.mark.parametrize(
    "settings", [{}, {"attention": "splash"}, {"remat": "full", "attention": "splash"}, {"unroll": 3}]
)
def test_a_model_with_windows_agrees_with_float64_reference(params, settings):
    document = np.concatenate([[0], np.random.default_rng(0).integers(1, 64, 29)])
    actual, _ = logits(params, jnp.asarray(document)[None], dataclasses.replace(CONFIG, **settings))
    expected = forward(jax.tree.map(np.asarray, params), document, CONFIG.heads, CONFIG.window)
    np.testing.assert_allclose(actual[0], expected, atol=1e-5 * np.abs(expected).max(), rtol=1e-5)
    without_window = forward(jax.tree.map(np.asarray, params), document, CONFIG.heads)
    assert np.abs(expected - without_window).max() > 0.1


def test_a_window_does_not_change_the_parameter_tree(params):
    tree = nn.meta.unbox(init_params(dataclasses.replace(CONFIG, window=0), jax.random.key(0)))
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
def test_invalid_settings_are_refused(settings, message):
    config = TrainConfig(model=ModelConfig(**settings), data=DataConfig(path="x"))
    with pytest.raises(InputError, match=re.escape(message)):
        validate(config)


PROGRAM = """
import json, sys
import flax.linen as nn, jax, jax.numpy as jnp, numpy as np
from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.model.context import pack
from codex_jax.model.gpt import GPT, init_params
from codex_jax.parallel.mesh import make_mesh

mesh = make_mesh(MeshConfig(**json.loads(sys.argv[1])))
config = ModelConfig(layers=2, width=32, heads=2, context=256, vocab_size=64, window=24)
tokens = jnp.asarray(np.random.default_rng(0).integers(0, 64, (4, 256)), jnp.int32)
params = nn.meta.unbox(init_params(config, jax.random.key(0)))
params, grads = jax.tree.map(lambda x: 3 * x, params), {}
with jax.set_mesh(mesh):
    for attention in ("xla", "splash"):
        model = GPT(ModelConfig(**{**config.__dict__, "attention": attention}))
        loss = lambda p: (model.apply({"params": p}, tokens, pack(tokens, 0))[0] ** 2).mean()
        program = jax.jit(jax.grad(loss))
        assert ("shard_map" in str(program.trace(params).jaxpr)) == (attention == "splash")
        grads[attention] = program(params)
# The bias of keys shifts all scores of a query equally: its gradient is only rounding error.
for grad in grads.values():
    del grad["blocks"]["key"]["bias"]
pairs = zip(jax.tree.leaves(grads["xla"]), jax.tree.leaves(grads["splash"]))
print(json.dumps([max(float(jnp.abs(a - b).max() / jnp.abs(a).max()) for a, b in pairs)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [{"data": 2, "fsdp": 2, "model": 2}, {"fsdp": 2, "sequence": 2, "model": 2}])
def test_splash_on_a_mesh_of_eight_has_the_gradient_of_xla(mesh):
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(mesh)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)[0] < 1e-5
