import pytest

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from tests.records.build import build


def test_the_newest_version_is_opened(tmp_path):
    for version, count in (("1.2.0", 1), ("1.10.0", 2), ("1.9.0", 3), (".1.11.0.incomplete", 4)):
        build(tmp_path / "d" / version, counts=(count,))
    assert open_dataset(tmp_path / "d").size("train") == 2
    assert open_dataset(tmp_path / "d" / "1.9.0").size("train") == 3


def test_a_missing_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"no data set at {tmp_path}: build one with python -m codex_jax.corpus"):
        open_dataset(tmp_path)
