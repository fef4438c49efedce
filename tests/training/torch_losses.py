"""Writes torch_losses.json: the losses of a GPT that is written and trained with PyTorch, at every step.

It needs only NumPy and PyTorch: python -m tests.training.torch_losses. Written from the papers on GPT-2 and GPT-3:
documents that are packed into a sequence do not see each other, and each has positions from 0.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tests.training import made_gpt as made

FILE = Path(__file__).with_name("torch_losses.json")


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, values: dict, number: int) -> None:
        """values: from made_gpt.parameters()."""
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(made.WIDTH), nn.LayerNorm(made.WIDTH)])
        self.linear = nn.ModuleDict()
        for name in ("query", "key", "value", "out", "up", "down"):
            kernel = torch.from_numpy(values[name][number])
            layer = self.linear[name] = nn.Linear(*kernel.shape)
            layer.weight.data.copy_(kernel.T)
            layer.bias.data.zero_()

    def forward(self, x, seen):
        """x: [B, T, C]; seen: whether a token sees another, [B, 1, T, T]."""
        h = self.norms[0](x)
        query, key, value = (
            self.linear[name](h).unflatten(-1, (made.HEADS, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~seen, -math.inf).softmax(-1)
        x = x + self.linear["out"]((weights @ value).transpose(1, 2).flatten(2))
        h = F.gelu(self.linear["up"](self.norms[1](x)), approximate="tanh")
        return x + self.linear["down"](h)


class Model(nn.Module):
    """The whole model; its output layer is the table of token embeddings."""

    def __init__(self) -> None:
        """With the parameters of made_gpt."""
        super().__init__()
        values = made.parameters()
        self.token, self.position = (nn.Parameter(torch.from_numpy(values[name])) for name in ("token", "position"))
        self.layers = nn.ModuleList([Layer(values, number) for number in range(made.LAYERS)])
        self.norm = nn.LayerNorm(made.WIDTH)

    def forward(self, tokens):
        """[B, T + 1] -> the mean loss of the targets that are not padding."""
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        document = (inputs == made.EOT).cumsum(1)
        index = torch.arange(inputs.shape[1])
        start = torch.where(inputs == made.EOT, index, 0).cummax(1).values
        same = document[:, :, None] == document[:, None, :]
        seen = (same & (index[:, None] >= index[None, :]))[:, None]
        x = self.token[inputs] + self.position[index - start]
        for layer in self.layers:
            x = layer(x, seen)
        losses = F.cross_entropy((self.norm(x) @ self.token.T).flatten(0, 1), targets.flatten(), reduction="none")
        counts = ~((inputs == made.EOT) & (targets == made.EOT)).flatten()
        return losses[counts].mean()


def rate(step: int) -> float:
    """The learning rate of a step, from 0: linear warm-up from peak / (warm-up + 1), then cosine decay."""
    first = made.RATE / (made.WARMUP + 1)
    if step < made.WARMUP:
        return first + (made.RATE - first) * step / made.WARMUP
    done = (step - made.WARMUP) / (made.STEPS - made.WARMUP)
    return made.RATE * ((1 - made.FINAL) * 0.5 * (1 + math.cos(math.pi * done)) + made.FINAL)


def losses() -> list[float]:
    """The loss of every step, before its update."""
    model = Model()
    groups = [
        {"params": [p for p in model.parameters() if (p.ndim > 1) == decays], "weight_decay": made.DECAY * decays}
        for decays in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, betas=made.BETAS, eps=1e-8)
    found = []
    for step, tokens in enumerate(made.batches()):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = model(torch.from_numpy(tokens))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), made.CLIP)
        optimizer.step()
        found.append(loss.item())
    return found


if __name__ == "__main__":
    rounded = [round(loss, 6) for loss in losses()]
    FILE.write_text(json.dumps({"torch": torch.__version__, "losses": rounded}, indent=None) + "\n")
