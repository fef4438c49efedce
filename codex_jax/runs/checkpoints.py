"""Checkpoints of a run: trees of arrays in checkpoints/STEP/NAME, written and read by Orbax.

The parameters are a separate tree, which can be read without the optimizer's state.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.failure import DEVICE_ERRORS
from codex_jax.runs.folder import finished_steps

MAX_REASON = 200  # characters of an error, which may have pages


def open_manager(folder: Path, keep: int | None = None, read_only: bool = False) -> ocp.CheckpointManager:
    """The Orbax manager of folder/checkpoints; keep: how many of the newest to keep (default: all)."""
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=not read_only, read_only=read_only)
    return ocp.CheckpointManager((folder / "checkpoints").absolute(), options=options)


@contextmanager
def writing(folder: Path, keep: int) -> Iterator[ocp.CheckpointManager]:
    """The manager of folder/checkpoints, which waits at the end for what is being written.

    InputError if that fails, as on a full device. What Orbax's threads log about it besides is not printed.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    manager = open_manager(folder, keep)
    try:
        yield manager
    except BaseException:
        with suppress(Exception):  # the first error tells more
            manager.close()
        raise
    with _write_errors(manager):
        manager.close()


def save(manager: ocp.CheckpointManager, step: int, **trees: Any) -> None:
    """Writes the trees in the background; manager.wait_until_finished() waits for it. InputError if that fails."""
    items = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
    with _write_errors(manager):
        manager.save(step, args=ocp.args.Composite(**items))


@contextmanager
def _write_errors(manager: ocp.CheckpointManager) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        text = str(error)
        reason = next((one for one in map(os.strerror, DEVICE_ERRORS) if one in text), text.partition("\n")[0])
        raise InputError(f"cannot write checkpoints to {manager.directory}: {reason[:MAX_REASON]}") from None


def restore(manager: ocp.CheckpointManager, step: int, **trees: Any) -> dict[str, Any]:
    """Reads the named trees of a checkpoint, which may have been saved from another mesh.

    trees: ShapeDtypeStructs with the shardings of the arrays to return. InputError if shapes differ, or if the
    checkpoint cannot be read.
    """
    args = {name: ocp.args.StandardRestore(tree) for name, tree in trees.items()}
    try:
        saved = manager.restore(step, args=ocp.args.Composite(**args))
    except Exception as error:  # a damaged file gives many kinds
        place, reason = f"{manager.directory}/{step}", re.split(r"\. |\n| \[tensorstore_spec", str(error).strip())[0]
        if "stored shape" in reason:
            raise InputError(f"{place} does not fit the model of config.json: {reason}") from None
        raise InputError(f"{place} is damaged: {reason[:MAX_REASON]}: delete it to use an older one") from None
    return {name: saved[name] for name in trees}


def restore_params(folder: Path, abstract: Any) -> tuple[Any, int]:
    """(parameters of the newest checkpoint, its step); abstract: ShapeDtypeStructs with their shardings.

    If that checkpoint cannot be read, an older one is taken, with a warning; but not by several hosts, which may
    not agree.
    InputError if the run has no checkpoint that can be read.
    """
    steps = finished_steps(folder)
    faults: list[InputError] = []
    with closing(open_manager(folder, read_only=True)) as manager:
        for step in steps[: None if jax.process_count() == 1 else 1]:
            try:
                params = restore(manager, step, params=abstract)["params"]
            except InputError as error:
                faults.append(error)
                continue
            for fault in faults:
                terminal.note(f"warning: {fault}; using step {step} instead")
            return params, step
    raise faults[0]
