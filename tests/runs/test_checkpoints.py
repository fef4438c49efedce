import os
import shutil
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from codex_jax.config import MeshConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.runs import checkpoints

PARAMS = {"up": jnp.arange(6.0).reshape(2, 3), "down": jnp.ones(4, jnp.bfloat16)}
REST = {"step": jnp.int32(7)}


def abstract(tree):
    """The tree's ShapeDtypeStructs, laid out over this machine's devices."""
    sharding = NamedSharding(make_mesh(MeshConfig()), PartitionSpec())
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


@pytest.fixture
def folder(tmp_path):
    """A run folder with the checkpoints of steps 7 and 8, after those of 5 and 6 were deleted."""
    with closing(checkpoints.open_manager(tmp_path, keep=2)) as manager:
        for step in (5, 6, 7, 8):
            checkpoints.save(manager, step, params=jax.tree.map(lambda x, n=step: x * n, PARAMS), rest=REST)
    return tmp_path


def test_the_newest_are_kept_and_each_tree_has_a_folder(folder):
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["7", "8"]
    names = {path.name for path in (folder / "checkpoints" / "8").iterdir()}
    assert {"params", "rest"} <= names


def test_named_trees_are_restored(folder):
    with closing(checkpoints.open_manager(folder, read_only=True)) as manager:
        saved = checkpoints.restore(manager, 7, params=abstract(PARAMS), rest=abstract(REST))
    assert saved.keys() == {"params", "rest"}
    np.testing.assert_array_equal(saved["params"]["up"], [[0, 7, 14], [21, 28, 35]])
    assert saved["params"]["down"].dtype == jnp.bfloat16
    assert int(saved["rest"]["step"]) == 7


def test_parameters_are_restored_without_the_rest_in_the_dtype_asked_for(folder):
    wide = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, "float32"), PARAMS)
    params, step = checkpoints.restore_params(folder, abstract(wide))
    assert step == 8
    assert params["down"].dtype == jnp.float32
    np.testing.assert_array_equal(params["down"], [8, 8, 8, 8])
    assert isinstance(params["up"].sharding, NamedSharding)


def test_another_shape_is_bad_input(folder):
    other = {**PARAMS, "up": jnp.zeros((3, 3))}
    with pytest.raises(InputError, match=r"checkpoints/8 does not fit the model of config.json"):
        checkpoints.restore_params(folder, abstract(other))


def damage(folder, fault):
    """Damages the newest checkpoint, 8."""
    newest = folder / "checkpoints" / "8"
    if fault == "empty folder":
        (folder / "checkpoints" / "999").mkdir()
    elif fault == "without parameters":
        shutil.rmtree(newest / "params")
    elif fault == "without an index":
        (newest / "params" / "manifest.ocdbt").unlink()
    elif fault == "cut":
        for path in [path for path in (newest / "params").rglob("d/*") if path.is_file()]:
            os.truncate(path, path.stat().st_size // 2)
    elif fault == "emptied":
        for path in [path for path in (newest / "params").rglob("*") if path.is_file()]:
            os.truncate(path, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["empty folder", "without parameters", "without an index", "cut", "emptied"])
def test_an_older_checkpoint_is_taken_if_the_newest_is_damaged(folder, capsys, fault):
    damage(folder, fault)
    params, step = checkpoints.restore_params(folder, abstract(PARAMS))
    assert step == (8 if fault == "empty folder" else 7)
    np.testing.assert_array_equal(params["down"], [step] * 4)
    warning = capsys.readouterr().err
    broken = 999 if fault == "empty folder" else 8
    assert f"warning: {folder}/checkpoints/{broken} is damaged: " in warning
    assert f"delete it to use an older one; using step {step} instead" in warning
    shutil.rmtree(folder / "checkpoints" / str(step))
    if fault != "empty folder":
        with pytest.raises(InputError, match="checkpoints/8 is damaged") as caught:
            checkpoints.restore_params(folder, abstract(PARAMS))
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["²", "٣٣٣", "0999", "-5", "1e9", "9.orbax-checkpoint-tmp", "notes"])
def test_foreign_folders_are_no_checkpoints(folder, capsys, name):
    (folder / "checkpoints" / name).mkdir()
    (folder / "checkpoints" / "1000").write_text("a file")
    assert checkpoints.restore_params(folder, abstract(PARAMS))[1] == 8
    assert "damaged" not in capsys.readouterr().err


def test_a_run_without_checkpoints_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="has no checkpoint"):
        checkpoints.restore_params(tmp_path, abstract(PARAMS))
