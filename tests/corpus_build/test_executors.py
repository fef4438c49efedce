import os
import signal
import time

import pytest

from codex_jax.corpus_build.executors import InterruptedBuildError, LocalExecutor
from codex_jax.corpus_build.tasks import Task
from codex_jax.errors import InputError
from codex_jax.storage.remote_files import LocalFolder


def sleep(work, number, seconds):
    time.sleep(seconds)
    return {"number": number}


def refuse(work):
    raise InputError("bad part")


def kill_worker(work):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def executor():
    executor = LocalExecutor(2)
    yield executor
    executor.shutdown()


def test_markers_come_in_the_order_of_the_tasks(executor, tmp_path):
    # The first task is the slowest, and there are more tasks than may wait for it.
    tasks = [Task(f"t{number}", "", 1, sleep, (number, 0.0 if number else 1.0)) for number in range(90)]
    markers = executor.run("test", LocalFolder(tmp_path), tasks)
    assert [marker["number"] for marker in markers] == list(range(90))
    assert list(executor.run("test", LocalFolder(tmp_path), [])) == []


def test_an_error_of_a_task_is_raised(executor, tmp_path):
    with pytest.raises(InputError, match="bad part"):
        list(executor.run("test", LocalFolder(tmp_path), [Task("t", "", 1, refuse, ())]))


def test_a_killed_worker_interrupts_the_build(executor, tmp_path):
    with pytest.raises(InterruptedBuildError, match=r"fewer --workers.* kept"):
        list(executor.run("test", LocalFolder(tmp_path), [Task("t", "", 1, kill_worker, ())]))
