"""Rematerialization: what each policy saves in a layer's forward pass, and what the backward pass recomputes."""

from dataclasses import dataclass
from typing import NamedTuple

from codex_jax.config import RematPolicy

SAVED_ATTENTION = "attention"  # checkpoint name of attention's output (for splash, of its log-sum-exp too)


class Widths(NamedTuple):
    """Activations of one token in one layer, in multiples of the model's width."""

    heads: int  # queries, keys, values and attention's output: split over the model axis, padded if heads are narrow
    split: int  # other activations that are split over the model axis
    whole: int  # activations that are whole on every device of the model axis


@dataclass(frozen=True)
class Remat:
    """One rematerialization policy."""

    names: tuple[str, ...]  # checkpoint names (jax.ad_checkpoint.checkpoint_name) of what is saved besides the input
    widths: Widths  # size of all that is saved, the layer's input included
    linear_layers: tuple[str, ...] = ()  # linear layers whose products the backward pass recomputes
    attention: bool = False  # whether the backward pass recomputes attention


REMAT: dict[RematPolicy, Remat] = {
    "full": Remat((), Widths(0, 0, 1), ("query", "key", "value", "out", "up"), attention=True),
    "attention": Remat((SAVED_ATTENTION,), Widths(1, 0, 1), ("query", "key", "value", "out", "up")),
    "qkv": Remat((SAVED_ATTENTION, "qkv"), Widths(4, 0, 1), ("out", "up")),
    "dots": Remat(("qkv", "out", "up"), Widths(3, 4, 2), attention=True),
    "dots_attention": Remat((SAVED_ATTENTION, "qkv", "out", "up"), Widths(4, 4, 2)),
    # Nothing is rematerialized, so names do not matter. Norms are in float32, and parts of GELU are saved too.
    "none": Remat((), Widths(4, 21, 18)),
}
