"""Causal attention over a packed batch, by the kernel that suits the platform: splash, cuDNN or XLA."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from codex_jax.config import Attention
from codex_jax.errors import InputError
from codex_jax.model.attention import attend, attend_packed, mask_of_packed
from codex_jax.model.remat import SAVED_ATTENTION
from codex_jax.parallel.mesh import AXES, RULES, platform_of

Array = jax.Array

LANES = 128  # splash's blocks are multiples of it
BLOCKS = (512, 256, 128)  # tokens: splash's tiles, the largest that divides the sequence
# In the names of splash's kernels in a compiled program, by which codex_jax.planning recognizes them.
SPLASH_FORWARD, SPLASH_DQ, SPLASH_DKV = "fwd", "dq", "dkv"
CUDNN_HEAD = 128  # the largest head of its fused attention before Hopper
AMPERE = 8  # compute capability 8.0, its least


def chosen(
    attention: Attention, platform: str, dtype: Any, length: int, head_dim: int
) -> Literal["xla", "splash", "cudnn"]:
    """What auto means here, or the one asked for; InputError where the platform lacks it."""
    if attention == "auto":
        if platform == "tpu":
            return "splash"
        return "cudnn" if platform == "gpu" and _cudnn_takes(dtype, length, head_dim) else "xla"
    if attention == "cudnn" and platform != "gpu":
        raise InputError(f"--model.attention cudnn needs an NVIDIA GPU, and this runs on {platform}: auto chooses")
    if attention == "splash" and platform not in ("tpu", "cpu"):
        raise InputError(f"--model.attention splash needs a TPU, and this runs on {platform}: auto chooses")
    return attention


def _cudnn_takes(dtype: Any, length: int, head_dim: int) -> bool:
    # ROCm's capability is a name such as gfx90a, and older NVIDIA cards (T4) have no fused kernel: XLA for both.
    major = str(getattr(jax.devices()[0], "compute_capability", "")).split(".")[0]
    fits = length % 2 == 0 and head_dim % 8 == 0 and head_dim <= CUDNN_HEAD
    return fits and dtype == jnp.bfloat16 and major.isdecimal() and int(major) >= AMPERE


def attention(
    query_BTHD: Array,
    key_BTHD: Array,
    value_BTHD: Array,
    segment_ids_BT: Array,
    window: int = 0,
    implementation: Attention = "auto",
    mesh: Mesh | AbstractMesh | None = None,
    banded: Array | None = None,
) -> Array:
    """-> [B, T, H, D]: each token over its document's tokens so far, the last `window` of them where that is not 0.

    banded: bool [], whether the window counts (None: it does), for one program that serves both kinds of layer.
    """
    qkv = query_BTHD, key_BTHD, value_BTHD
    platform = platform_of(mesh)
    length, _, head_dim = query_BTHD.shape[1:]
    kernel = chosen(implementation, platform, query_BTHD.dtype, length, head_dim)
    if kernel == "xla":
        reach: int | Array = window or length
        if banded is not None:
            reach = jnp.where(banded, reach, length)
        if mesh is not None and mesh.shape["sequence"] > 1:
            # Blocks of queries would be of one device each.
            out = attend(*qkv, mask_of_packed(segment_ids_BT, reach if window else None))
        else:
            out = attend_packed(*qkv, segment_ids_BT, reach if window else None)
        return checkpoint_name(out, SAVED_ATTENTION)

    def run(window: int) -> Any:
        if kernel == "cudnn":
            return lambda q, k, v, ids: checkpoint_name(cudnn(q, k, v, ids, window), SAVED_ATTENTION)
        return lambda q, k, v, ids: splash(q, k, v, ids, window, platform != "tpu", mesh)

    if banded is None or not window:
        return run(window)(*qkv, segment_ids_BT)
    # Not a choice between masks: the banded branch also visits fewer blocks.
    return jax.lax.cond(banded, run(window), run(0), *qkv, segment_ids_BT)


def cudnn(
    query: Array, key: Array, value: Array, segment_ids: Array, window: int, implementation: Any = "cudnn"
) -> Array:
    """cuDNN's fused attention; it shards itself over a mesh. implementation: "xla" for its meaning on a CPU."""
    same = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]
    local = (window - 1, 0) if window else None
    return jax.nn.dot_product_attention(
        query, key, value, mask=same, is_causal=True, local_window_size=local, implementation=implementation
    )


def splash(
    query: Array,
    key: Array,
    value: Array,
    segment_ids: Array,
    window: int,
    interpret: bool,
    mesh: Mesh | AbstractMesh | None = None,
) -> Array:
    """Splash attention under shard_map: a device's heads, and its part of the queries over all keys of a sequence.

    Sequences are padded until each device's part is a multiple of 128.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention as sa  # slow to import, and only TPUs need it

    shape = dict(mesh.shape) if mesh is not None else dict.fromkeys(AXES, 1)
    batch, length, heads, head_dim = query.shape
    # What does not divide (the one row that a model is initialised with) every device computes.
    split_batch = RULES["batch"] if batch % (shape["data"] * shape["fsdp"]) == 0 else None
    split_heads = "model" if heads % shape["model"] == 0 else None
    parts = shape["sequence"]
    pad = -length % (LANES * parts)
    padded = length + pad
    whole = (padded, padded)
    mask = sa.LocalMask(whole, (window - 1, 0), 0) if window else sa.CausalMask(whole)
    block = next(size for size in BLOCKS if padded // parts % size == 0)
    kernel = sa.make_splash_mha(
        sa.MultiHeadMask([mask] * heads),
        block_sizes=sa.BlockSizes(*(block,) * 8),
        head_shards=shape["model"] if split_heads else 1,
        q_seq_shards=parts,
        residual_checkpoint_name=SAVED_ATTENTION,
        interpret=interpret,
    )

    def rows(x: Array) -> Array:
        return jnp.pad(x, ((0, 0), (0, pad), (0, 0), (0, 0))).swapaxes(1, 2)

    def local(kernel: Any, q: Array, k: Array, v: Array, q_ids: Array, kv_ids: Array) -> Array:
        return jax.vmap(lambda q, k, v, *ids: kernel(q, k, v, segment_ids=sa.SegmentIds(*ids)))(q, k, v, q_ids, kv_ids)

    # Padding is a document of its own: no real token sees it, and its gradient is of zeros.
    ids = jnp.pad(segment_ids, ((0, 0), (0, pad)), constant_values=-1)
    operands = kernel, rows(query * head_dim**-0.5), rows(key), rows(value), ids, ids
    if mesh is None:
        out = local(*operands)
    else:
        queries = PartitionSpec(split_batch, split_heads, "sequence", None)
        keys = PartitionSpec(split_batch, split_heads, None, None)
        masks = kernel.manual_sharding_spec(NamedSharding(mesh, PartitionSpec(split_heads, "sequence")))
        segments = PartitionSpec(split_batch, "sequence"), PartitionSpec(split_batch, None)
        specs = (masks, queries, keys, keys, *segments)
        out = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=queries, check_vma=False)(*operands)
    return out.swapaxes(1, 2)[:, :length].astype(value.dtype)
