"""The parts of a mesh that projections read, for chips that are not here."""

from types import SimpleNamespace

import numpy as np


class FakeMesh:
    """The first `count` chips of a grid with two columns."""

    def __init__(self, count, **shape):
        self.shape = {"data": count, "fsdp": 1, "sequence": 1, "model": 1} | shape
        self.devices = np.array([SimpleNamespace(coords=(n % 2, n // 2, 0)) for n in range(count)])
