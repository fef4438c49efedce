"""Which settings of a run may change when it is resumed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from codex_jax.config import SPEED, ModelConfig, TrainConfig, differences
from codex_jax.errors import InputError

# Settings, and groups of settings, that change the length, the speed or the observation of a run.
MAY_CHANGE = (
    "name",
    "run_dir",
    "topology",
    "hosts.",
    "mesh.",
    "steps",
    "accumulation",
    "loss_chunks",
    "log_every",
    "eval_every",
    "eval_batches",
    "checkpoint_every",
    "keep_checkpoints",
    "keep_every",
    "guards.",
    "trials.",
    "patience",
    "wandb",
    "model.remat",
    "model.unroll",
    "model.attention",
    "optimizer.offload",
)
UNRECORDED = ("run_dir", "hosts.")  # of the machines and not of the run
MODEL = tuple(
    f"model.{item.name}" for item in dataclasses.fields(ModelConfig) if item.name not in SPEED
)  # never changes


def flag(setting: str) -> str:
    """optimizer.peak_learning_rate -> --optimizer.peak-learning-rate."""
    return f"--{setting.replace('_', '-')}"


def setting_named(name: str) -> str:
    """The setting that --override names, with or without dashes; InputError if there is none."""
    setting = name.removeprefix("--").replace("-", "_")
    value: Any = TrainConfig()
    for part in setting.split("."):
        value = getattr(value, part, None)
    if value is None or hasattr(value, "__dataclass_fields__"):
        raise InputError(f"--override {name}: no such setting: name one such as batch-size or data.path")
    return setting


def changed_settings(
    saved: TrainConfig, wanted: TrainConfig, override: Sequence[str] = (), same_data: bool = False
) -> dict[str, list[Any]]:
    """Setting -> [value of the run, new value], for those that differ.

    override: names of settings that may change too. same_data: whether both paths hold the same records.
    InputError, which names the settings, for others that differ.
    """
    before, after = differences(wanted, saved), differences(saved, wanted)
    allowed = {setting_named(name) for name in override} | ({"data.path"} if same_data else set())
    fixed = [name for name in after if name in MODEL]
    if fixed:
        listed = ", ".join(f"{flag(name)} {before[name]}, not {after[name]}" for name in fixed)
        raise InputError(f"{wanted.folder} was trained with another model: it has {listed}")
    refused = [name for name in after if name not in allowed and not _is_listed(name, MAY_CHANGE)]
    if refused:
        listed = ", ".join(f"{flag(name)} {before[name]!r}, not {after[name]!r}" for name in refused)
        overrides = " ".join(f"--override {name.replace('_', '-')}" for name in refused)
        raise InputError(
            f"{wanted.folder} was started with {listed}: leave this out, as in python -m codex_jax.train "
            f"--resume {wanted.folder}, or change it with {overrides}"
        )
    return {name: [before[name], after[name]] for name in after if not _is_listed(name, UNRECORDED)}


def _is_listed(setting: str, names: Sequence[str]) -> bool:
    return any(setting == name or (name.endswith(".") and setting.startswith(name)) for name in names)
