"""A run folder: config.json, tokenizer/, checkpoints/STEP/ by Orbax. Parameters can be read without the rest."""

import json
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from codex_jax.config import TrainConfig, from_dict, to_json
from codex_jax.errors import InputError
from codex_jax.training.state import TrainState


def open_manager(folder: Path, keep: int | None = None, read_only: bool = False) -> ocp.CheckpointManager:
    """The Orbax manager of folder/checkpoints."""
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=not read_only, read_only=read_only)
    return ocp.CheckpointManager((folder / "checkpoints").absolute(), options=options)


def save(manager: ocp.CheckpointManager, state: TrainState, step: int) -> None:
    """Starts writing; manager.wait_until_finished() waits for it."""
    rest = {"step": state.step, "optimizer": state.optimizer}
    args = ocp.args.Composite(params=ocp.args.StandardSave(state.params), rest=ocp.args.StandardSave(rest))
    manager.save(step, args=args)


def _like(shapes: Any, placed: Any) -> Any:
    return jax.tree.map(lambda s, p: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=p), shapes, placed)


def restore(manager: ocp.CheckpointManager, step: int, shapes: TrainState, placed: TrainState) -> TrainState:
    """The whole state, placed as asked whatever mesh it was saved from."""
    like = _like(shapes, placed)
    rest = {"step": like.step, "optimizer": like.optimizer}
    args = ocp.args.Composite(params=ocp.args.StandardRestore(like.params), rest=ocp.args.StandardRestore(rest))
    read = manager.restore(step, args=args)
    return TrainState(read["rest"]["step"], read["params"], read["rest"]["optimizer"])


def restore_params(folder: Path, shapes: Any, placed: Any) -> tuple[Any, int]:
    """(parameters of the newest checkpoint, its step); InputError where there is none or it does not fit."""
    step = newest_step(folder)
    manager = open_manager(folder, read_only=True)
    try:
        args = ocp.args.Composite(params=ocp.args.StandardRestore(_like(shapes, placed)))
        return manager.restore(step, args=args)["params"], step
    except ValueError as error:
        raise InputError(f"{folder}/checkpoints/{step} does not fit the model of config.json: {error}") from None
    finally:
        manager.close()


def newest_step(folder: Path) -> int:
    """InputError where the run has no finished checkpoint."""
    steps = [int(path.name) for path in (folder / "checkpoints").glob("*") if path.name.isdigit()]
    if not steps:
        raise InputError(f"{folder} has no checkpoint: train it first, or name another run folder")
    return max(steps)


def write_config(folder: Path, config: TrainConfig) -> None:
    """folder/config.json, whole or not at all."""
    temporary = folder / "config.json.tmp"
    temporary.write_text(to_json(config))
    temporary.rename(folder / "config.json")


def read_config(folder: Path) -> TrainConfig:
    """The config a run was trained with; InputError where the folder is not a run."""
    try:
        values = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise InputError(
            f"{folder} is not a run folder (no config.json): name one written by codex_jax.train"
        ) from None
    except ValueError as error:
        raise InputError(f"{folder}/config.json is broken: {error}") from None
    return from_dict(TrainConfig, values)
