import dataclasses
import importlib.util
import json
import subprocess
import sys

import jax
import pytest

from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.planning.decode_plan import DecodeSettings, lower_sampler
from codex_jax.planning.hlo import read_costs
from codex_jax.planning.token_step import NUCLEUS_PASSES, trip_count
from codex_jax.sampling.scheduler import STEPS, Layout

needs_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu (extra tpu)")
LAYERS, WIDTH, VOCAB = 2, 1024, 512
MODEL = ModelConfig(layers=LAYERS, width=WIDTH, heads=8, context=1024, vocab_size=VOCAB, compute_dtype="bfloat16")
SETTINGS = DecodeSettings(prompt=285, batch=100, max_new_tokens=300)
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
    ("flags", "message"),
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
def test_bad_input_is_one_line(tmp_path, flags, message):
    done = plan(tmp_path, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_rows_are_the_schedulers_for_human_eval():
    assert SETTINGS.layout(1) == Layout(8, 12)
    assert SETTINGS.layout(4) == Layout(32, 12)
    assert dataclasses.replace(SETTINGS, batch=3).layout(2) == Layout(6, 1)


@pytest.mark.parametrize("int8", [False, True])
def test_bytes_of_weights_and_caches(int8):
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    settings = dataclasses.replace(SETTINGS, int8=int8)
    _, _, sizes = lower_sampler(MODEL, settings, mesh, Layout(8, 12), 320, 320)
    rest = VOCAB * WIDTH * 2 + 1024 * WIDTH * 2 + 2 * WIDTH * 4 + LAYERS * (4 * WIDTH * 4 + 9 * WIDTH * 2)
    layers = LAYERS * (LAYER_WEIGHTS + 9 * WIDTH * 4) if int8 else LAYERS * LAYER_WEIGHTS * 2
    token = 2 * LAYERS * WIDTH * 2
    assert sizes == {
        "weight_bytes": rest + layers,
        "loading_bytes": rest + LAYERS * LAYER_WEIGHTS * 2 + LAYERS * 4 * WIDTH * WIDTH * 2,
        "prefix_bytes": 8 * (320 * token + 4),
        "suffix_bytes": 96 * (320 * token + 4),
    }


def test_settings_that_cannot_be_sampled_with_are_refused():
    for bad in ({"batch": 0}, {"prompt": 0}, {"prompt": 1023}, {"max_new_tokens": 0}):
        with pytest.raises(InputError):
            dataclasses.replace(SETTINGS, **bad).check(MODEL.context)
    SETTINGS.check(MODEL.context)


def test_the_sampler_names_its_loops_as_the_plan_looks_for_them():
    model = ModelConfig(layers=1, width=32, heads=2, context=256, vocab_size=512)
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    advance, _, _ = lower_sampler(model, DecodeSettings(), mesh, Layout(1, 2), 64, 64)
    trips = set()
    read_costs(advance.compile().as_text(), trip_count=lambda name: trips.add(trip_count(name)))
    assert trips >= {STEPS, NUCLEUS_PASSES}


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
