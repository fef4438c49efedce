"""The PyTorch process of bench_train.py: the same GPT, compiled by torch.compile.

It needs only PyTorch and NumPy, so that it can run in a separate environment. It computes the same as codex_jax:
pre-LayerNorm, tanh-approximated GELU, learned positions, tied embeddings, causal attention, clipping by global norm,
and AdamW with weight decay on matrices only. Attention and AdamW are PyTorch's fused kernels.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

INIT_STD = 0.02


class Block(nn.Module):
    """One transformer layer."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        """Initializes the weights as codex_jax does."""
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        residual = INIT_STD / (2 * layers) ** 0.5
        for linear, std in ((self.qkv, INIT_STD), (self.out, residual), (self.up, INIT_STD), (self.down, residual)):
            nn.init.normal_(linear.weight, std=std)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        batch, length, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(out.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x)), approximate="tanh"))


class GPT(nn.Module):
    """The whole model."""

    def __init__(self, layers: int, width: int, heads: int, length: int, vocab: int) -> None:
        """length: number of positions."""
        super().__init__()
        self.token, self.position = nn.Embedding(vocab, width), nn.Embedding(length, width)
        for embedding in (self.token, self.position):
            nn.init.normal_(embedding.weight, std=INIT_STD)
        self.blocks = nn.ModuleList([Block(width, heads, layers) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """int64 [B, T] each -> mean loss in nats."""
        x = self.token(inputs) + self.position.weight[: inputs.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.token.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def main(settings: dict) -> None:
    """settings: from bench_train.py. Prints a line of facts once compiled; then for each line read, the step times."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    device = {"cpu": "cpu", "gpu": "cuda"}[settings["device"]]
    sizes = (settings[name] for name in ("layers", "width", "heads", "length", "vocab"))
    model = GPT(*sizes).to(device)
    compiled = torch.compile(model)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), fused=True)
    rows = np.random.default_rng(0).integers(1, settings["vocab"], (settings["batch_size"], settings["length"] + 1))
    tokens = torch.from_numpy(rows).to(device)
    parts = settings["torch_accumulation"]
    pairs = [(part[:, :-1].contiguous(), part[:, 1:].contiguous()) for part in tokens.chunk(parts)]

    def step() -> float:
        total = 0.0
        for inputs, targets in pairs:
            with torch.autocast(device, torch.bfloat16, enabled=settings["dtype"] == "bfloat16"):
                loss = compiled(inputs, targets) / parts
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    losses = [step() for _ in range(settings["warmup"])]
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"parameters": parameters, "losses": losses, "version": torch.__version__}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter(), time.process_time()
        for _ in range(settings["steps"]):
            # Reading the loss waits for the device. The time includes the update before the first step, not the last.
            step()
        times = {"seconds": time.perf_counter() - began[0], "core_seconds": time.process_time() - began[1]}
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
