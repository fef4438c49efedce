"""The building blocks for TensorFlow Datasets: the problems that generate.py writes by default."""

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from codex_jax.problems.humaneval import FIELDS, row_of
from codex_jax.problems.problem import Problem

from .generate import Args, make_splits


class Builder(tfds.core.GeneratorBasedBuilder):
    """Split train contains the training problems, split test the held-out ones."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = epath.Path(__file__).parent  # without it TFDS does not find README.md, as there is no __init__.py

    def _info(self) -> tfds.core.DatasetInfo:
        features = {**{name: tfds.features.Text() for name in FIELDS}, "blocks": tfds.features.Scalar(np.int32)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        problems = make_splits(Args.seed, Args.train)
        return {
            "train": self._generate_examples(problems["train"]),
            "test": self._generate_examples(problems["heldout"]),
        }

    def _generate_examples(self, problems: Iterable[Problem]) -> Iterator[tuple[int, dict]]:
        for number, problem in enumerate(problems):
            yield number, row_of(problem)
