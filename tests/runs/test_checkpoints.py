import json
import logging
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.runs.checkpoints import Checkpoints, drop_orbax_logs, reason
from codex_jax.runs.folder import finished_steps

PARAMS = {"up": jnp.arange(6.0).reshape(2, 3), "down": jnp.ones(4, jnp.bfloat16)}
ABOUT = {"model": {"width": 4}, "tokenizer": "t", "data": "d"}


def save_all(folder, steps, params=PARAMS, **settings):
    with closing(Checkpoints(folder, **settings)) as checkpoints:
        for step in steps:
            scaled = jax.tree.map(lambda x, n=step: x * n, params)
            checkpoints.save(step, ABOUT, params=scaled, rest={"step": jnp.int32(step)})


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_the_newest_are_kept_and_one_of_every_so_many_steps(tmp_path):
    save_all(tmp_path, range(1, 9), keep=2, keep_every=3)
    assert names(tmp_path) == ["3", "6", "7", "8"]
    assert finished_steps(tmp_path) == [3, 6, 7, 8]
    assert {"params", "rest"} <= {path.name for path in (tmp_path / "checkpoints" / "8").iterdir()}


def test_a_checkpoint_tells_what_it_is_of(tmp_path):
    save_all(tmp_path, [1, 2])
    first, second = (
        json.loads((tmp_path / "checkpoints" / step / "_CHECKPOINT_METADATA").read_text())["custom_metadata"]
        for step in ("1", "2")
    )
    assert {name: first[name] for name in ABOUT} == ABOUT
    assert first["digests"].keys() == {"params", "rest"}
    assert first["digests"]["params"] != second["digests"]["params"]


def test_the_arrays_may_be_deleted_while_they_are_written(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        params = jax.tree.map(lambda leaf: leaf + 1, PARAMS)
        checkpoints.save(3, ABOUT, params=params)
        jax.tree.map(lambda leaf: leaf.delete(), params)  # the next step takes over the buffers
        assert checkpoints.finish()
        assert not checkpoints.finish()
    assert finished_steps(tmp_path) == [3]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_never_saved(tmp_path, capsys, bad):
    save_all(tmp_path, [1])
    save_all(tmp_path, [2], {**PARAMS, "up": jnp.array([1.0, bad])})
    assert names(tmp_path) == ["1"]
    assert capsys.readouterr().err == "warning: the state after step 2 is not finite, so it is not saved\n"


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    save_all(tmp_path, [1])
    for name in ("2.orbax-checkpoint-tmp", "0.deleted", "notes", "9.damaged"):
        (tmp_path / "checkpoints" / name / "params").mkdir(parents=True)
    save_all(tmp_path, [3])
    assert names(tmp_path) == ["1", "3", "9.damaged", "notes"]


def test_what_the_threads_of_a_failed_save_write_later_is_removed(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        for step in (4, 6):
            (tmp_path / "checkpoints" / f"{step - 1}.orbax-checkpoint-tmp" / "params").mkdir(parents=True)
            checkpoints.save(step, ABOUT, params=PARAMS)
            checkpoints.finish()
            assert f"{step - 1}.orbax-checkpoint-tmp" not in names(tmp_path)
        (tmp_path / "checkpoints" / "7.orbax-checkpoint-tmp").mkdir()
    assert names(tmp_path) == ["4", "6"]


def test_later_checkpoints_are_set_aside(tmp_path):
    save_all(tmp_path, [1, 2, 3], keep=5)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.set_aside(1, "damaged")
    assert names(tmp_path) == ["1", "2.damaged", "3.damaged"]


def test_a_failed_save_is_one_line_and_the_next_one_works(tmp_path, capsys):
    save_all(tmp_path, [1])
    with closing(Checkpoints(tmp_path)) as checkpoints:
        (tmp_path / "checkpoints").rename(tmp_path / "away")
        (tmp_path / "checkpoints").write_text("a file")
        checkpoints.save(2, ABOUT, params=PARAMS)
        assert not checkpoints.finish()
        (tmp_path / "checkpoints").unlink()
        (tmp_path / "away").rename(tmp_path / "checkpoints")
        checkpoints.save(3, ABOUT, params=PARAMS)
        assert checkpoints.finish()
    error = capsys.readouterr().err
    assert error.startswith("warning: cannot save the checkpoint of step 2: ")
    assert error.endswith("; training goes on\n")
    assert error.count("\n") == 1
    assert finished_steps(tmp_path) == [1, 3]


def test_only_the_logs_of_orbax_are_dropped(caplog):
    logger = logging.getLogger("absl")
    record = logging.LogRecord("absl", 40, "/x/orbax/checkpoint/future.py", 1, "theirs", None, None)
    drop_orbax_logs()
    drop_orbax_logs()
    logger.error("ours")
    logger.handle(record)
    asyncio = logging.getLogger("asyncio")
    asyncio.error("Task exception was never retrieved\nfuture: ...")
    asyncio.error("another")
    assert [record.getMessage() for record in caplog.records] == ["ours", "another"]


def test_the_reason_of_an_error_is_short():
    full = ValueError("RESOURCE_EXHAUSTED: Error writing ... [OS error 28: ENOSPC No space left on device] " + 99 * "x")
    assert reason(full) == "No space left on device"
    assert reason(OSError(28, "whatever")) == "No space left on device"
    assert len(reason(ValueError("a\nb" * 999))) <= 160
    assert reason(KeyError()) == "KeyError"
