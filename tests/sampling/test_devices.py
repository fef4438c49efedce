"""Samples are the same on one device, on eight simulated devices and with two processes. What a step communicates."""

import json
import os
import subprocess
import sys
import time

import pytest

from codex_jax.problems.humaneval import humaneval_problem, write_problems
from tests.parallel.test_hosts import free_port
from tests.sampling.made_run import make_run

pytestmark = pytest.mark.slow
PROGRAM = """
import json, sys
import jax, numpy as np
from codex_jax.config import MeshConfig, TrainConfig
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import sample_all
from codex_jax.sampling.params import SamplingParams, SampleRequest
from codex_jax.sampling.programs import state_shapes
from codex_jax.sampling.rows import Layout, make_sampling_scalars
from codex_jax.model.decode import unstack
from codex_jax.model.quantize import quantize
from codex_jax.planning.hlo import read_costs
from codex_jax.parallel.mesh import make_mesh
from codex_jax.training.state import abstract_state, shardings_of
from tests.sampling.letters import CONFIG, Letters, make_params

sizes, int8 = json.loads(sys.argv[1])
mesh = make_mesh(MeshConfig(**sizes), jax.devices()[: int(np.prod(list(sizes.values())))])
placed = shardings_of(abstract_state(TrainConfig(model=CONFIG), mesh).params)
tree = jax.tree.map(jax.device_put, make_params(), placed)
engine = Engine(CONFIG, unstack(quantize(tree) if int8 else tree), Letters(), mesh)
params = SamplingParams(max_new_tokens=40, stops=("e", "xy"))
requests = [SampleRequest(engine.encode("def " * n, params), n, range(7)) for n in range(5)]
completions = sample_all(engine, requests, params, 3, 3)
samples = sorted((one.request, one.number, one.sample.completion) for one in completions)
state = state_shapes(CONFIG, mesh, Layout(8, 4), 64, 64)
operands = make_sampling_scalars(params), engine.stop_tables(params.stops, False), engine.weights, state
with jax.set_mesh(mesh):
    step = engine.programs.advance.lower(params.program_key, *operands, np.int32(4), np.int32(32))
collectives = read_costs(step.compile().as_text()).collectives
sent = [[c.kind, c.name.split("/")[-1], c.bytes, len(c.group)] for c in collectives]
print(json.dumps([samples, sent]))
"""


def on_devices(int8=False, **sizes):
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps([{"fsdp": 1, **sizes}, int8])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_eight_devices_draw_the_same_samples_and_communicate_little():
    expected, nothing = on_devices(data=1)
    assert len(expected) == 35
    assert len({text for *_, text in expected}) > 25
    assert not nothing
    samples, sent = on_devices(data=8)
    assert samples == expected
    # Only whether all rows are done, and the length of the longest suffix.
    assert sum(count for *_, count, _ in sent) < 20
    samples, sent = on_devices(data=4, model=2)
    assert samples == expected
    # For 8 rows of width 32: sums of the embeddings and of two products per layer; the logits are gathered.
    activations = [(kind, count, ways) for kind, _, count, ways in sent if count > 20]
    assert sorted(activations) == [("all-gather", 2048, 2), *[("all-reduce", 1024, 2)] * 5]


def test_int8_weights_give_the_same_samples_on_a_mesh():
    expected, _ = on_devices(True, data=1)
    assert on_devices(True, data=2, model=2)[0] == expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("devices")
    make_run(root)
    write_problems(
        root / "p.jsonl", [humaneval_problem(f"t/{n}", f"def f{n}(x):\n", f"f{n}", "", "") for n in range(3)]
    )
    return root


def sample(folder, name, *flags):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    command = [sys.executable, "-m", "codex_jax.sample", "--run", f"{folder}/run", "--problems", f"{folder}/p.jsonl"]
    command += ["--n", "5", "--max-new-tokens", "12", "--out", f"{folder}/{name}", *flags]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def by_two_processes(folder, *flags):
    """(exit codes, [(stdout, stderr)])"""
    address = f"localhost:{free_port()}"
    hosts = ["--hosts.coordinator", address, "--hosts.count", "2", "--hosts.index"]
    # The second process has another --out, which it must neither read nor write.
    started = [sample(folder, name, *hosts, str(n), *flags) for n, name in enumerate(("two.jsonl", "no/two.jsonl"))]
    outputs = [process.communicate() for process in started]
    return [process.returncode for process in started], outputs


def test_two_processes_write_one_file_and_resume_it(folder):
    sample(folder, "one.jsonl").communicate()

    def texts(path):
        return [(row["task_id"], row["sample"], row["completion"]) for row in map(json.loads, path.open())]

    expected = texts(folder / "one.jsonl")
    assert len(expected) == 15
    codes, outputs = by_two_processes(folder)
    assert codes == [0, 0], outputs
    assert texts(folder / "two.jsonl") == expected
    assert not (folder / "no").exists()
    assert "two.jsonl" in outputs[0][0]
    assert "two.jsonl" not in outputs[1][0]
    # Now the first process has a journal with every second sample.
    settings = fingerprint_of_interrupted(folder)
    lines = (folder / "two.jsonl").read_text().splitlines(keepends=True)
    (folder / "two.jsonl").unlink()
    (folder / "two.jsonl.partial").write_text(settings + "".join(lines[::2]))
    codes, outputs = by_two_processes(folder)
    assert codes == [2, 2]
    assert "add --resume" in outputs[0][1]
    assert "first host" in outputs[1][1]
    codes, outputs = by_two_processes(folder, "--resume")
    assert codes == [0, 0], outputs
    assert texts(folder / "two.jsonl") == expected
    assert not (folder / "two.jsonl.partial").exists()


def fingerprint_of_interrupted(folder):
    """The journal's first line, from a run that fails when it publishes: by then a folder is in the way."""
    process = sample(folder, "blocked.jsonl")
    while process.poll() is None and not (folder / "blocked.jsonl.partial").exists():
        time.sleep(0.01)
    (folder / "blocked.jsonl").mkdir()
    assert "cannot write" in process.communicate()[1]
    return (folder / "blocked.jsonl.partial").open().readline()
