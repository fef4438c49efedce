"""APPS for TensorFlow Datasets, built from the unpacked release."""

import json
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from codex_jax.problems.apps import read_apps
from codex_jax.problems.compare import long_integers

TEXTS = ("problem_id", "question", "starter_code", "fn_name", "difficulty", "url")
LISTS = ("solutions", "inputs", "outputs")


class Builder(tfds.core.GeneratorBasedBuilder):
    """The splits of the release. Inputs and outputs are JSON, because they may be any value."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "give the folder that contains APPS, the unpacked release with train and test"
    pkg_dir_path = epath.Path(__file__).parent  # without it TFDS does not find README.md, as there is no __init__.py

    def _info(self) -> tfds.core.DatasetInfo:
        features = {name: tfds.features.Text() for name in TEXTS}
        features |= {name: tfds.features.Sequence(tfds.features.Text()) for name in LISTS}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        release = Path(dl_manager.manual_dir) / "APPS"
        return {split: self._generate_examples(release / split) for split in ("train", "test")}

    def _generate_examples(self, folder: Path) -> Iterator[tuple[int, dict]]:
        for number, problem in enumerate(read_apps(folder)):
            with long_integers():
                tests = {
                    name: [json.dumps(value) for value in getattr(problem, name)] for name in ("inputs", "outputs")
                }
            texts = {name: getattr(problem, name) for name in TEXTS}
            yield number, {**texts, "solutions": list(problem.solutions), **tests}
