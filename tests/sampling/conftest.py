import pytest

from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.sampler import COPIES
from tests.sampling.letters import CONFIG, Letters, make_params


@pytest.fixture(scope="session")
def params():
    return make_params()


@pytest.fixture(scope="session")
def engine(params):
    return Engine(CONFIG, unstack(params), Letters(), make_mesh(COPIES))
