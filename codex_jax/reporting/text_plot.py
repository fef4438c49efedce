"""Curves of metrics in characters, for a terminal."""

import math
from collections.abc import Sequence

from codex_jax.storage.jsonl import Json

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille character, by row and column
BRAILLE = 0x2800


def points(rows: Sequence[Json], name: str) -> list[tuple[float, float]]:
    """(step, value) of a metric, in the order of steps; numbers that are not finite are left out."""
    found = {row["step"]: row[name] for row in rows if isinstance(row.get(name), (int, float)) and "step" in row}
    return sorted((step, value) for step, value in found.items() if math.isfinite(value))


def text_curve(curves: Sequence[Sequence[tuple[float, float]]], width: int, height: int) -> list[str]:
    """The curves in one plot of braille characters, with the largest and smallest value at its left.

    width, height: in characters, the labels included.
    """
    found = [point for curve in curves for point in curve]
    if not found:
        return []
    left, right = min(x for x, _ in found), max(x for x, _ in found)
    low, high = min(y for _, y in found), max(y for _, y in found)
    labels = [f"{high:.4g}", f"{low:.4g}"]
    margin = max(map(len, labels))
    columns = max(width - margin - 1, 1)
    cells = [[BRAILLE] * columns for _ in range(height)]
    for curve in curves:
        for x, y in curve:
            column = round((x - left) / (right - left or 1) * (2 * columns - 1))
            row = round((high - y) / (high - low or 1) * (4 * height - 1))
            cells[row // 4][column // 2] |= DOTS[row % 4][column % 2]
    texts = ["".join(map(chr, line)) for line in cells]
    names = [labels[0], *[""] * (height - 2), labels[1]] if height > 1 else labels[:1]
    return [f"{name:>{margin}} {text}" for name, text in zip(names, texts, strict=True)]
