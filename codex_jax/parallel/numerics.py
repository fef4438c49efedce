"""JAX's settings that change what a model computes. Environment variables of the same names set them."""

import os

import jax

from codex_jax import terminal
from codex_jax.errors import InputError

FIXED = {
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_random_seed_offset": 0,
    "jax_threefry_partitionable": True,
}
PLATFORMS = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")


def changed() -> list[str]:
    """The settings that do not have their value in FIXED."""
    return [name for name, value in FIXED.items() if getattr(jax.config, name) != value]


def fix() -> None:
    """Sets all of FIXED, for a command; says which were set otherwise, which would change samples and training."""
    for name in changed():
        terminal.note(f"{name.upper()}={os.environ.get(name.upper(), '')} is ignored: it would change the results")
        jax.config.update(name, FIXED[name])


def check() -> None:
    """InputError if a setting is not as in FIXED, for a program whose settings are its own."""
    for name in changed():
        raise InputError(f"{name} would change the samples: set it to {FIXED[name]!r}, or unset {name.upper()}")


def check_platform() -> None:
    """InputError if JAX cannot use the platform that the environment names."""
    try:
        jax.devices()
    except Exception as error:  # a missing plugin is an AssertionError without a message
        reason = str(error).strip().partition("\n")[0] or "its plugin for JAX is not installed"
        named = [f"{name}={os.environ[name]}" for name in PLATFORMS if os.environ.get(name)]
        advice = f"unset {' and '.join(named)}, or name cpu" if named else "JAX_PLATFORMS=cpu uses the CPU"
        raise InputError(f"JAX cannot start: {reason}: {advice}") from None
