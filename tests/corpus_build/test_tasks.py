import json

import numpy as np

from codex_jax.corpus_build.tasks import Task, fingerprint, read_markers, run_task
from codex_jax.storage.remote_files import LocalFolder


def append(work, value):
    with (work.path / "log").open("a") as log:
        log.write(value)
    return {"value": value}


def test_a_finished_task_is_not_run_again_unless_its_inputs_change(tmp_path):
    work = LocalFolder(tmp_path)
    marker = run_task(work, Task("a", "1", 0, append, ("x",)))
    assert marker == {"fingerprint": "1", "value": "x"} == json.loads((tmp_path / "a.json").read_text())
    assert run_task(work, Task("a", "1", 0, append, ("y",))) == marker
    assert (tmp_path / "log").read_text() == "x"
    assert run_task(work, Task("a", "2", 0, append, ("z",)))["value"] == "z"
    (tmp_path / "a.json").write_text('{"fingerprint": "2", "val')
    assert run_task(work, Task("a", "2", 0, append, ("w",)))["value"] == "w"


def test_markers_of_many_tasks(tmp_path):
    work = LocalFolder(tmp_path)
    tasks = [Task(f"t{number}", str(number), 0, append, (str(number),)) for number in range(5)]
    assert read_markers(work, tasks) == [None] * 5
    for number in (1, 3, 4):
        run_task(work, tasks[number])
    (tmp_path / "t4.json").write_text("[]")
    values = [marker and marker["value"] for marker in read_markers(work, tasks)]
    assert values == [None, "1", None, "3", None]


def test_a_fingerprint_depends_on_every_input_and_on_the_bytes_of_arrays():
    array = np.array([(1, 2)], [("a", "<u8"), ("b", "<u2")])
    inputs = [(), ("a",), ("a", "b"), ("ab",), (["a", "b"],), (array,), (array[:0],), (array["a"],)]
    assert len({fingerprint(*one) for one in inputs}) == len(inputs)
    assert fingerprint("a", array) == fingerprint("a", array.copy())
