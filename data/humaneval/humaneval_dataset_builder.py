"""The 164 problems for TensorFlow Datasets."""

from collections.abc import Iterator
from dataclasses import asdict

import tensorflow_datasets as tfds
from etils import epath

from codex_jax.problems.problem import TEXT_FIELDS, load_problems


class Builder(tfds.core.GeneratorBasedBuilder):
    """One split, test."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = epath.Path(__file__).parent  # TFDS finds no README.md in a folder without __init__.py

    def _info(self) -> tfds.core.DatasetInfo:
        features = {name: tfds.features.Text() for name in TEXT_FIELDS}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {"test": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, str]]]:
        for number, problem in enumerate(load_problems("humaneval")):
            row = asdict(problem)
            yield number, {name: row[name] for name in TEXT_FIELDS}
