"""Saves checkpoints of a run: trees of arrays in checkpoints/STEP/NAME, written by Orbax in the background.

A folder gets its name, STEP, when it is complete. Its _CHECKPOINT_METADATA identifies model, tokenizer and data, and
has a digest of each tree. The parameters are a separate tree, which can be read without the optimizer's state.
"""

import errno
import logging
import os
import re
import shutil
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from codex_jax import terminal
from codex_jax.failure import DEVICE_ERRORS
from codex_jax.runs.array_digests import digest
from codex_jax.runs.folder import CHECKPOINTS, finished_steps
from codex_jax.storage.jsonl import Json

UNFINISHED = re.compile(r"\d+(\.orbax-checkpoint-tmp.*|\.deleted)")
STRAGGLERS = 20  # tenths of a second for which a process that ends removes what a failed save's threads still write
WAIT = 1200  # seconds for which a process waits until the others have written their parts


def handler(names: list[str]) -> ocp.CompositeCheckpointHandler:
    """Orbax's handler of trees with these names."""
    return ocp.CompositeCheckpointHandler(**{name: ocp.StandardCheckpointHandler() for name in names})


def drop_orbax_logs() -> None:
    """Drops Orbax's logs until the process ends: it raises what it logs, and callers report an error in one line.

    asyncio logs the same errors again, when nobody has waited for all of Orbax's tasks, and Python warns of coroutines
    that Orbax has not started when an error ends its save.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_foreign)
    warnings.filterwarnings("ignore", "coroutine '.*' was never awaited", RuntimeWarning)


def _is_foreign(record: logging.LogRecord) -> bool:
    return f"{os.sep}orbax{os.sep}checkpoint{os.sep}" not in record.pathname and "never retrieved" not in record.msg


def reason(error: BaseException) -> str:
    """An error of Orbax, whose messages have many lines, in a few words."""
    text = str(error)
    for number in (*DEVICE_ERRORS, errno.EROFS, errno.EACCES):
        if os.strerror(number) in text or getattr(error, "errno", None) == number:
            return os.strerror(number)
    return " ".join(text.split())[:160] or type(error).__name__


class Checkpoints:
    """The checkpoints of the run that this command trains. Failures are reported in a line; training goes on."""

    def __init__(self, folder: Path, keep: int = 3, keep_every: int = 0) -> None:
        """keep: how many of the newest to keep; keep_every: also keep those of every so many steps; 0: none."""
        self._folder, self._keep, self._keep_every = folder, keep, keep_every
        self.best: int | None = None  # a step whose checkpoint is kept too
        drop_orbax_logs()
        self._saver: ocp.AsyncCheckpointer | None = None
        self._pool = ThreadPoolExecutor(1, "checkpoints")
        self._pending: Future[bool] | None = None
        self._last_failed = False
        self._is_main = jax.process_index() == 0
        self._remove_unfinished()

    def save(self, step: int, about: Json, **trees: Any) -> None:
        """Copies the trees from the devices, and writes them in the background. Waits for the save before this one.

        about: what identifies the run, see loading.Expected. Numbers that are not finite are reported and not saved.
        """
        self.finish()
        self._remove_unfinished()
        digests = {name: digest(tree) for name, tree in trees.items()}
        if not all(finite for _, finite in digests.values()):
            terminal.warn(f"the state after step {step} is not finite, so it is not saved")
            return
        metadata = {**about, "digests": {name: value for name, (value, _) in digests.items()}}
        arguments = ocp.args.Composite(**{name: ocp.args.StandardSave(tree) for name, tree in trees.items()})
        path = self._path(step)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._saver = self._saver or ocp.AsyncCheckpointer(handler([*trees]), timeout_secs=WAIT)
            self._saver.save(path, args=arguments, custom_metadata=metadata, force=True)
        except Exception as error:
            self._failed(step, error)
            return
        self._pending = self._pool.submit(self._complete, step)

    def finish(self) -> bool:
        """Waits for the save in progress; returns whether there was one and it is complete."""
        pending, self._pending = self._pending, None
        return pending is not None and pending.result()

    def set_aside(self, after: int, ending: str) -> None:
        """Renames the checkpoints after step `after`, such as 120 to 120.damaged, so that nothing reads them."""
        self.finish()
        for step in finished_steps(self._folder) if self._is_main else []:
            if step > after:
                target = self._path(step).with_name(f"{step}.{ending}")
                shutil.rmtree(target, ignore_errors=True)
                with suppress(OSError):
                    self._path(step).rename(target)

    def close(self) -> None:
        """Waits for the save in progress."""
        self.finish()
        self._pool.shutdown()
        if self._saver:
            self._saver.close()
        self._remove_unfinished()
        for _ in range(STRAGGLERS if self._last_failed else 0):
            time.sleep(0.1)
            self._remove_unfinished()

    def _path(self, step: int) -> Path:
        return (self._folder / CHECKPOINTS / str(step)).absolute()

    def _complete(self, step: int) -> bool:
        # In the pool's thread.
        assert self._saver
        try:
            self._saver.wait_until_finished()
        except Exception as error:
            self._failed(step, error)
            return False
        self._last_failed = False
        if self._is_main:
            self._delete_old()
        return True

    def _failed(self, step: int, error: Exception) -> None:
        self._last_failed = True
        self._remove_unfinished()
        terminal.warn(f"cannot save the checkpoint of step {step}: {reason(error)}; training goes on")

    def _remove_unfinished(self) -> None:
        # What a killed process has left, or a failed save, whose threads may write for a while after it has failed.
        for path in (self._folder / CHECKPOINTS).glob("*") if self._is_main else []:
            if UNFINISHED.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def _delete_old(self) -> None:
        for step in finished_steps(self._folder)[: -self._keep]:
            if step != self.best and not (self._keep_every and step % self._keep_every == 0):
                hidden = self._path(step).with_name(f"{step}.deleted")  # a folder that is half deleted looks damaged
                with suppress(OSError):
                    self._path(step).rename(hidden)
                    shutil.rmtree(hidden)
