"""The colour and the shape of each phase, for every plot: after Okabe and Ito, told apart by colour-blind readers.

The shape is the second sign, so that colour is never the only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NO_PHASE", "PHASES", "Marker", "Sign"]

Marker = Literal["circle", "square", "triangle_up", "diamond", "triangle_down", "cross", "plus", "star", "dot"]


@dataclass(frozen=True)
class Sign:
    """How one phase is drawn.

    Attributes
    ----------
    light, dark : str
        Its colour on a light and on a dark ground, each with a contrast of 3 or more.
    marker : str
        Its shape.
    """

    light: str
    dark: str
    marker: Marker


PHASES = {
    "random_like": Sign("#767676", "#A3A3A3", "circle"),
    "bleeding_out": Sign("#2E8FC0", "#56B4E9", "square"),
    "bulk_spikes": Sign("#0072B2", "#4C9BE8", "triangle_up"),
    "bulk_decay": Sign("#008A64", "#1FBF8F", "diamond"),
    "heavy_tailed": Sign("#D55E00", "#F0803C", "triangle_down"),
    "rank_collapse": Sign("#B8558F", "#D98ABB", "cross"),
    "isometric": Sign("#8C6D31", "#C9A227", "plus"),
    "undecided": Sign("#000000", "#E6E6E6", "star"),
}
"""The sign of each phase."""

NO_PHASE = Sign("#000000", "#E6E6E6", "dot")
"""The sign of a layer without a phase."""
