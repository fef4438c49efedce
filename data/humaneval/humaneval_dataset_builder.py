"""HumanEval for TensorFlow Datasets."""

from collections.abc import Iterator

import tensorflow_datasets as tfds
from etils import epath

from codex_jax.problems.humaneval import FIELDS, row_of
from codex_jax.problems.load import load_problems


class Builder(tfds.core.GeneratorBasedBuilder):
    """All 164 problems are in split test."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = epath.Path(__file__).parent  # without it TFDS does not find README.md, as there is no __init__.py

    def _info(self) -> tfds.core.DatasetInfo:
        features = {name: tfds.features.Text() for name in FIELDS}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {"test": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, str]]]:
        yield from enumerate(map(row_of, load_problems("humaneval").problems.values()))
