import pytest

from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.sampler import COPIES
from tests.sampling.letters import CONFIG, Letters, make_params
from tests.serving.endpoint import serving


@pytest.fixture(scope="session")
def engine():
    return Engine(CONFIG, unstack(make_params()), Letters(), make_mesh(COPIES))


@pytest.fixture(scope="session")
def port(engine):
    with serving(engine, batch=4) as (port, _):
        yield port
