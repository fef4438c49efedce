"""Checkpoints of a run: trees of arrays in checkpoints/STEP/NAME, written and read by Orbax.

The parameters are a separate tree, which can be read without the optimizer's state.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from codex_jax.errors import InputError
from codex_jax.runs.folder import newest_step


def open_manager(folder: Path, keep: int | None = None, read_only: bool = False) -> ocp.CheckpointManager:
    """The Orbax manager of folder/checkpoints; keep: how many of the newest to keep (default: all)."""
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=not read_only, read_only=read_only)
    return ocp.CheckpointManager((folder / "checkpoints").absolute(), options=options)


def save(manager: ocp.CheckpointManager, step: int, **trees: Any) -> None:
    """Writes the trees in the background; manager.wait_until_finished() waits for it."""
    manager.save(step, args=ocp.args.Composite(**{name: ocp.args.StandardSave(tree) for name, tree in trees.items()}))


def restore(manager: ocp.CheckpointManager, step: int, **trees: Any) -> dict[str, Any]:
    """Reads the named trees of a checkpoint, which may have been saved from another mesh.

    trees: ShapeDtypeStructs with the shardings of the arrays to return. ValueError if shapes differ.
    """
    args = {name: ocp.args.StandardRestore(tree) for name, tree in trees.items()}
    saved = manager.restore(step, args=ocp.args.Composite(**args))
    return {name: saved[name] for name in trees}


def restore_params(folder: Path, abstract: Any) -> tuple[Any, int]:
    """(parameters of the newest checkpoint, its step); abstract: ShapeDtypeStructs with their shardings.

    InputError if the run has no checkpoint, or if its shapes differ.
    """
    step = newest_step(folder)
    with closing(open_manager(folder, read_only=True)) as manager:
        try:
            return restore(manager, step, params=abstract)["params"], step
        except ValueError as error:
            raise InputError(f"{folder}/checkpoints/{step} does not fit the model of config.json: {error}") from None
