"""The scripts of experiments/tpu, with a simulated gcloud."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_jax.planning.chips import SHAPES

FOLDER = Path(__file__).parents[2] / "experiments/tpu"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
DATA = "gs://b/data/github_python"
SETTINGS = {"PROJECT": "p", "ZONE": "z", "SIZE": "12b", "BUCKET": "gs://b", "DATA": DATA, "POLL": "0"}

# Records every call, and answers with the next item of a list in the folder FAKE; the last item is repeated.
GCLOUD = f"""#!{sys.executable}
import json, os, sys
folder = os.environ["FAKE"]
with open(folder + "/calls", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")

def answer(name):
    path = f"{{folder}}/{{name}}.json"
    answers = json.load(open(path))
    if len(answers) > 1:
        json.dump(answers[1:], open(path, "w"))
    return answers[0]

words = " ".join(sys.argv[1:])
if "queued-resources describe" in words:
    state = answer("states")
    if state == "NONE":
        sys.exit("ERROR: (gcloud) NOT_FOUND: no such resource")
    print(state)
elif "tpu-vm describe" in words:
    print(answer("nodes"))
elif "worker.sh progress" in words:
    progress = answer("progress")
    if progress == "unreachable":
        sys.exit("ERROR: ssh failed")
    print("codex_jax: " + progress)
elif "worker.sh checkpoint" in words:
    print("codex_jax: " + answer("checkpoints"))
elif "buckets describe" in words:
    print(answer("hierarchical"))
"""


@pytest.fixture
def cloud(tmp_path):
    """A function that sets the simulated gcloud's answers, runs slice.sh and returns (exit code, stderr, calls)."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gcloud").write_text(GCLOUD)
    (tmp_path / "bin/gcloud").chmod(0o755)

    def slice_sh(*arguments, settings=SETTINGS, **answers):
        defaults = {"states": ["ACTIVE"], "nodes": ["READY"], "progress": ["exit 0"], "checkpoints": ["none"]}
        for name, values in {**defaults, "hierarchical": ["True"], **answers}.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(values))
        (tmp_path / "calls").write_text("")
        path = f"{tmp_path}/bin:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(tmp_path), "FAKE": str(tmp_path), **settings}
        command = ["bash", str(FOLDER / "slice.sh"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
        return done.returncode, done.stderr, [" ".join(call) for call in calls]

    return slice_sh


def changes(calls):
    """The kinds of the calls that change something, in order."""
    kinds = ("create", "delete", "install", "start", "forget")
    marks = (*(f"queued-resources {kind} " for kind in kinds[:2]), *(f"worker.sh {kind} " for kind in kinds[2:]))
    return [kind for call in calls for kind, mark in zip(kinds, marks, strict=True) if mark in call]


def started(calls):
    """The calls that started training."""
    return [call for call in calls if "worker.sh start " in call]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_syntax(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script):
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not shellcheck:
        pytest.skip("shellcheck (extra dev) is not installed")
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["create"], "gcloud compute tpus queued-resources create codex-12b --node-id=codex-12b"),
        (["install"], "gcloud storage cp"),
        (["train"], "worker.sh\\ start\\ 12b\\ codex_12b"),
        (["train", "--resume"], "--resume"),
        (["watch"], "gcloud compute tpus queued-resources delete codex-12b --force"),
        (["status"], "worker.sh\\ status\\ codex_12b"),
        (["logs"], "tail\\ -n\\ 50\\ -F\\ train.log"),
        (["delete"], "gcloud compute tpus queued-resources delete codex-12b --force"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_dry_run_prints_the_commands_and_runs_none(cloud, command, text):
    code, output, calls = cloud(*command, "--dry-run")
    assert code == 0, output
    assert calls == []
    assert text in output
    assert all(line.startswith("+ gcloud ") or not line.startswith("+") for line in output.splitlines())


def test_a_dry_run_of_watch_prints_the_whole_recovery(cloud):
    _, output, _ = cloud("watch", "--dry-run")
    commands = [line for line in output.splitlines() if line.startswith("+")]
    assert changes([line.replace("\\ ", " ") for line in commands]) == ["delete", "create", "install", "start"]
    assert "--resume" in commands[-1]


@pytest.mark.parametrize(
    ("topology", "flags"),
    [
        ("v3:4x4", "--accelerator-type=v3-32 --runtime-version=tpu-ubuntu2204-base"),
        ("v4:4x4x4", "--type=v4 --topology=4x4x4 --runtime-version=tpu-ubuntu2204-base"),
        ("v5e:1x1", "--accelerator-type=v5litepod-1 --runtime-version=v2-alpha-tpuv5-lite"),
        ("v5e:16x16", "--accelerator-type=v5litepod-256 --runtime-version=v2-alpha-tpuv5-lite"),
        ("v5p:2x2x4", "--accelerator-type=v5p-32 --runtime-version=v2-alpha-tpuv5"),
        ("v6e:16x16", "--accelerator-type=v6e-256 --runtime-version=v2-alpha-tpuv6e"),
    ],
)
def test_accelerators(cloud, topology, flags):
    _, _, calls = cloud("create", "--topology", topology, "--capacity", "on-demand", states=["NONE", "ACTIVE"])
    create = next(call for call in calls if "create" in call)
    assert f"{flags} --async" in create
    assert create.endswith("--project=p --zone=z --quiet")


def test_every_topology_that_plan_knows_can_be_created(cloud):
    for chip, shapes in SHAPES.items():
        code, output, _ = cloud("create", "--topology", f"{chip}:{shapes[-1]}", "--dry-run")
        assert code == 0, output


@pytest.mark.parametrize(("capacity", "flag"), [("spot", "--spot"), ("reserved", "--reserved"), ("on-demand", "")])
def test_capacity(cloud, capacity, flag):
    _, _, calls = cloud("create", "--capacity", capacity, states=["NONE", "ACTIVE"])
    create = next(call for call in calls if "create" in call).split()
    assert [word for word in create if word in ("--spot", "--reserved")] == ([flag] if flag else [])


def test_create_waits_until_the_slice_is_active(cloud):
    states = ["NONE", "WAITING_FOR_RESOURCES", "UNKNOWN", "PROVISIONING", "ACTIVE"]
    code, output, calls = cloud("create", states=states)
    assert code == 0
    assert changes(calls) == ["create"]
    assert "codex-12b: PROVISIONING" in output
    code, _, calls = cloud("create", states=["PROVISIONING", "ACTIVE"])  # as after ^C
    assert (code, changes(calls)) == (0, [])
    code, output, calls = cloud("create", states=["NONE", "FAILED"])
    assert code == 1
    assert "slice.sh delete" in output


def test_install_uploads_the_commit_unless_it_keeps_the_last_one(cloud):
    code, _, calls = cloud("install")
    assert code == 0
    assert any(call.startswith("storage cp ") and call.endswith(" gs://b/source/codex_12b.tar.gz") for call in calls)
    assert "worker.sh install b gs://b/data/github_python data" in calls[-1]
    assert "--worker=all" in calls[-1]
    _, _, calls = cloud("install", "--keep")
    assert not any(call.startswith("storage cp ") for call in calls)


def test_a_bucket_without_hierarchical_namespace_is_refused(cloud):
    code, output, calls = cloud("install", hierarchical=[""])
    assert code == 1
    assert "hierarchical namespace" in output
    assert len(calls) == 1


def test_train_passes_flags_on_unchanged(cloud):
    code, _, calls = cloud("train", "--run", "x", "--", "--name", "two words", "--mesh.model", "4")
    assert code == 0
    assert "worker.sh start 12b x gs://b/data/github_python data --name two\\ words --mesh.model 4" in calls[-1]
    assert "--resume" not in calls[-1]


def test_resume_before_the_first_checkpoint_starts_from_step_0(cloud):
    _, output, calls = cloud("train", "--resume", checkpoints=["none"])
    assert changes(calls) == ["forget", "start"]
    assert "--resume" not in calls[-1]
    assert "starting from step 0" in output
    _, _, calls = cloud("train", "--resume", checkpoints=["250"])
    assert changes(calls) == ["start"]
    assert "--resume" in calls[-1]
    code, _, calls = cloud("train", "--resume", checkpoints=["not installed"])
    assert (code, changes(calls)) == (1, [])


@pytest.mark.parametrize(
    "lost",
    [
        {"states": ["ACTIVE", "SUSPENDED", "NONE", "CREATING", "ACTIVE"]},
        {"states": ["ACTIVE", "ACTIVE", "NONE", "ACTIVE"], "nodes": ["READY", "PREEMPTED", "READY"]},
        {"states": ["ACTIVE", "FAILED", "NONE", "ACTIVE"]},
    ],
    ids=["suspended", "preempted", "failed"],
)
def test_watch_creates_a_lost_slice_again_and_resumes(cloud, lost):
    progress = ["running", "exit 0"]
    code, output, calls = cloud("watch", "--", "--mesh.model", "4", progress=progress, checkpoints=["500"], **lost)
    assert code == 0, output
    assert changes(calls) == ["delete", "create", "install", "start"]
    assert "--worker=all" in started(calls)[0]
    assert " --resume --mesh.model 4" in started(calls)[0]
    assert not any(call.startswith("storage cp ") for call in calls)  # the same commit as before
    assert "codex_12b is done" in output


def test_watch_tries_again_where_creating_the_slice_fails(cloud):
    states = ["SUSPENDED", "NONE", "FAILED", "FAILED", "NONE", "ACTIVE"]
    code, output, calls = cloud("watch", states=states, checkpoints=["500"])
    assert code == 0, output
    assert changes(calls) == ["delete", "create", "delete", "create", "install", "start"]


def test_watch_resumes_after_a_crash_but_not_forever(cloud):
    code, _, calls = cloud("watch", progress=["exit 134", "unreachable", "stopped", "exit 0"], checkpoints=["500"])
    assert code == 0
    assert changes(calls) == ["install", "start"] * 2
    assert all("--resume" in call for call in started(calls))
    code, output, calls = cloud("watch", "--restarts", "2", progress=["exit 2"], checkpoints=["500"])
    assert code == 1
    assert changes(calls) == ["install", "start"] * 2
    assert "slice.sh logs" in output


def test_watch_does_not_create_a_slice_that_was_never_created(cloud):
    code, output, calls = cloud("watch", states=["NONE"])
    assert code == 1
    assert "there is no slice codex-12b" in output
    assert changes(calls) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ([], SETTINGS, "give a command"),
        (["start"], SETTINGS, "no command start"),
        (["create"], {"ZONE": "z", "SIZE": "12b"}, "PROJECT is not given: add --project or export PROJECT"),
        (["train"], {"PROJECT": "p", "ZONE": "z", "SIZE": "12b"}, "BUCKET is not given"),
        (["train"], {**SETTINGS, "DATA": ""}, "DATA is not given"),
        (["create", "--size", "7b"], SETTINGS, "experiments/codex.py has no such size"),
        (["create", "--topology", "v5e"], SETTINGS, "TOPOLOGY v5e: give CHIP:SHAPE"),
        (["create", "--topology", "v4:8x8"], SETTINGS, "TOPOLOGY v4:8x8"),
        (["create", "--topology", "v9:8x8"], SETTINGS, "the chip must be"),
        (["create", "--capacity", "free"], SETTINGS, "CAPACITY free"),
        (["create", "--name", "A b"], SETTINGS, "NAME A b"),
        (["train", "--run", "$(touch x)"], SETTINGS, "RUN $(touch x)"),
        (["train", "--bucket", "b/c"], SETTINGS, "BUCKET b/c"),
        (["watch", "--poll", "soon"], SETTINGS, "POLL soon"),
        (["watch", "--poll"], SETTINGS, "--poll needs a value"),
        (["train", "--steps", "3"], SETTINGS, "no flag --steps"),
    ],
)
def test_bad_input_is_one_line_and_two(cloud, arguments, settings, message):
    code, output, calls = cloud(*arguments, settings=settings)
    assert code == 2
    assert output.startswith("error: ")
    assert message in output
    assert output.count("\n") == 1
    assert calls == []


def test_help(cloud):
    assert cloud("--help")[0] == 0
    assert cloud("watch", "--help")[0] == 0


@pytest.fixture
def host(tmp_path):
    """A function that runs worker.sh in a worker's home folder, with a Python that prints its arguments."""
    (tmp_path / "codex_jax/.venv-tpu/bin").mkdir(parents=True)
    python = tmp_path / "codex_jax/.venv-tpu/bin/python"
    python.write_text('#!/usr/bin/env bash\nprintf "<%s>" "$@"; echo\nsleep "${SLEEP:-0}"\nexit "${EXIT:-0}"\n')
    (tmp_path / "bin").mkdir()
    # The mount of the bucket is a normal folder.
    (tmp_path / "bin/mountpoint").write_text("#!/bin/sh\nexit 0\n")
    for path in (python, tmp_path / "bin/mountpoint"):
        path.chmod(0o755)
    (tmp_path / "bucket.name").write_text("b\n")
    (tmp_path / "bucket/runs/r").mkdir(parents=True)

    def worker_sh(*arguments, **settings):
        environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path), **settings}
        command = ["bash", str(FOLDER / "worker.sh"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip()

    worker_sh.home = tmp_path
    return worker_sh


def wait_for(function, expected):
    """Waits, at most a minute, until function() returns `expected`."""
    end = time.monotonic() + 60
    while (actual := function()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    assert actual == expected


def test_a_worker_trains_and_saves_its_log_in_the_bucket(host):
    assert host("progress") == "codex_jax: stopped"
    host("start", "12b", "r", "gs://b/data/x", "data", "--resume", "--name", "two words", EXIT="3")
    wait_for(lambda: host("progress"), "codex_jax: exit 3")
    run = f"{host.home}/bucket/runs/r"
    flags = f"<--run-dir><{run}><--data.path><{host.home}/data/x><--hosts.wait><300><--resume><--name><two words>"
    expected = f"<-m><codex_jax.train><experiments/codex.py:12b>{flags}"
    logs = list((host.home / "bucket/runs/r/logs").iterdir())
    assert expected in (host.home / "train.log").read_text()
    assert expected in logs[0].read_text()


def test_a_worker_stops_the_running_process_before_it_starts_again(host):
    host("start", "12b", "r", "bucket/d", "data", SLEEP="60")
    assert host("progress") == "codex_jax: running"
    first = int((host.home / "train.pid").read_text())
    host("start", "12b", "r", "bucket/d", "data")
    wait_for(lambda: host("progress"), "codex_jax: exit 0")
    state = Path(f"/proc/{first}/stat")
    assert not state.exists() or " Z " in state.read_text()
    assert f"<--data.path><{host.home}/bucket/d>" in (host.home / "train.log").read_text()


def test_a_worker_reports_the_newest_finished_checkpoint(host):
    assert host("checkpoint", "r") == "codex_jax: none"
    for name in ("500", "1000", "1500.orbax-checkpoint-tmp"):
        (host.home / "bucket/runs/r/checkpoints" / name).mkdir(parents=True)
    assert host("checkpoint", "r") == "codex_jax: 1000"
    assert "newest checkpoint: 1000" in host("status", "r")
