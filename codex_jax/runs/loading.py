"""Reads checkpoints and verifies them. A damaged one is skipped with a warning for the one before."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from codex_jax import terminal
from codex_jax.config import SPEED, ModelConfig
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.runs.array_digests import digest
from codex_jax.runs.checkpoints import drop_orbax_logs, handler, reason
from codex_jax.runs.folder import CHECKPOINTS, check_checkpoint, finished_steps, parse_run, read_config, read_tokenizer
from codex_jax.storage.jsonl import Json


class Loaded(NamedTuple):
    """A checkpoint: trees by name, and what was saved about them."""

    step: int
    trees: dict[str, Any]
    about: Json


class DamagedError(Exception):
    """A checkpoint cannot be read, or has other contents than were saved."""


def about(model: ModelConfig, tokenizer: str, data: str = "") -> Json:
    """What identifies a checkpoint: the model, and the SHA-256 of tokenizer and data."""
    shape = {name: getattr(model, name) for name in model.__dataclass_fields__ if name not in SPEED}
    return {"model": shape, "tokenizer": tokenizer, "data": data}


def load(folder: Path, expected: Json, step: int | None = None, data: Collection[str] = (), **trees: Any) -> Loaded:
    """Reads the checkpoint of `step`, by default the newest that is whole, in every process of the run.

    expected: from about(). trees: ShapeDtypeStructs with the shardings of the arrays to return, which may have been
    saved from another mesh. data: the digests that are allowed; empty: all.
    InputError if there is no such checkpoint, or if it is one of another model, tokenizer or data set.
    """
    check_checkpoint(folder, step)
    faults: list[str] = []
    for candidate in reversed(finished_steps(folder)) if step is None else [step]:
        path = folder / CHECKPOINTS / str(candidate)
        try:
            return _load(path, candidate, expected, data, trees)
        except DamagedError as error:
            faults.append(f"{path} is damaged: {error}")
        if step is None and jax.process_index() == 0:
            terminal.warn(f"{faults[-1]}: trying the one before")
    raise InputError(f"{faults[0]}: " + ("remove it" if step is None else "name another step"))


def restore_params(run: str | Path, abstract: Any) -> tuple[Any, int]:
    """(parameters of RUN's newest checkpoint or of RUN@STEP, its step); abstract: ShapeDtypeStructs with shardings.

    InputError as in load.
    """
    loaded = restore(run, params=abstract)
    return loaded.trees["params"], loaded.step


def restore(run: str | Path, **trees: Any) -> Loaded:
    """Trees of RUN's newest checkpoint or of RUN@STEP. InputError as in load."""
    folder, step = parse_run(run)
    config = read_config(folder)
    expected = about(config.model, read_tokenizer(folder, config.model).sha256)
    return load(folder, expected, step, **trees)


def _load(path: Path, step: int, expected: Json, data: Collection[str], trees: dict[str, Any]) -> Loaded:
    fault = ""
    try:
        saved = _read_about(path)
        _check(path, saved, expected, data)
        restored, same_types = _restore(path, trees)
    except DamagedError as error:
        fault = str(error)
    if not hosts.everywhere(not fault):
        raise DamagedError(fault or "another host cannot read it")
    for name, value in saved.get("digests", {}).items():
        if name in same_types and digest(restored[name])[0] != value:
            raise DamagedError(f"{name} has changed since it was saved")
    return Loaded(step, restored, saved)


def _restore(path: Path, trees: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    # (the trees, the names of those whose arrays are returned in the dtypes that they were saved in)
    same_types = []
    drop_orbax_logs()
    try:
        for name, tree in trees.items():
            stored = ocp.StandardCheckpointHandler().metadata((path / name).absolute())
            if _compare(path, _leaves(stored.tree), _leaves(tree)):
                same_types.append(name)
        arguments = {name: ocp.args.StandardRestore(tree) for name, tree in trees.items()}
        restored = ocp.Checkpointer(handler([*trees])).restore(path.absolute(), args=ocp.args.Composite(**arguments))
        return {name: restored[name] for name in trees}, same_types
    except InputError:
        raise
    except Exception as error:  # Orbax and TensorStore raise many kinds for files that are missing or cut short
        raise DamagedError(reason(error)) from None


def _leaves(tree: Any) -> dict[str, Any]:
    def name(key: Any) -> str:  # Orbax saves named tuples as dictionaries
        return str(next(getattr(key, kind) for kind in ("key", "name", "idx") if hasattr(key, kind)))

    paths = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(map(name, path)): leaf for path, leaf in paths}


def _compare(path: Path, stored: dict[str, Any], expected: dict[str, Any]) -> bool:
    # Whether the dtypes are the same; InputError if names or shapes differ.
    for name in sorted(stored.keys() ^ expected.keys()):
        raise InputError(f"{path} does not fit the model of config.json: {name} is in one of them only")
    for name, leaf in expected.items():
        if tuple(stored[name].shape) != tuple(leaf.shape):
            shapes = f"{name} is {tuple(stored[name].shape)} instead of {tuple(leaf.shape)}"
            raise InputError(f"{path} does not fit the model of config.json: {shapes}")
    return all(stored[name].dtype == leaf.dtype for name, leaf in expected.items())


def _check(path: Path, saved: Json, expected: Json, data: Collection[str]) -> None:
    if saved.get("model", expected["model"]) != expected["model"]:
        names = [name for name in expected["model"] if saved["model"].get(name) != expected["model"][name]]
        listed = ", ".join(f"{name} {saved['model'].get(name)} instead of {expected['model'][name]}" for name in names)
        raise InputError(f"{path} does not fit the model of config.json: {listed}")
    if saved.get("tokenizer", expected["tokenizer"]) != expected["tokenizer"]:
        raise InputError(f"{path} was trained with another tokenizer than that of its run folder: remove it")
    if data and saved.get("data") and saved["data"] not in data:
        raise InputError(f"{path} was trained on other data ({saved['data'][:12]}) than its run: remove it")


def _read_about(path: Path) -> Json:
    try:
        return json.loads((path / "_CHECKPOINT_METADATA").read_text()).get("custom_metadata") or {}
    except (OSError, ValueError, AttributeError) as error:
        raise DamagedError(f"_CHECKPOINT_METADATA: {reason(error)}") from None
