"""The same samples on one device, on eight simulated ones and by two processes; and what a step sends between them."""

import json
import os
import subprocess
import sys

import pytest

from codex_jax.problems.humaneval import humaneval_problem, write_problems
from tests.parallel.test_hosts import free_port
from tests.sampling.made_run import make_run

PROGRAM = """
import json, sys
import jax, numpy as np
from codex_jax.config import MeshConfig, TrainConfig
from codex_jax.sampling.engine import Bound, Engine
from codex_jax.sampling.scheduler import Layout
from codex_jax.sampling.params import SamplingParams, SampleRequest
from codex_jax.model.decode import unstack
from codex_jax.model.quantize import quantize
from codex_jax.planning.hlo import read_costs
from codex_jax.parallel.mesh import make_mesh
from codex_jax.training.state import abstract_state, shardings_of
from tests.sampling.letters import CONFIG, Letters, make_params

sizes, int8 = json.loads(sys.argv[1])
mesh = make_mesh(MeshConfig(**sizes), jax.devices()[: int(np.prod(list(sizes.values())))])
placed = shardings_of(abstract_state(TrainConfig(model=CONFIG), mesh).params)
params = jax.tree.map(jax.device_put, make_params(), placed)
engine = Engine(CONFIG, unstack(quantize(params) if int8 else params), Letters(), mesh)
how = SamplingParams(max_new_tokens=40, stops=("e", "xy"))
requests = [SampleRequest(engine.encode("def " * n, how), n, range(7)) for n in range(5)]
made = sorted((request, number, one.completion) for request, number, one in engine.sample(requests, how, 3, 3))
bound = Bound(engine, how, 0, 64)
state = bound.empty(Layout(8, 4))
with jax.set_mesh(mesh):
    numbers = np.int32(4), np.int32(32)
    step = engine.advance.lower(bound._kind, bound._numbers, bound._ends, engine.weights, state, *numbers)
found = read_costs(step.compile().as_text()).collectives
sent = [[c.kind, c.name.split("/")[-1], c.bytes, len(c.group)] for c in found]
print(json.dumps([made, sent]))
"""


def on_devices(int8=False, **sizes):
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps([{"fsdp": 1, **sizes}, int8])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_eight_devices_draw_what_one_draws_and_send_what_the_model_needs():
    alone, nothing = on_devices(data=1)
    assert len(alone) == 35
    assert len({text for *_, text in alone}) > 25
    assert not nothing
    copies, sent = on_devices(data=8)
    assert copies == alone
    # Whether all rows are done, and how far the longest suffix reaches.
    assert sum(count for *_, count, _ in sent) < 20
    parts, sent = on_devices(data=4, model=2)
    assert parts == alone
    # Of 8 rows by 32 numbers: looked-up embeddings and two products of each layer summed; logits gathered by row.
    activations = [(kind, count, ways) for kind, _, count, ways in sent if count > 20]
    assert sorted(activations) == [("all-gather", 2048, 2), *[("all-reduce", 1024, 2)] * 5]


def test_int8_weights_lie_on_a_mesh_as_others_do():
    alone, _ = on_devices(True, data=1)
    assert on_devices(True, data=2, model=2)[0] == alone


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("devices")
    make_run(root)
    write_problems(
        root / "p.jsonl", [humaneval_problem(f"t/{n}", f"def f{n}(x):\n", f"f{n}", "", "") for n in range(3)]
    )
    return root


def sample(made, name, *flags):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    command = [sys.executable, "-m", "codex_jax.sample", "--run", f"{made}/run", "--problems", f"{made}/p.jsonl"]
    command += ["--n", "5", "--max-new-tokens", "12", "--out", f"{made}/{name}", *flags]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def by_two(made, *flags):
    address = f"localhost:{free_port()}"
    hosts = ["--hosts.coordinator", address, "--hosts.count", "2", "--hosts.index"]
    # The second has a folder of its own: it must neither read nor write there.
    started = [sample(made, name, *hosts, str(n), *flags) for n, name in enumerate(("two.jsonl", "no/two.jsonl"))]
    ended = [process.communicate() for process in started]
    return [process.returncode for process in started], ended


def test_two_processes_write_one_file_and_go_on_with_it(made):
    alone = sample(made, "one.jsonl")
    alone.communicate()
    wanted = (made / "one.jsonl").read_text()

    def texts(path):
        return [(row["task_id"], row["sample"], row["completion"]) for row in map(json.loads, path.open())]

    codes, ended = by_two(made)
    assert codes == [0, 0], ended
    assert texts(made / "two.jsonl") == texts(made / "one.jsonl")
    assert not (made / "no").exists()
    assert "two.jsonl" in ended[0][0]
    assert "two.jsonl" not in ended[1][0]
    # Some are there on the first host only.
    (made / "two.jsonl").unlink()
    (made / "two.jsonl.partial").write_text("".join(wanted.splitlines(keepends=True)[::2]))
    codes, ended = by_two(made)
    assert codes == [2, 2]
    assert "add --resume" in ended[0][1]
    assert "first host" in ended[1][1]
    codes, ended = by_two(made, "--resume")
    assert codes == [0, 0], ended
    assert texts(made / "two.jsonl") == texts(made / "one.jsonl")
