import dataclasses
import importlib.util
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.planning.chips import CHIPS
from codex_jax.planning.decode_plan import DecodeJob, lower
from codex_jax.planning.hlo import Collective, Costs
from codex_jax.planning.token_step import (
    human_eval_seconds,
    largest_batch,
    prefill_flops,
    seconds_of,
    step_flops,
    turns,
)
from codex_jax.sampling.params import SamplingParams
from codex_jax.sampling.scheduler import Layout

needs_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu (extra tpu) is not there")
LAYERS, WIDTH, VOCAB = 2, 1024, 512
MODEL = ModelConfig(layers=LAYERS, width=WIDTH, heads=8, context=1024, vocab_size=VOCAB, compute_dtype="bfloat16")
JOB = DecodeJob(MODEL, MeshConfig(data=-1, fsdp=1), prompt=285, batch=100, how=SamplingParams(max_new_tokens=300))
LAYER_WEIGHTS = 12 * WIDTH**2
EXPERIMENT = f"""
from codex_jax.config import ModelConfig, TrainConfig
config = TrainConfig(name="x", batch_size=8, model={MODEL!r})
"""


def plan(tmp_path, *flags):
    """Another process: planning settles which platform JAX has."""
    (tmp_path / "x.py").write_text(EXPERIMENT)
    command = [sys.executable, "-m", "codex_jax.plan", str(tmp_path / "x.py"), "--decode", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--topology"),
        (["--topology", "v5e:2x2", "--search"], "--search"),
        (["--topology", "v5e:3x3"], "unknown topology"),
        (["--topology", "v5e:2x2", "--prompt", "1023"], "context"),
        (["--topology", "v5e:2x2", "--batch", "0"], "--batch"),
        (["--topology", "v5e:2x2", "--max-new-tokens", "0"], "--max-new-tokens"),
        pytest.param(["--topology", "v5e:2x2", "--mesh.model", "3"], "cover 4 devices", marks=needs_libtpu),
        pytest.param(["--topology", "v5e:4x4", "--mesh.model", "16"], "8 heads", marks=needs_libtpu),
    ],
)
def test_bad_input_is_one_line(tmp_path, flags, said):
    done = plan(tmp_path, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_rows_are_the_schedulers_for_human_eval():
    assert JOB.layout(1) == Layout(8, 12)
    assert JOB.layout(4) == Layout(32, 12)
    assert dataclasses.replace(JOB, batch=3).layout(2) == Layout(6, 1)


@pytest.mark.parametrize("int8", [False, True])
def test_bytes_of_weights_and_caches(int8):
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    programs = lower(dataclasses.replace(JOB, int8=int8), mesh, Layout(8, 12), 320, 320)
    rest = VOCAB * WIDTH * 2 + 1024 * WIDTH * 2 + 2 * WIDTH * 4 + LAYERS * (4 * WIDTH * 4 + 9 * WIDTH * 2)
    layers = LAYERS * (LAYER_WEIGHTS + 9 * WIDTH * 4) if int8 else LAYERS * LAYER_WEIGHTS * 2
    assert programs.weights == rest + layers
    assert programs.loading == rest + LAYERS * LAYER_WEIGHTS * 2 + LAYERS * 4 * WIDTH * WIDTH * 2
    token = 2 * LAYERS * WIDTH * 2
    assert programs.prefix == 8 * (320 * token + 4)
    assert programs.suffix == 96 * (320 * token + 4)


def test_settings_that_cannot_be_sampled_with_are_refused():
    for bad in ({"batch": 0}, {"prompt": 0}, {"prompt": 1023}, {"how": SamplingParams(top_p=0)}):
        with pytest.raises(InputError):
            dataclasses.replace(JOB, **bad).check()


def test_flops_count_weights_twice_and_what_attention_looks_at():
    weights = LAYERS * LAYER_WEIGHTS + VOCAB * WIDTH
    assert step_flops(MODEL, 96, 0) == 2 * 96 * weights
    assert step_flops(MODEL, 96, 640) - step_flops(MODEL, 96, 0) == 96 * LAYERS * 640 * 4 * WIDTH
    # The causal half of 4 x 320 x width for each token and layer, and no logits.
    assert prefill_flops(MODEL, 4, 320) == 4 * 320 * LAYERS * (2 * LAYER_WEIGHTS + 2 * 320 * WIDTH)


def test_the_largest_batch_fills_what_is_usable():
    # 100 rows take 40 of 100 bytes, 20 of them in proportion: 77 more than the fixed 20 hold 385 rows.
    assert largest_batch(100, 40, 100, 20) == 385
    assert largest_batch(100, 140, 100, 40) == 0
    assert largest_batch(100, 140, 100, 100) == 57


def test_a_step_is_its_longest_measure_and_what_waits():
    chip, mesh = CHIPS["v5e"], _Mesh()
    sent = [Collective("all-reduce", 90e6, (0, 1), True, 1), Collective("all-gather", 45e6, (0, 1), False, 2)]
    costs = Costs(cycles=chip.clock * 0.004, collectives=sent)
    found = seconds_of(costs, "v5e:2x2", chip, mesh, read=chip.hbm_bandwidth * 0.003, flops=chip.peak_flops * 0.002)
    # Two neighbours of an axis that is no ring: half of its 90 GB/s.
    assert found == pytest.approx(
        {
            "cycle_seconds": 0.004,
            "read_seconds": 0.003,
            "flop_seconds": 0.002,
            "asynchronous_seconds": 0.002,
            "waiting_seconds": 0.002,
            "seconds": 0.006,
        }
    )


class _Mesh:
    """Two neighbours."""

    class devices:
        flat = (type("Device", (), {"coords": (0, 0, 0)}), type("Device", (), {"coords": (1, 0, 0)}))


def test_loops_run_as_often_as_they_are_known_to():
    assert turns("jit(advance)/while") == 64
    assert turns("jit(advance)/while/body/cutoff/while") == 11
    assert turns("jit(advance)/while/body/while") is None


def test_of_a_condition_the_branch_of_false_is_counted():
    # Attention reads a block of slots in it: see attend_cached.
    def step(kept, x):
        return jax.lax.cond(kept, lambda x: x, lambda x: jnp.tanh(x @ x), x)

    text = jax.jit(step).lower(True, jnp.ones((64, 64))).compile().as_text()
    first = text.split("branch_computations={")[1].split(",")[0].strip("%")
    body = text.split(f"\n%{first} ")[1].split("\n}")[0]
    assert "dot" in body or "tanh" in body


def test_human_eval_is_its_tokens_and_its_prompts():
    assert human_eval_seconds(4_920.0, 0.5, 4) == pytest.approx(1000 + 41 * 0.5)


@needs_libtpu
@pytest.mark.parametrize("flags", [[], ["--int8"]])
def test_a_small_model_is_compiled_for_four_chips(tmp_path, flags):
    hlo = tmp_path / "x.hlo"
    flags = [*flags, "--topology", "v5e:2x2", "--mesh.model", "2", "--json", "--hlo", str(hlo)]
    done = plan(tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    step, rows = result["step"], 96
    assert result["fits"]
    assert (result["chips"], result["rows"], result["prompts"]) == (4, 2 * rows, 16)
    assert result["bytes_a_sample"] == 2 * LAYERS * WIDTH // 2 * 2 * 320 + 4
    held = result["weight_bytes"] + result["prefix_bytes"] + result["suffix_bytes"]
    assert held < result["peak_bytes"] < result["hbm_bytes"]
    assert step["read_bytes"] == held
    # The cache is not copied, and no weight is widened before the loop: even one layer's would show.
    assert result["temporary_bytes"] < min(result["suffix_bytes"] / 4, LAYER_WEIGHTS / 2 * 2)
    # Two sums a layer and the embedding's, in bfloat16; how long the longest sample of both copies is; the logits in
    # float32, to their rows; nothing else is sent.
    assert step["collective_bytes"] == {
        "all-gather": rows * VOCAB * 4 // 2,
        "all-reduce": (2 * LAYERS + 1) * rows * WIDTH * 2 + 4,
        "reduce-scatter": 0,
        "all-to-all": 0,
        "collective-permute": 0,
    }
    assert step["seconds"] >= max(step["read_seconds"], step["cycle_seconds"])
    assert 0 < step["tokens_per_second_slow"] < step["tokens_per_second"]
    assert result["largest_batch"] > rows
    # The whole state is given back where it lay.
    aliases = hlo.read_text().partition("\n")[0].count("may-alias")
    blocks = 2  # of 160 slots
    assert aliases == 2 * LAYERS + 1 + 2 * LAYERS * blocks + 1 + 8
    assert (tmp_path / "x.hlo.prefill").read_text().startswith("HloModule jit_place")


@needs_libtpu
def test_what_does_not_fit_exits_1_and_says_how_many_would(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:1x1", "--json", "--batch", "12000")
    result = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert not result["fits"]
    assert result["peak_bytes"] > result["hbm_bytes"]
    assert result["step"] is None
    assert 2000 < result["largest_batch"] < 12000
