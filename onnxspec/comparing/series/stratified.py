"""One trend inside many small groups: pairs within a group alone, accuracies permuted inside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from onnxspec.comparing.series.correlations import DRAWN_PERMUTATIONS, drawn, tidy
from onnxspec.fits.random_stream import stream_key, uniforms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Within", "within_groups"]

STREAM = 2


class Within(NamedTuple):
    """Kendall's tau over the pairs within groups, its p-value, and the number of those pairs."""

    tau: float | None
    p_value: float | None
    pairs: int


def within_groups(groups: Sequence[Sequence[tuple[float, float]]]) -> Within:
    """Measure a trend within groups of which each may be too small to conclude anything.

    Parameters
    ----------
    groups : sequence of sequences of (float, float)
        Metric and accuracy of the models of each group.

    Returns
    -------
    Within
        ``tau = sum over groups of (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y)``;
        the p-value is two-sided, the share of 9,999 permutations within the groups that do as well, the
        order that was seen counted as one more.
    """
    points = sorted(sorted((tidy(x), tidy(y)) for x, y in group) for group in groups if len(group) > 1)
    parts = [(x, y) for group in points for x, y in [np.array(group, np.float64).T]]
    pairs = sum(x.size * (x.size - 1) // 2 for x, _ in parts)
    signs = [_signs(x, y) for x, y in parts]
    score = sum(float(sx @ sy[i, j]) for sx, sy, i, j in signs)
    untied = [
        sum(float(sx @ sx) for sx, _, _, _ in signs),
        sum(float(np.sum(sy[i, j] ** 2)) for _, sy, i, j in signs),
    ]
    if not untied or untied[0] * untied[1] == 0.0:
        return Within(None, None, pairs)
    text = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    key = stream_key(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"), STREAM)
    count = drawn(pairs, DRAWN_PERMUTATIONS)
    total = np.zeros(count)
    start = 0
    for sx, sy, i, j in signs:
        n = len(sy)
        order = np.argsort(uniforms(key, start, count * n).reshape(count, n), axis=1, kind="stable")
        start += count * n
        total += sy[order[:, i], order[:, j]] @ sx
    hits = int(np.count_nonzero(np.abs(total) >= abs(score) - 1e-9))
    return Within(score / sqrt(untied[0] * untied[1]), (hits + 1) / (count + 1), pairs)


def _signs(x: Array, y: Array) -> tuple[Array, Array, NDArray[np.intp], NDArray[np.intp]]:
    """Give the signs of all pairs of x, of all differences of y, and the places of the pairs."""
    i, j = np.triu_indices(x.size, 1)
    return np.sign(x[i] - x[j]), np.sign(np.subtract.outer(y, y)), i, j
