"""One cache of compiled programs for all tests of a run and the commands they start: many compile the same ones."""

import os
import shutil
import tempfile

CACHE = "JAX_COMPILATION_CACHE_DIR"
ours = CACHE not in os.environ
if ours:  # the processes that tests run in inherit it
    os.environ[CACHE] = tempfile.mkdtemp(prefix="codex_jax-compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_unconfigure():
    if ours:
        shutil.rmtree(os.environ.pop(CACHE), ignore_errors=True)
