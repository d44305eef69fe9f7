"""Which layer of one model is which layer of the other: by what they hold before what they are called.

Equal values come first. Among the rest, layers of one shape are assigned to each
other by the Hungarian algorithm: a pair costs less the more its values, or else its
singular values, agree beyond chance; names and places only break ties.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results.comparison import MatchedBy

    Array = NDArray[np.float64]

__all__ = ["Alignment", "Candidate", "Match", "align", "sketch"]

SKETCH = 4096
"""Elements of a layer that are kept to compare it with others."""

SIGMAS = 5.0
LEAST_COSINE = 0.25
"""A cosine of sketches below this, or below so many standard deviations of chance, is taken for 0: layers that have
nothing to do with each other may have means and outliers in common."""

CLOSE_SPECTRUM = 0.1
"""Of the usual distance between layers of one shape: singular values that are closer speak for a pair."""

NAME_COST = 0.05
PLACE_COST = 0.02
MAX_PAIRS = 4_000_000
"""Pairs of layers of one shape for which the assignment is computed; beyond, name and order decide."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is known of one layer for finding its counterpart.

    Attributes
    ----------
    id, name : str
        Of the layer.
    shape : hashable
        Layers of unequal shapes are never a pair.
    hashes : tuple of str
        Of values and of stored bytes, where they exist.
    sketch : ndarray or None
        Some of the values, always the same ones for a shape; see `sketch`.
    top : ndarray or None
        Leading eigenvalues, descending.
    """

    id: str
    name: str
    shape: Hashable
    hashes: tuple[str, ...] = ()
    sketch: Array | None = None
    top: Array | None = None


@dataclass(frozen=True)
class Match:
    """Two layers that are taken for the same one: positions in the two lists, why, and how much they agree."""

    a: int
    b: int
    matched_by: MatchedBy


@dataclass(frozen=True)
class Alignment:
    """The pairs, and what is left of both lists."""

    matches: tuple[Match, ...]
    left_a: tuple[int, ...]
    left_b: tuple[int, ...]


def sketch(matrix: NDArray[Any]) -> Array:
    """Give some values of a matrix, in float64: the same elements for every matrix of a shape."""
    flat = matrix.reshape(-1)
    if flat.size <= SKETCH:
        return np.array(flat, dtype=np.float64)
    chosen = np.random.default_rng(flat.size).integers(0, flat.size, SKETCH)
    return np.asarray(flat[chosen], dtype=np.float64)


def align(a: Sequence[Candidate], b: Sequence[Candidate]) -> Alignment:
    """Find the pairs of layers of two models.

    Parameters
    ----------
    a, b : sequence of Candidate
        In graph order.

    Returns
    -------
    Alignment
        Each layer stands in one pair at most; pairs in the order of a.
    """
    matches = _equal(a, b)
    taken_a, taken_b = {m.a for m in matches}, {m.b for m in matches}
    for shape in dict.fromkeys(c.shape for c in a):
        rows = [i for i, c in enumerate(a) if c.shape == shape and i not in taken_a]
        columns = [j for j, c in enumerate(b) if c.shape == shape and j not in taken_b]
        if rows and columns:
            matches += _assigned(a, b, rows, columns)
    matches.sort(key=lambda match: match.a)
    used_a, used_b = {m.a for m in matches}, {m.b for m in matches}
    return Alignment(
        tuple(matches),
        tuple(i for i in range(len(a)) if i not in used_a),
        tuple(j for j in range(len(b)) if j not in used_b),
    )


def _equal(a: Sequence[Candidate], b: Sequence[Candidate]) -> list[Match]:
    """Pair layers of equal hashes; of several, those of one name, then in order."""
    matches: list[Match] = []
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    for by_name in (True, False):
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for j, candidate in enumerate(b):
            for digest in candidate.hashes if j not in taken_b else ():
                waiting[_key(candidate, digest, by_name)].append(j)
        for i, candidate in enumerate(a):
            for digest in candidate.hashes if i not in taken_a else ():
                free = [j for j in waiting[_key(candidate, digest, by_name)] if j not in taken_b]
                if free:
                    matches.append(Match(i, free[0], "values"))
                    taken_a.add(i)
                    taken_b.add(free[0])
                    break
    return matches


def _key(candidate: Candidate, digest: str, by_name: bool) -> Hashable:
    return candidate.shape, digest, candidate.name if by_name else None


def _assigned(a: Sequence[Candidate], b: Sequence[Candidate], rows: list[int], columns: list[int]) -> list[Match]:
    """Assign layers of one shape to each other at the least cost."""
    names = np.array([[a[i].name == b[j].name for j in columns] for i in rows])
    if names.size > MAX_PAIRS:
        return _in_order(a, b, rows, columns)
    content = _content([a[i] for i in rows], [b[j] for j in columns])
    spectra = _spectra([a[i] for i in rows], [b[j] for j in columns])
    places = (np.linspace(0, 1, len(rows))[:, None] - np.linspace(0, 1, len(columns))) ** 2
    cost = 1.0 - np.maximum(content, 0.95 * spectra) + NAME_COST * ~names + PLACE_COST * places
    found = []
    for r, c in _least_cost(cost):
        why: MatchedBy = "name" if names[r, c] else "place"
        if content[r, c] > 0.0 or spectra[r, c] > 0.5:
            why = "content" if content[r, c] >= 0.95 * spectra[r, c] else "spectrum"
        found.append(Match(rows[r], columns[c], why))
    return found


def _least_cost(cost: Array) -> Iterable[tuple[int, int]]:
    """Assign rows to columns; where each row's cheapest column is another one, no assignment is cheaper."""
    cheapest = cost.argmin(axis=1)
    if np.unique(cheapest).size == len(cost):
        return enumerate(cheapest.tolist())
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return zip(rows.tolist(), columns.tolist())


def _in_order(a: Sequence[Candidate], b: Sequence[Candidate], rows: list[int], columns: list[int]) -> list[Match]:
    """Pair layers of one name, and the rest in order."""
    by_name = {b[j].name: j for j in reversed(columns)}
    found = []
    for i in rows:
        j = by_name.pop(a[i].name, None)
        if j is not None:
            found.append(Match(i, j, "name"))
    used_a, used_b = {m.a for m in found}, {m.b for m in found}
    rest = zip((i for i in rows if i not in used_a), (j for j in columns if j not in used_b))
    return found + [Match(i, j, "place") for i, j in rest]


def _content(a: Sequence[Candidate], b: Sequence[Candidate]) -> Array:
    """Give the absolute cosine of all pairs of sketches, 0 where it may be chance."""
    none = np.zeros((len(a), len(b)))
    length = next((c.sketch.size for c in a if c.sketch is not None), 0)
    if not length or not any(c.sketch is not None for c in b):
        return none
    x, y = (np.array([_unit(c.sketch, length) for c in side]) for side in (a, b))
    cosines: Array = np.abs(x @ y.T)
    cosines[cosines < max(LEAST_COSINE, SIGMAS / math.sqrt(length))] = 0.0
    return np.asarray(np.minimum(cosines, 1.0))


def _unit(values: Array | None, length: int) -> Array:
    """Normalise a sketch; what is not finite counts as 0."""
    if values is None or values.size != length:
        return np.zeros(length)
    finite = np.where(np.isfinite(values), values, 0.0)
    top = float(np.abs(finite).max(initial=0.0))
    if top == 0.0:
        return finite
    scaled = finite / top
    return np.asarray(scaled / math.sqrt(float(scaled @ scaled)))


def _spectra(a: Sequence[Candidate], b: Sequence[Candidate]) -> Array:
    """Give how much closer the leading eigenvalues of each pair are than is usual: 1 for equal, 0 for usual."""
    distances = np.array([[_distance(x.top, y.top) for y in b] for x in a])
    usual = [_distance(x.top, y.top) for i, x in enumerate(a) for y in a[:i]]
    known = [d for d in usual if math.isfinite(d) and d > 0.0]
    if not known:
        return np.where(distances < 1e-3, 1.0, 0.0)
    scale = CLOSE_SPECTRUM * float(np.median(known))
    return np.where(np.isfinite(distances), np.maximum(0.0, 1.0 - distances / scale), 0.0)


def _distance(x: Array | None, y: Array | None) -> float:
    """Give the root mean square distance of the logarithms of leading eigenvalues."""
    if x is None or y is None:
        return math.inf
    n = min(x.size, y.size)
    if n == 0 or x[n - 1] <= 0.0 or y[n - 1] <= 0.0:
        return math.inf
    return float(np.sqrt(np.mean((np.log(x[:n]) - np.log(y[:n])) ** 2)))
