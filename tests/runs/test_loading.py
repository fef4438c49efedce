import json
import shutil
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.runs import loading
from codex_jax.runs.checkpoints import Checkpoints

MODEL = ModelConfig(width=4, vocab_size=128)
ABOUT = loading.about(MODEL, "t", "d")
PARAMS = {"up": jnp.arange(6.0).reshape(2, 3), "down": jnp.ones(4, jnp.bfloat16)}
REST = {"step": jnp.int32(7)}


def abstract(tree):
    """The tree's ShapeDtypeStructs, laid out over this machine's devices."""
    sharding = NamedSharding(make_mesh(MeshConfig()), PartitionSpec())
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run folder with the checkpoints of steps 7 and 8."""
    folder = tmp_path_factory.mktemp("saved")
    with closing(Checkpoints(folder)) as checkpoints:
        for step in (7, 8):
            checkpoints.save(step, ABOUT, params=jax.tree.map(lambda x, n=step: x * n, PARAMS), rest=REST)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of `saved`."""
    return shutil.copytree(saved, tmp_path / "run")


def load(folder, step=None, expected=ABOUT, data=(), params=PARAMS, **trees):
    trees = {name: abstract(tree) for name, tree in trees.items()}
    return loading.load(folder, expected, step, data, params=abstract(params), **trees)


def test_the_newest_or_the_named_checkpoint_is_restored(folder):
    loaded = load(folder, rest=REST)
    assert (loaded.step, int(loaded.trees["rest"]["step"])) == (8, 7)
    np.testing.assert_array_equal(loaded.trees["params"]["up"], [[0, 8, 16], [24, 32, 40]])
    assert loaded.trees["params"]["down"].dtype == jnp.bfloat16
    assert isinstance(loaded.trees["params"]["up"].sharding, NamedSharding)
    np.testing.assert_array_equal(load(folder, step=7).trees["params"]["up"], [[0, 7, 14], [21, 28, 35]])


def test_parameters_are_restored_in_the_dtype_asked_for(folder):
    wide = jax.tree.map(lambda leaf: leaf.astype("float32"), PARAMS)
    loaded = load(folder, params=wide)
    assert loaded.trees["params"]["down"].dtype == jnp.float32
    np.testing.assert_array_equal(loaded.trees["params"]["down"], [8, 8, 8, 8])


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip_digest(folder):
    path = folder / "_CHECKPOINT_METADATA"
    values = json.loads(path.read_text())
    values["custom_metadata"]["digests"]["params"] ^= 1
    path.write_text(json.dumps(values))


DAMAGE = {
    "no tree": lambda folder: shutil.rmtree(folder / "params"),
    "empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "no metadata": lambda folder: (folder / "_CHECKPOINT_METADATA").unlink(),
    "metadata cut short": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text('{"custom_meta'),
    "metadata is a list": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text("[]"),
    "tree metadata cut short": lambda folder: (folder / "params" / "_METADATA").write_text("{"),
    "no manifest": lambda folder: (folder / "params" / "manifest.ocdbt").unlink(),
    "an empty file": lambda folder: largest(folder / "params").write_bytes(b""),
    "a file cut short": lambda folder: largest(folder / "params").write_bytes(
        largest(folder / "params").read_bytes()[:-9]
    ),
    "all files empty": lambda folder: [p.write_bytes(b"") for p in folder.rglob("*") if p.is_file()],
    "other contents": flip_digest,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_newest_one_is_skipped_with_a_warning(folder, capsys, damage):
    damage(folder / "checkpoints" / "8")
    loaded = load(folder)
    assert loaded.step == 7
    np.testing.assert_array_equal(loaded.trees["params"]["up"], [[0, 7, 14], [21, 28, 35]])
    error = capsys.readouterr().err
    assert error.startswith("warning: ")
    assert "checkpoints/8 is damaged" in error
    assert error.count("\n") == 1
    with pytest.raises(InputError, match=r"8 is damaged: .*name another step"):
        load(folder, step=8)


def test_only_damaged_checkpoints_are_bad_input(folder):
    for step in ("7", "8"):
        shutil.rmtree(folder / "checkpoints" / step / "params")
    with pytest.raises(InputError, match=r"checkpoints/8 is damaged: .*: remove it"):
        load(folder)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (loading.about(ModelConfig(width=8, vocab_size=128), "t"), r"8 does not fit .*: width 4 instead of 8"),
        (loading.about(MODEL, "u"), "8 was trained with another tokenizer"),
    ],
)
def test_a_checkpoint_of_another_run_is_bad_input(folder, expected, message):
    with pytest.raises(InputError, match=message):
        load(folder, expected=expected)


def test_a_checkpoint_of_other_data_is_bad_input_unless_the_run_has_used_them(folder):
    assert load(folder, data=["c", "d"]).step == 8
    with pytest.raises(InputError, match="was trained on other data"):
        load(folder, data=["c"])


@pytest.mark.parametrize(
    "params", [{**PARAMS, "up": jnp.zeros((3, 3))}, {"up": PARAMS["up"]}, {**PARAMS, "more": jnp.zeros(2)}]
)
def test_other_shapes_or_names_are_bad_input(folder, params):
    with pytest.raises(InputError, match=r"checkpoints/8 does not fit the model of config.json"):
        load(folder, params=params)


def test_a_step_without_checkpoint_is_bad_input(folder, tmp_path):
    with pytest.raises(InputError, match="no checkpoint of step 6: it has 7, 8"):
        load(folder, step=6)
    with pytest.raises(InputError, match="has no checkpoint: train it first"):
        load(tmp_path)
