from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from codex_jax.errors import InputError
from codex_jax.planning.compiling import Plan, compile_lowered, exhausted_bytes, shard_bytes, write_hlo


def test_bytes_are_read_from_the_compilers_message():
    assert exhausted_bytes("RESOURCE_EXHAUSTED: Used 20.50G of 15.75G hbm.") == round(20.5 * 1024**3)
    message = "RESOURCE_EXHAUSTED: memory required for HLO temporaries (100.29G) exceeds (15.75G)"
    assert exhausted_bytes(message) == round(100.29 * 1024**3)
    assert exhausted_bytes("INTERNAL: no") is None
    assert exhausted_bytes("INTERNAL: Used 20.50G of 15.75G hbm.") is None


def test_a_file_is_written_whole(tmp_path):
    write_hlo(str(tmp_path / "x.hlo"), "text")
    assert [path.name for path in tmp_path.iterdir()] == ["x.hlo"]
    with pytest.raises(InputError, match="cannot write --hlo"):
        write_hlo(str(tmp_path / "missing" / "x.hlo"), "text")


def test_a_donated_argument_counts_once(tmp_path):
    shape = jax.ShapeDtypeStruct((1024,), jnp.float32)
    plain = compile_lowered(jax.jit(lambda x: x + 1).lower(shape))
    donated = compile_lowered(jax.jit(lambda x: x + 1, donate_argnums=0).lower(shape), str(tmp_path / "x.hlo"))
    assert plain.arguments == donated.arguments == 4096
    assert plain.peak - donated.peak == 4096
    assert (tmp_path / "x.hlo").read_text() == donated.text


class Failing:
    """A lowered program that does not compile."""

    def __init__(self, message):
        self.message = message

    def compile(self):
        raise ValueError(self.message)

    def as_text(self, dialect):
        return f"HloModule in {dialect}"


def test_a_program_that_needs_too_much_memory_has_no_text(tmp_path):
    compiled = compile_lowered(Failing("RESOURCE_EXHAUSTED: Used 2K of 1K hbm."), str(tmp_path / "x.hlo"))
    assert (compiled.text, compiled.peak, compiled.temporary) == ("", 2048, 2048)
    assert (tmp_path / "x.hlo").read_text() == "HloModule in hlo\n// RESOURCE_EXHAUSTED: Used 2K of 1K hbm.\n"


def test_any_other_failure_is_one_line():
    with pytest.raises(InputError, match="the compiler refused this program: INTERNAL: unsupported"):
        compile_lowered(Failing("INTERNAL: unsupported"))


def test_bytes_of_a_tree_are_those_of_one_device():
    mesh = jax.sharding.AbstractMesh((4, 2), ("a", "b"))
    split = NamedSharding(mesh, PartitionSpec("a", "b"))
    on_host = NamedSharding(mesh, PartitionSpec(), memory_kind="pinned_host")
    tree = {
        "split": jax.ShapeDtypeStruct((8, 6), jnp.bfloat16, sharding=split),
        "whole": jax.ShapeDtypeStruct((3,), jnp.int8, sharding=on_host),
    }
    assert shard_bytes(tree) == 2 * 3 * 2
    assert shard_bytes(tree, "pinned_host") == 3


@dataclass(frozen=True)
class Speed:
    step_seconds: float


@dataclass(frozen=True)
class SomePlan(Plan):
    remat: str

    null_keys = ("step_seconds", "mfu")


def test_json_has_the_figures_of_speed_among_the_others():
    common = {
        "fits": True,
        "topology": "v5e:2x2",
        "chips": 4,
        "mesh": {"data": 4},
        "hbm_bytes": 10,
        "peak_bytes": 5,
        "temporary_bytes": 1,
        "compile_seconds": 2.0,
        "remat": "dots",
    }
    assert SomePlan(**common, speed=Speed(3.0)).to_json() == common | {"step_seconds": 3.0}
    assert SomePlan(**common, speed=None).to_json() == common | {"step_seconds": None, "mfu": None}
