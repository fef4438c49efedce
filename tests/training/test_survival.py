"""Real training processes are killed and stopped; the run is the same as one that was left alone."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from codex_jax.runs.folder import finished_steps
from codex_jax.runs.history import read_history
from codex_jax.text.tokenizers import train_sentencepiece
from tests.records.build import build
from tests.test_train import untimed

pytestmark = pytest.mark.slow
STEPS, EVERY = 90, 3
KILLS = 12
EXPERIMENT = f"""
from codex_jax.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig
config = TrainConfig(
    model=ModelConfig(layers=2, width=32, heads=2, context=16),
    data=DataConfig("data", validation_split="train"), optimizer=OptimizerConfig(warmup_steps=5),
    steps={STEPS}, batch_size=4, log_every=1, eval_every=10, eval_batches=1, checkpoint_every={EVERY},
)
"""
ENVIRONMENT = {**os.environ, "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with data, an experiment, and a run that was left alone, "whole"."""
    root = tmp_path_factory.mktemp("survival")
    tokenizer = train_sentencepiece([f"def function_{n}(x):\n    return x * {n}\n" for n in range(50)], 320)
    build(root / "data", (300, 0, 50), masked=False, sha256=tokenizer.sha256, vocab_size=320)
    tokenizer.save(root / "data" / "tokenizer")
    (root / "x.py").write_text(EXPERIMENT)
    finish(start(root, "x.py", "--run-dir", "whole"))
    return root


def start(root, *words):
    command = [sys.executable, "-m", "codex_jax.train", *words]
    return subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def finish(process, code=0):
    """(stdout, stderr) of the process, which must end with this code."""
    output = process.communicate(timeout=600)
    assert process.returncode == code, output
    assert "Traceback" not in output[1]
    return output


def rows(run):
    """The lines of metrics without those of this process's speed; a line that is being written is left out."""
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [untimed(json.loads(line)) for line in lines]


def digests(run, step=STEPS):
    """The digests of parameters and optimizer, and of losses that the guards compare with."""
    about = json.loads((run / "checkpoints" / str(step) / "_CHECKPOINT_METADATA").read_text())["custom_metadata"]
    return about["digests"], about["losses"]


def wait_until(condition, process):
    """Waits until condition() or until the process has ended; returns whether it still runs."""
    while process.poll() is None and not condition():
        time.sleep(0.0005)
    return process.poll() is None


def wait_for_steps(process, run, count):
    """Waits until the process has logged `count` more lines than when it began; returns whether it still runs."""
    starts = len(read_history(run))
    begun = wait_until(lambda: len(read_history(run)) > starts, process)
    before = len(rows(run))
    return begun and wait_until(lambda: len(rows(run)) >= before + count, process)


def wait_for_save(process, run):
    """Waits until the process is writing a checkpoint; returns whether it still runs."""
    folder = run / "checkpoints"
    unfinished = len([*folder.glob("*-tmp")])  # of the process before; this one removes them first
    cleared = not unfinished or wait_until(lambda: not [*folder.glob("*-tmp")], process)
    return cleared and wait_until(lambda: [*folder.glob("*-tmp")], process)


def test_a_killed_run_ends_with_the_same_bits(root):
    run, choose = root / "killed", random.Random(0)
    kills = {"after steps": 0, "in a save": 0, "at a time": 0}
    process = start(root, "x.py", "--run-dir", "killed")
    while process.poll() is None and sum(kills.values()) < KILLS:
        kind = min(kills, key=lambda kind: (kills[kind], choose.random()))
        if kind == "after steps":
            wait_for_steps(process, run, choose.randrange(1, 6))
        elif kind == "in a save":
            wait_for_save(process, run)
        else:
            time.sleep(choose.uniform(1, 8))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills[kind] += 1
            resumes = (run / "config.json").exists()
            process = start(root, *(["--resume", "killed"] if resumes else ["x.py", "--run-dir", "killed"]))
    finish(process)
    print(kills, digests(run)[0])
    assert sum(kills.values()) == KILLS
    assert digests(run) == digests(root / "whole")
    assert rows(run) == rows(root / "whole")
    assert read_history(run)[-1]["event"] == "finished"
    assert not [*(run / "checkpoints").glob("*-tmp")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_the_run_with_the_command_that_continues_it(root, number):
    run = root / number.name
    process = start(root, "x.py", "--run-dir", run.name, "--checkpoint-every", "1000")
    assert wait_for_steps(process, run, 4)
    process.send_signal(number)
    stdout, stderr = finish(process)
    (step,) = finished_steps(run)
    command = f"python -m codex_jax.train --resume {run.name}"
    assert stdout == f"stopped after step {step} of {STEPS} ({number.name}); continue with {command}\n"
    assert f"{number.name}: saving" in stderr
    last = read_history(run)[-1]
    assert (last["event"], last["step"], last["reason"]) == ("stopped", step, number.name)
    assert [path.stat().st_size > 0 for path in (run / "events").iterdir()] == [True]
    finish(start(root, *command.split()[3:]))
    assert digests(run) == digests(root / "whole")
    # A step that is saved is logged before its evaluation, other steps after it: the order depends on what is saved.
    assert sorted(rows(run), key=str) == sorted(rows(root / "whole"), key=str)


def test_only_one_process_trains_in_a_folder(root):
    run = root / "shared"
    first = start(root, "x.py", "--run-dir", "shared", "--steps", "100000")
    assert wait_for_steps(first, run, 2)
    _, error = finish(start(root, "--resume", "shared"), code=2)
    assert error.startswith("error: shared/history.jsonl is in use by another process")
    assert error.count("\n") == 1
    first.send_signal(signal.SIGTERM)
    finish(first)


FULL = """
mkdir full && mount -t tmpfs -o size={size}k none full || exit 77
{python} -m codex_jax.train x.py --run-dir full/run --keep-checkpoints 2 2>errors.txt
echo $? >code.txt
cp -r full/run full_copy
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a file system that is full")
def test_a_full_disk_costs_checkpoints_and_not_the_run(root):
    size = sum(path.stat().st_size for path in (root / "whole" / "checkpoints" / str(STEPS)).rglob("*")) / 1024
    script = FULL.format(size=int(2.6 * size), python=sys.executable)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=root, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    if done.returncode == 77:
        pytest.skip("cannot mount a file system here")
    errors = [line for line in (root / "errors.txt").read_text().splitlines() if not line.startswith("run ")]
    saves = [line for line in errors if line.startswith("warning: cannot save the checkpoint of step ")]
    assert saves
    assert all("No space left on device; training goes on" in line for line in saves)
    assert not [line for line in errors if not line.startswith(("warning: ", "error: "))]
    # The metrics wait while a checkpoint takes the last space, until what it has written is removed.
    assert sum("metrics.jsonl" in line for line in errors) <= len(saves)
    assert {row["step"] for row in rows(root / "full_copy")} <= set(range(STEPS + 1))
    assert finished_steps(root / "full_copy")
    assert not [*(root / "full_copy" / "checkpoints").glob("*-tmp")]
    finish(start(root, "--resume", "full_copy"))
    assert digests(root / "full_copy") == digests(root / "whole")
