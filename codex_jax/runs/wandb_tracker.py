"""Sends metrics to Weights & Biases, or with WANDB_MODE=offline keeps them in a folder for `wandb sync`."""

import importlib.util
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.storage.jsonl import Json


def check(project: str) -> None:
    """InputError if a project is named and the package is missing."""
    if project and importlib.util.find_spec("wandb") is None:
        raise InputError("--wandb needs another package: pip install wandb")


class WandbTracker:
    """A Tracker, see metrics.py. A failure is reported in a line, and then nothing more is sent."""

    def __init__(self, project: str, folder: Path, settings: Json) -> None:
        """folder: of the run; the identifier in it lets a resumed run go on in the same curves."""
        self._run: Any = None
        path = folder / "wandb_id"
        try:
            import wandb

            if not path.exists():
                path.write_text(secrets.token_hex(4))
            names = {"project": project, "name": folder.name, "id": path.read_text()}
            silent = {"silent": True}  # it prints dozens of lines otherwise
            self._run = wandb.init(**names, resume="allow", dir=folder, config=settings, settings=silent)
            self._run.define_metric("*", step_metric="step")  # steps may repeat after a run is resumed
        except Exception as error:  # of a library and a service on which the run does not depend
            self._fail(error)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Sends a row."""
        if self._run:
            try:
                self._run.log({"step": step, **values})
            except Exception as error:
                self._fail(error)

    def close(self) -> None:
        """Waits until everything is sent."""
        if self._run:
            try:
                self._run.finish()
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._run = None
        terminal.warn(f"Weights & Biases: {type(error).__name__}: {str(error)[:200]}; training goes on without it")
