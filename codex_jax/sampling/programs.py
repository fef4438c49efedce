"""The sampler's compiled functions, and the shapes of their arguments, to compile them without devices."""

from functools import partial
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from codex_jax.config import ModelConfig
from codex_jax.errors import InputError
from codex_jax.model.cache import SLOTS
from codex_jax.model.decode import Weights, unstack
from codex_jax.model.geometry import contraction_axis, parameter_at
from codex_jax.model.gpt import init_params
from codex_jax.model.product import precise
from codex_jax.model.quantize import quantize
from codex_jax.parallel.mesh import shardings
from codex_jax.sampling import rows
from codex_jax.sampling.params import SamplingParams
from codex_jax.sampling.rows import Layout


class Jitted(NamedTuple):
    """The jitted functions of rows.py. All but `empty` donate their state argument."""

    empty: Any
    place: Any
    refill: Any
    advance: Any


def jitted(config: ModelConfig, eot: int, mesh: Mesh) -> Jitted:
    """The functions for one model on a mesh."""
    placed = state_shardings(mesh)
    return Jitted(
        empty=jax.jit(partial(rows.empty_state, config), static_argnums=(0, 1, 2, 3), out_shardings=placed),
        place=jax.jit(partial(precise(config, rows.place), config, eot), donate_argnums=1, out_shardings=placed),
        refill=jax.jit(rows.refill, donate_argnums=0, out_shardings=placed),
        advance=jax.jit(
            partial(precise(config, rows.advance), config), static_argnums=0, donate_argnums=4, out_shardings=placed
        ),
    )


def copies_of(mesh: Mesh) -> int:
    """The number of copies of the model on a mesh. Each draws its own rows."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def slots_for(config: ModelConfig, params: SamplingParams) -> int:
    """How many new tokens a row has room for."""
    return -(-min(params.max_new_tokens, config.context - 1) // SLOTS) * SLOTS


def check_mesh(config: ModelConfig, mesh: Mesh) -> None:
    """Raises InputError if the model cannot decode on this mesh."""
    if mesh.shape["sequence"] != 1:
        raise InputError("--mesh.sequence must be 1: sampling decodes one token at a time, which cannot be split")
    if config.heads % mesh.shape["model"]:
        raise InputError(f"--mesh.model {mesh.shape['model']} does not divide the model's {config.heads} heads")


def state_shardings(mesh: Mesh) -> rows.State:
    """A NamedSharding for the arrays of each field of a State."""
    is_spec = {"is_leaf": lambda leaf: isinstance(leaf, PartitionSpec)}
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), rows.state_axes(), **is_spec)


def state_shapes(config: ModelConfig, mesh: Mesh, layout: Layout, prompt_slots: int, new_slots: int) -> rows.State:
    """A State of ShapeDtypeStructs with shardings."""
    with jax.set_mesh(mesh):  # the sizes of a suffix's blocks depend on the platform
        shapes = jax.eval_shape(lambda: rows.empty_state(config, *layout, prompt_slots, new_slots))
    return jax.tree.map(_placed, shapes, jax.tree.broadcast(state_shardings(mesh), shapes))


def param_shapes(config: ModelConfig, mesh: Mesh) -> Any:
    """Sharded ShapeDtypeStructs of the parameters for decoding: norms in float32, the rest in the compute dtype."""
    boxed = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))

    def loaded(path: tuple, leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        dtype = jnp.float32 if parameter_at(path).stays_float32 else config.compute_dtype
        return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(loaded, nn.meta.unbox(boxed), cast(Any, shardings(boxed, mesh)))


def weight_shapes(config: ModelConfig, mesh: Mesh, int8: bool = False) -> Weights:
    """The shapes of unstack(param_shapes), quantized with int8, with the shardings that the compiler gives them."""
    params = param_shapes(config, mesh)
    shapes = jax.eval_shape(lambda tree: unstack(quantize(tree) if int8 else tree), params)

    def layer(path: tuple, leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        *names, last = [key.key for key in path]
        stacked = params["blocks"]
        for name in names:
            stacked = stacked[name]
        quantized = last == "scale" and "kernel" in stacked
        spec = list(stacked["kernel" if quantized else last].sharding.spec[1:])
        if quantized:
            spec.pop(contraction_axis(names[-1]))
        return _placed(leaf, NamedSharding(mesh, PartitionSpec(*spec)))

    outer = {name: tree for name, tree in params.items() if name != "blocks"}
    return Weights(outer, tuple(jax.tree_util.tree_map_with_path(layer, tree) for tree in shapes.layers))


def _placed(leaf: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
