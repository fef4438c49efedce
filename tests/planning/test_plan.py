import importlib.util
import json
import subprocess
import sys

import pytest

from codex_jax import cli
from codex_jax import plan as plan_command
from codex_jax.config import MeshConfig
from codex_jax.errors import InputError

needs_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu (extra tpu)")
EXPERIMENT = """
from codex_jax.config import ModelConfig, TrainConfig
config = TrainConfig(
    name="x",
    batch_size=8,
    model=ModelConfig(layers=3, width=256, heads=2, context=256, vocab_size=512, compute_dtype="bfloat16"),
)
"""
WITH_SLICE = EXPERIMENT.replace('name="x"', 'name="x", topology="v5e:5x5"')
KEYS = {"fits", "chips", "hbm_bytes", "peak_bytes", "step_seconds", "mfu", "tokens_per_second", "compile_seconds"}


def plan(tmp_path, *flags, text=EXPERIMENT):
    """Another process: planning settles which platform JAX has."""
    (tmp_path / "x.py").write_text(text)
    command = [sys.executable, "-m", "codex_jax.plan", str(tmp_path / "x.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "flags",
    [
        ["--topology", "v5e:3x3"],
        ["--topology", "v4:2x2x1", "--steps", "0"],
        ["--topology", "v4:2x2x1", "--search", "--compile", "0"],
        ["--search"],
    ],
)
def test_bad_input_is_one_line(tmp_path, flags):
    done = plan(tmp_path, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="libtpu is installed")
def test_without_libtpu_the_error_says_what_to_install(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:2x2")
    assert done.returncode == 2
    assert "pip install 'codex_jax[tpu]'" in done.stderr


@pytest.mark.slow
def test_without_a_slice_the_smallest_ones_are_listed_with_their_commands(tmp_path):
    done = plan(tmp_path, "--steps", "9")
    assert done.returncode == 0, done.stderr
    assert f"python -m codex_jax.plan {tmp_path}/x.py --steps 9 --topology v5e:1x1" in done.stdout
    listed = json.loads(plan(tmp_path, "--json").stdout)
    assert [one["topology"] for one in listed["suggestions"]][-3:] == ["v5e:1x1", "v5p:2x2x1", "v6e:1x1"]
    any_slice = plan(tmp_path, "--topology", "any", "--json", text=WITH_SLICE)
    assert json.loads(any_slice.stdout) == listed


def test_the_experiments_own_slice_is_used(tmp_path):
    done = plan(tmp_path, text=WITH_SLICE)
    assert done.returncode == 2
    assert "unknown topology 'v5e:5x5'" in done.stderr


@needs_libtpu
def test_a_tiny_model_is_compiled_for_four_chips(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:2x2", "--json", "--hlo", str(tmp_path / "x.hlo"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {*KEYS, "collective_bytes"} <= set(result)
    assert result["chips"] == 4
    assert result["fits"]
    assert 0 < result["parameter_bytes"] < result["peak_bytes"] < result["hbm_bytes"]
    assert result["optimizer_bytes"] == pytest.approx(2 * result["parameter_bytes"], rel=0.01)
    assert result["collective_bytes"]["all-gather"] > 0
    assert 0 < result["mfu_slow_kernels"] < result["mfu"] < 1
    assert result["kernel_seconds"] > 0
    assert (tmp_path / "x.hlo").read_text().startswith("HloModule")


@needs_libtpu
def test_a_run_that_does_not_fit_exits_1_and_gets_a_suggestion(tmp_path):
    flags = ["--batch-size", "4096", "--model.vocab-size", "50304", "--hlo", str(tmp_path / "x.hlo")]
    done = plan(tmp_path, "--topology", "v5e:1x1", "--json", *flags)
    result = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert not result["fits"]
    assert result["peak_bytes"] > result["hbm_bytes"]
    assert result["suggestion"]["topology"].startswith("v5e:")
    assert "RESOURCE_EXHAUSTED" in (tmp_path / "x.hlo").read_text()


@needs_libtpu
def test_a_search_prints_its_best_plan_as_flags_and_lines(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:2x2", "--search", "--compile", "1")
    assert done.returncode == 0, done.stderr
    assert "the best as flags: --mo" in done.stdout
    assert "mesh=MeshConfig(" in done.stdout


@pytest.mark.parametrize(
    ("flags", "mesh"),
    [([], MeshConfig(data=-1, fsdp=1)), (["--mesh.model", "4"], MeshConfig(data=-1, fsdp=1, model=4))],
)
def test_flags_change_the_samplers_own_mesh_and_not_the_experiments(tmp_path, monkeypatch, flags, mesh):
    meshes = []

    def plan_decoding(model, mesh, *others):
        meshes.append(mesh)
        raise InputError("far enough")

    monkeypatch.setattr(plan_command, "plan_decoding", plan_decoding)
    monkeypatch.setattr(plan_command, "prepare_environment", lambda: None)
    (tmp_path / "x.py").write_text(
        "from codex_jax.config import MeshConfig, TrainConfig\nconfig = TrainConfig(mesh=MeshConfig(data=2))\n"
    )
    words = [str(tmp_path / "x.py"), "--decode", "--topology", "v5e:2x2", *flags]
    assert cli.run_experiment(plan_command.main, plan_command.PlanConfig, words) == 2
    assert meshes == [mesh]


def test_the_experiment_file_is_run_once(tmp_path):
    log = tmp_path / "log"
    done = plan(tmp_path, "--json", text=EXPERIMENT + f"open({str(log)!r}, 'a').write('run ')\n")
    assert done.returncode == 0, done.stderr
    assert log.read_text() == "run "
