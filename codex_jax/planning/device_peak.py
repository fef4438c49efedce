"""The peak speed of the devices that a run trains on, for its MFU."""

import re
import time

import jax
import jax.numpy as jnp

from codex_jax.planning.chips import CHIPS

# bfloat16 FLOP/s without sparsity, from NVIDIA's data sheets.
GPUS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12, "T4": 65e12}
TPUS = {"TPU v3": "v3", "TPU v4": "v4", "TPU v5 lite": "v5e", "TPU v5": "v5p", "TPU v5p": "v5p", "TPU v6 lite": "v6e"}
SIZE = 1024  # of the matrices whose product is timed on a device that is not listed


def peak_flops(device: jax.Device) -> float:
    """FLOP/s of matrix products: of the data sheet or, for a CPU or an unknown device, the best of some products."""
    if device.device_kind in TPUS:
        chip = CHIPS[TPUS[device.device_kind]]
        return chip.peak_flops / chip.cores
    words = re.split(r"[ -]", device.device_kind)  # such as NVIDIA A100-SXM4-80GB
    return next((peak for name, peak in GPUS.items() if name in words), None) or _measured(device)


def _measured(device: jax.Device) -> float:
    matrix = jax.device_put(jnp.ones((SIZE, SIZE)), device)
    multiply = jax.jit(jnp.matmul)
    multiply(matrix, matrix).block_until_ready()
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        multiply(matrix, matrix).block_until_ready()
        seconds.append(time.monotonic() - began)
    return 2.0 * SIZE**3 / min(seconds)
