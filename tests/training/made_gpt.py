"""Initial parameters and batches from NumPy alone, for training a GPT here and in PyTorch (torch_losses.py)."""

import numpy as np

LAYERS, WIDTH, HEADS, CONTEXT, VOCAB = 2, 32, 4, 24, 64
EOT = 0
INIT_STD = 0.02  # of our own initial parameters
STEPS, BATCH = 200, 8
RATE, WARMUP, FINAL, CLIP, DECAY, BETAS = 3e-3, 20, 0.1, 1.0, 0.1, (0.9, 0.95)


def parameters():
    """{name: float32 array}; kernels of the layers are [layer, input, output]."""
    random = np.random.default_rng(0)
    inner = {"query": (WIDTH, WIDTH), "key": (WIDTH, WIDTH), "value": (WIDTH, WIDTH), "out": (WIDTH, WIDTH)}
    inner |= {"up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}
    made = {name: random.normal(0, 0.05, (LAYERS, *shape)) for name, shape in inner.items()}
    made |= {"token": random.normal(0, 0.05, (VOCAB, WIDTH)), "position": random.normal(0, 0.05, (CONTEXT, WIDTH))}
    return {name: value.astype(np.float32) for name, value in made.items()}


def batches():
    """STEPS arrays of tokens, [BATCH, CONTEXT + 1]: random walks, so that there is something to learn, in documents."""
    random = np.random.default_rng(1)
    for _ in range(STEPS):
        walk = 1 + np.cumsum(random.integers(1, 4, (BATCH, CONTEXT + 1)), axis=1) % (VOCAB - 1)
        walk[random.random(walk.shape) < 0.08] = EOT
        walk[:, -3:][random.random(BATCH) < 0.3] = EOT  # padding
        yield walk.astype(np.int64)
