"""Attention over packed documents with the platform's kernel: splash on TPU, cuDNN on NVIDIA GPUs, or XLA.

Arrays are [B, T, H, D]: B sequences, T tokens, H heads, D head size. A window of w limits each token to its last w
tokens, itself included; 0 is no limit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import NamedSharding, PartitionSpec

from codex_jax.config import Attention as AttentionSetting
from codex_jax.config import ModelConfig
from codex_jax.errors import InputError
from codex_jax.model.attention import attend, attend_packed, packed_mask
from codex_jax.model.geometry import layer_windows, score_scale
from codex_jax.model.remat import SAVED_ATTENTION
from codex_jax.parallel.mesh import AXES, RULES, current_mesh, platform

Array = jax.Array

SPLASH_MULTIPLE = 128  # splash needs a multiple of this many tokens
SPLASH_BLOCKS = (512, 256, 128)  # tokens per tile: the largest that divides the sequence is used
# Parts of the names of splash's kernels in a compiled program, by which codex_jax.planning recognizes them.
SPLASH_FORWARD, SPLASH_DQ, SPLASH_DKV = "fwd", "dq", "dkv"
CUDNN_MAX_HEAD = 128  # largest head size of cuDNN's fused attention before Hopper
CUDNN_MIN_CAPABILITY = 8  # first compute capability with fused attention: 8.0 (Ampere)


def choose_kernel(
    setting: AttentionSetting, platform: str, dtype: Any, length: int, head_dim: int
) -> Literal["xla", "splash", "cudnn"]:
    """The kernel for a setting on a platform; InputError if the platform does not have it."""
    if setting == "auto":
        if platform == "tpu":
            return "splash"
        return "cudnn" if platform == "gpu" and _cudnn_supports(dtype, length, head_dim) else "xla"
    if setting == "cudnn" and platform != "gpu":
        raise InputError(f"--model.attention cudnn needs an NVIDIA GPU; this is a {platform}: use auto")
    if setting == "splash" and platform not in ("tpu", "cpu"):
        raise InputError(f"--model.attention splash needs a TPU; this is a {platform}: use auto")
    return setting


def _cudnn_supports(dtype: Any, length: int, head_dim: int) -> bool:
    # ROCm's capability is a name such as gfx90a, and NVIDIA GPUs before Ampere (T4) have no fused kernel.
    major = str(getattr(jax.devices()[0], "compute_capability", "")).split(".")[0]
    shape_fits = length % 2 == 0 and head_dim % 8 == 0 and head_dim <= CUDNN_MAX_HEAD
    return shape_fits and dtype == jnp.bfloat16 and major.isdecimal() and int(major) >= CUDNN_MIN_CAPABILITY


def packed_attention(
    config: ModelConfig, query: Array, key: Array, value: Array, segment_ids_BT: Array, window: Array | int
) -> Array:
    """Attention of tokens to their documents so far; window: int, or int32 [] that is in layer_windows(config)."""
    kernel = choose_kernel(config.attention, platform(), query.dtype, query.shape[1], query.shape[-1])
    scale = score_scale(config)
    if kernel == "xla":
        mesh = current_mesh()
        if mesh is not None and mesh.shape["sequence"] > 1:
            # Not in blocks of queries: each block would be on one device only.
            out = attend(query * scale, key, value, packed_mask(segment_ids_BT, window))
        else:
            out = attend_packed(query * scale, key, value, segment_ids_BT, window)
        return checkpoint_name(out, SAVED_ATTENTION)

    def with_window(window: int) -> Callable[..., Array]:
        if kernel == "splash":
            return partial(splash, scale=scale, window=window)
        run = partial(cudnn, scale=scale, window=window)
        return lambda *operands: checkpoint_name(run(*operands), SAVED_ATTENTION)

    operands = query, key, value, segment_ids_BT
    if isinstance(window, int):
        return with_window(window)(*operands)
    # These kernels need a constant window in order to skip masked keys: there is one branch for each window.
    windows = sorted(set(layer_windows(config)))
    index = jnp.searchsorted(jnp.array(windows), window)
    return jax.lax.switch(index, [with_window(constant) for constant in windows], *operands)


def cudnn(
    query: Array,
    key: Array,
    value: Array,
    segment_ids: Array,
    scale: float,
    window: int,
    implementation: Literal["xla", "cudnn"] = "cudnn",
) -> Array:
    """cuDNN's fused attention, which shards itself over a mesh; implementation "xla" computes the same on a CPU."""
    same_document = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        mask=same_document,
        scale=scale,
        is_causal=True,
        local_window_size=(window - 1, 0) if window else None,
        implementation=implementation,
    )


def splash(query: Array, key: Array, value: Array, segment_ids: Array, scale: float, window: int) -> Array:
    """Splash attention under shard_map: each device has some heads and some queries, and all keys.

    Sequences are padded until each device's part is a multiple of 128 tokens. On a CPU the kernel is interpreted.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention as sa  # slow to import, and only TPUs need it

    mesh = current_mesh()
    mesh_shape = dict(mesh.shape) if mesh is not None else dict.fromkeys(AXES, 1)
    batch, length, heads, _ = query.shape
    # If the mesh does not divide the batch (one row in initialization) or the heads, every device computes all of them.
    batch_axes = RULES["batch"] if batch % (mesh_shape["data"] * mesh_shape["fsdp"]) == 0 else None
    heads_axis = "model" if heads % mesh_shape["model"] == 0 else None
    parts = mesh_shape["sequence"]
    padding = -length % (SPLASH_MULTIPLE * parts)
    padded = length + padding
    square = (padded, padded)
    mask = sa.LocalMask(square, (window - 1, 0), 0) if window else sa.CausalMask(square)
    block = next(size for size in SPLASH_BLOCKS if padded // parts % size == 0)
    kernel = sa.make_splash_mha(
        sa.MultiHeadMask([mask] * heads),
        block_sizes=sa.BlockSizes(*(block,) * 8),
        head_shards=mesh_shape["model"] if heads_axis else 1,
        q_seq_shards=parts,
        residual_checkpoint_name=SAVED_ATTENTION,
        interpret=platform() != "tpu",
    )

    def to_kernel(x: Array) -> Array:  # [B, T, H, D] -> [B, H, T padded, D]
        return jnp.pad(x, ((0, 0), (0, padding), (0, 0), (0, 0))).swapaxes(1, 2)

    def on_device(kernel: Any, q: Array, k: Array, v: Array, q_ids: Array, kv_ids: Array) -> Array:
        return jax.vmap(lambda q, k, v, *ids: kernel(q, k, v, segment_ids=sa.SegmentIds(*ids)))(q, k, v, q_ids, kv_ids)

    # The padding is a separate document: no real token attends to it, and its gradient is zero.
    ids = jnp.pad(segment_ids, ((0, 0), (0, padding)), constant_values=-1)
    operands = kernel, to_kernel(query * scale), to_kernel(key), to_kernel(value), ids, ids
    if mesh is None:
        out = on_device(*operands)
    else:
        queries = PartitionSpec(batch_axes, heads_axis, "sequence", None)
        keys = PartitionSpec(batch_axes, heads_axis, None, None)
        masks = kernel.manual_sharding_spec(NamedSharding(mesh, PartitionSpec(heads_axis, "sequence")))
        segments = PartitionSpec(batch_axes, "sequence"), PartitionSpec(batch_axes, None)
        specs = (masks, queries, keys, keys, *segments)
        out = jax.shard_map(on_device, mesh=mesh, in_specs=specs, out_specs=queries, check_vma=False)(*operands)
    return out.swapaxes(1, 2)[:, :length].astype(value.dtype)
