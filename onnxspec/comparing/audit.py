"""What quantisation cost one layer: noise, effective bits, codes, and what moved more than noise explains.

With the error ``E = Q - W`` of the quantised weight Q against the float one W:

==============  ============================================================================
SQNR            ``10 log10(||W||^2 / ||E||^2)``, in dB
effective bits  ``log2((max W - min W) / (sqrt(12) rms E))``: bits of the uniform quantiser
                over the range of a channel that makes an error of this size
clipped         elements beyond the last code
unused          codes of the range that no element has
edge_ratio      ``||E||_2 / (rms E (sqrt N + sqrt M))``: near 1 for an error without direction
==============  ============================================================================

By Weyl's inequality no singular value moves by more than ``||E||_2``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.comparing.evidence.grids import MAX_CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from onnxspec.comparing.evidence.grids import Grid
    from onnxspec.comparing.evidence.stores import Store
    from onnxspec.results import Layer, Quantization

    Array = NDArray[np.float64]

__all__ = ["audit", "moved_beyond"]

WORST = 5
"""Channels that are named."""

SIGMAS = 3.0
"""Standard errors by which alpha must move to be named."""

_BLOCK = 2**16

DIRECTED = 1.3
"""Times the edge of an error without direction from which it is named."""


def audit(
    exact: Array, coded: Array, store: Store, declared: Quantization | None, clipped: int | None
) -> dict[str, Any]:
    """Measure what quantisation did to the values.

    Parameters
    ----------
    exact, coded : ndarray of float64, shape (outputs, inputs * positions)
        The float weight, and what its codes stand for.
    store : Store
        Of `coded`.
    declared : Quantization or None
        What the file says of it.
    clipped : int or None
        Elements beyond the last code.

    Returns
    -------
    dict
        Plain data; the worst channels are output channels, by effective bits.
    """
    error = coded - exact
    squares = np.einsum("ij,ij->i", error, error)
    power = np.einsum("ij,ij->i", exact, exact)
    ranges = np.ptp(exact, axis=1)
    columns = exact.shape[1]
    usable = (squares > 0.0) & (power > 0.0) & (ranges > 0.0)
    sqnr = 10.0 * np.log10(power[usable] / squares[usable])
    bits = np.log2(ranges[usable] / np.sqrt(12.0 * squares[usable] / columns))
    channels = np.flatnonzero(usable)
    order = np.argsort(bits)[:WORST]
    total = float(squares.sum())
    facts: dict[str, Any] = {
        "bits": declared.bits if declared is not None else None if store.grid is None else store.grid.bits,
        "granularity": _granularity(store, declared),
        "sqnr_db": 10.0 * math.log10(float(power.sum()) / total) if total > 0.0 and power.sum() > 0.0 else None,
        "channels": int(exact.shape[0]),
        "channels_exact": int(np.count_nonzero(squares == 0.0)),
        "channel_sqnr_db_min": _least(sqnr),
        "channel_sqnr_db_median": _median(sqnr),
        "effective_bits_min": _least(bits),
        "effective_bits_median": _median(bits),
        "worst_channels": [{"channel": int(channels[i]), "effective_bits": float(bits[i])} for i in order],
    }
    return facts | _codes(coded, store, declared, clipped)


def _granularity(store: Store, declared: Quantization | None) -> str | None:
    if declared is not None:
        return declared.granularity
    return None if store.grid is None else store.grid.groups.granularity


def _codes(coded: Array, store: Store, declared: Quantization | None, clipped: int | None) -> dict[str, Any]:
    """Count used and unused codes, by the grid that the values lie on."""
    at_ends = None if declared is None else declared.clipped
    unused = None if declared is None else declared.unused
    if store.grid is None:
        return {"clipped": clipped, "at_ends": at_ends, "unused_codes": unused, "codes_reason": "no_grid"}
    used = _used(coded, store.grid)
    return {
        "clipped": clipped,
        "at_ends": at_ends,
        "codes_used": used,
        "unused_codes": unused if unused is not None else max(0, 2**store.grid.bits - used),
    }


def _used(coded: Array, grid: Grid) -> int:
    """Count the codes that occur."""
    seen = np.zeros(2 * MAX_CODE + 1, dtype=bool)
    with np.errstate(divide="ignore"):
        inverse = np.where(grid.steps > 0.0, 1.0 / grid.steps, 0.0)
    rows = max(1, _BLOCK // max(1, coded.shape[1]))
    for start in range(0, len(coded), rows):
        part = slice(start, start + rows)
        codes = coded[part] * (inverse[part] if len(inverse) > 1 else inverse)
        seen[np.rint(codes).astype(np.int16).ravel() + MAX_CODE] = True
    return int(np.count_nonzero(seen))


def moved_beyond(
    exact: Layer, coded: Layer, difference: Mapping[str, Any] | None, rank_after_noise: Callable[[], int]
) -> list[str]:
    """Name what moved more than rounding noise of this size explains.

    Parameters
    ----------
    exact, coded : Layer
        The float layer and the quantised one.
    difference : mapping or None
        Spectrum of their difference (`onnxspec.comparing.evidence.difference.difference_facts`).
    rank_after_noise : callable
        Gives the rank of the float weight where singular values below the rounding noise count as 0; asked only
        where the ranks differ.

    Returns
    -------
    list of str
        ``alpha``: by more than three standard errors. ``rank``: fewer than the float weight has above the noise.
        ``spikes``: fewer or more. ``error_has_direction``: the largest singular value of the error lies well beyond
        that of noise.
    """
    found = []
    if exact.alpha is not None and coded.alpha is not None:
        error = math.hypot(exact.alpha_stderr or 0.0, coded.alpha_stderr or 0.0)
        if error > 0.0 and abs(coded.alpha - exact.alpha) > SIGMAS * error:
            found.append("alpha")
    if exact.rank is not None and coded.rank is not None and coded.rank < exact.rank:
        expected = min(exact.rank, rank_after_noise())
        if coded.rank < expected - max(1, math.ceil(0.02 * expected)):
            found.append("rank")
    if exact.spikes is not None and coded.spikes is not None and exact.spikes != coded.spikes:
        found.append("spikes")
    if difference is not None and (difference.get("edge_ratio") or 0.0) > DIRECTED:
        found.append("error_has_direction")
    return found


def _least(values: Array) -> float | None:
    return float(values.min()) if values.size else None


def _median(values: Array) -> float | None:
    return float(np.median(values)) if values.size else None
