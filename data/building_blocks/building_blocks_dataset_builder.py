"""The chained building blocks for TensorFlow Datasets: what generate.py writes with its defaults."""

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from codex_jax.problems.humaneval import FIELDS, row_of
from codex_jax.problems.problem import Problem

from .generate import Args, make_splits


class Builder(tfds.core.GeneratorBasedBuilder):
    """Training problems, and held-out ones as test."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = epath.Path(__file__).parent  # TFDS finds no README.md in a folder without __init__.py

    def _info(self) -> tfds.core.DatasetInfo:
        features = {**{name: tfds.features.Text() for name in FIELDS}, "blocks": tfds.features.Scalar(np.int32)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features), disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        made = make_splits(Args.seed, Args.train)
        return {split: self._generate_examples(made[name]) for split, name in (("train", "train"), ("test", "heldout"))}

    def _generate_examples(self, problems: Iterable[Problem]) -> Iterator[tuple[int, dict]]:
        for number, problem in enumerate(problems):
            yield number, row_of(problem)
