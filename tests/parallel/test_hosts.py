import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from codex_jax import cli, corpus
from codex_jax.config import HostsConfig
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.runs.folder import finished_steps

FLAGS = ["--model.layers", "2", "--model.width", "32", "--model.heads", "2", "--model.context", "64"]
FLAGS += ["--batch-size", "8", "--log-every", "1", "--checkpoint-every", "10"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("hosts")
    for n in range(40):
        (root / "src" / f"r{n % 8}").mkdir(parents=True, exist_ok=True)
        (root / "src" / f"r{n % 8}" / f"m{n}.py").write_text(f"def function_{n}(x):\n    return x * {n} + {n}\n" * 3)
    args = [f"dir:{root}/src", "--out", f"{root}/data", "--tokenizer", "train:340", "--seq-len", "64"]
    assert cli.run(corpus.main, corpus.Args, [*args, "--no-near-dedupe"]) == 0
    (root / "x.py").write_text("from codex_jax.config import TrainConfig\nconfig = TrainConfig(name='x')\n")
    return root


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def start(root, name, *flags, devices=1):
    command = [sys.executable, "-m", "codex_jax.train", f"{root}/x.py", "--run-dir", f"{root}/{name}"]
    command += ["--data.path", f"{root}/data", *FLAGS, *flags]
    simulated = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": simulated}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run(root, name, *flags, count=1, devices=1):
    """Trains to the end with `count` processes; -> the stdout of each."""
    shared = ["--hosts.coordinator", f"localhost:{free_port()}", "--hosts.count", str(count)] if count > 1 else []
    host_flags = [[*shared, "--hosts.index", str(n)] if shared else [] for n in range(count)]
    processes = [start(root, name, *flags, *host, devices=devices) for host in host_flags]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs
    return [stdout for stdout, _ in outputs]


def losses(root, name):
    """({step: training loss}, [validation losses]) of a run."""
    rows = [json.loads(line) for line in (root / name / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}, [
        row["validation_loss"] for row in rows if "validation_loss" in row
    ]


@pytest.mark.slow
def test_several_processes_train_like_one_and_their_checkpoint_resumes_on_any_mesh(data):
    run(data, "one", "--steps", "20")
    alone, validation = losses(data, "one")
    assert len(alone) == 20
    for count, mesh in ((2, ["--mesh.data", "2", "--mesh.fsdp", "1"]), (4, ["--mesh.data", "2", "--mesh.fsdp", "2"])):
        outputs = run(data, f"run{count}", "--steps", "20", *mesh, count=count)
        together, validation_together = losses(data, f"run{count}")
        assert together == pytest.approx(alone, rel=0, abs=1e-5)
        assert validation_together == pytest.approx(validation, rel=0, abs=1e-5)
        # Only process 0 prints.
        assert [f"run{count}: " in output for output in outputs] == [True] + [False] * (count - 1)
    run(data, "one", "--steps", "24", "--resume")
    uninterrupted, _ = losses(data, "one")
    for name, mesh, devices in (("single", [], 1), ("split", ["--mesh.fsdp", "1", "--mesh.model", "2"], 2)):
        shutil.copytree(data / "run4", data / name)
        run(data, name, "--steps", "24", "--resume", *mesh, devices=devices)
        resumed, _ = losses(data, name)
        assert list(resumed) == list(range(1, 25))
        for step in range(21, 25):
            assert resumed[step] == pytest.approx(uninterrupted[step], rel=0, abs=1e-5)


@pytest.mark.slow
def test_a_signal_to_one_host_stops_all_after_the_same_step(data):
    address = f"localhost:{free_port()}"
    flags = ["--steps", "100000", "--checkpoint-every", "100000", "--hosts.coordinator", address, "--hosts.count", "2"]
    processes = [start(data, "stopped", *flags, "--hosts.index", str(n)) for n in range(2)]
    metrics = data / "stopped" / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("loss") > 5):
        assert [process.poll() for process in processes] == [None, None]
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    (step,) = finished_steps(data / "stopped")
    # XLA's Gloo also prints a line, in every process.
    assert outputs[0][0].splitlines()[-1].startswith(f"stopped after step {step} of 100000 (SIGTERM); continue with ")
    assert "stopped" not in outputs[1][0]
    run(data, "stopped", "--resume", "--steps", str(step + 2))  # on one host
    assert max(losses(data, "stopped")[0]) == step + 2


@pytest.mark.slow
def test_a_damaged_checkpoint_is_skipped_by_all_hosts(data):
    run(data, "damaged", "--steps", "20", "--checkpoint-every", "5", count=2)
    before, _ = losses(data, "damaged")
    (data / "damaged" / "checkpoints" / "20" / "params" / "manifest.ocdbt").write_bytes(b"")
    run(data, "damaged", "--steps", "20", "--checkpoint-every", "5", "--resume", count=2)
    assert losses(data, "damaged")[0] == before
    assert (data / "damaged" / "checkpoints" / "20.damaged").exists()


@pytest.mark.slow
def test_an_error_on_the_first_host_ends_all_processes(data):
    (data / "taken").mkdir()
    (data / "taken" / "config.json").write_text("{}")
    address = f"localhost:{free_port()}"
    flags = ["--steps", "2", "--hosts.coordinator", address, "--hosts.count", "2"]
    processes = [start(data, "taken", *flags, "--hosts.index", str(n)) for n in range(2)]
    errors = [process.communicate()[1].strip().splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], errors
    assert "holds a run already" in errors[0]
    assert "first host" in errors[1]


@pytest.mark.slow
def test_an_error_on_another_host_ends_all_processes(data):
    shutil.copytree(data / "data", data / "cut")
    for path in (data / "cut").rglob("*train*.tfrecord*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    address = f"localhost:{free_port()}"
    flags = ["--steps", "200", "--hosts.coordinator", address, "--hosts.count", "2", "--hosts.index"]
    processes = [start(data, "cut_run", *flags, "0"), start(data, "cut_run", *flags, "1", "--data.path", f"{data}/cut")]
    errors = [process.communicate()[1].strip().splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], errors
    assert "another host has ended" in errors[0]
    assert "bytes instead of" in errors[1]


@pytest.mark.slow
def test_a_missing_host_is_reported_within_a_minute(data):
    def begin(index, port):
        flags = ["--hosts.coordinator", f"localhost:{port}", "--hosts.count", "3", "--hosts.index", str(index)]
        flags += ["--hosts.wait", "3"]
        command = [sys.executable, "-m", "codex_jax.train", f"{data}/x.py", "--data.path", f"{data}/data", *flags]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    port = free_port()
    alone, together = begin(1, free_port()), [begin(index, port) for index in (0, 1)]
    errors = [process.communicate()[1] for process in (alone, *together)]
    assert [process.returncode for process in (alone, *together)] == [2, 2, 2], errors
    assert "the first host does not answer" in errors[0]
    for error in errors[1:]:
        assert error.startswith("error: hosts 2 of 3 have not come within 3 s")
        assert len(error.splitlines()) == 1
    assert HostsConfig().wait < 60


@pytest.mark.parametrize(
    "config",
    [
        HostsConfig(coordinator="a"),
        HostsConfig(count=2, index=0),
        HostsConfig(coordinator="a", count=2, index=2),
        HostsConfig(coordinator="a:x", count=2, index=0),
        HostsConfig(wait=0),
    ],
)
def test_inconsistent_flags_are_refused(config):
    with pytest.raises(InputError, match="--hosts"):
        hosts.join(config)


def test_a_single_process_joins_nobody(monkeypatch):
    monkeypatch.setattr(hosts, "on_tpu_vm", lambda: False)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: pytest.fail("there is nobody to wait for"))
    hosts.join(HostsConfig())
    calls = []
    hosts.on_first(lambda: calls.append(1))
    assert calls == [1]
    assert hosts.of_first(np.asarray([3])).tolist() == [3]

    def fail():
        raise InputError("no")

    with pytest.raises(InputError, match=r"^no$"):
        hosts.on_first(fail)


def test_on_a_tpu_jax_finds_the_processes_on_our_port(monkeypatch):
    monkeypatch.setattr(hosts, "on_tpu_vm", lambda: True)
    monkeypatch.delenv("JAX_COORDINATOR_PORT", raising=False)
    calls = []

    def initialize(*args, initialization_timeout):
        calls.append((args, initialization_timeout, os.environ["JAX_COORDINATOR_PORT"]))

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    hosts.join(HostsConfig())
    assert calls == [((None, None, None), 45, "8476")]
