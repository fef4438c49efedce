import pytest

from tests.sampling.conftest import engine, params  # noqa: F401
from tests.serving.endpoint import serving


@pytest.fixture(scope="session")
def port(engine):  # noqa: F811
    with serving(engine, batch=4) as (port, _):
        yield port
