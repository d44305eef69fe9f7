"""What the catalogue says about one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["KINDS", "Entry", "Kind", "Nature"]

Kind = Literal["metric", "reason", "phase", "verdict", "role", "setting", "term"]
Nature = Literal["scale", "shape", "mixed", "neither"]

KINDS: dict[Kind, str] = {
    "metric": "Metrics",
    "reason": "Reasons",
    "phase": "Phases",
    "verdict": "Verdicts",
    "role": "Roles",
    "setting": "Settings",
    "term": "Words",
}
"""Each kind with its heading, in the order in which names are looked up."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name of the report and what it means, in plain text.

    Attributes
    ----------
    name : str
        As in the JSON report; a part of a nested object has a dotted name, such as ``mp.sigma_mp``.
    kind : str
        A key of `KINDS`.
    group : str
        Heading under which documents list it.
    title : str
        What it is, in a few words.
    what : str
        What it is, in one to three sentences.
    formula : str or None
        With the symbols of docs/metrics.md.
    how_to_read : str or None
        What high and low values say, or what to do about a reason.
    not_meaning : str or None
        What it is often taken for and does not say.
    source : str or None
        Paper and equation.
    scale_or_shape : {"scale", "shape", "mixed", "neither"} or None
        Of metrics: whether the number depends on the scale of W (``scale``), on the shape
        of its spectrum alone (``shape``: multiplying W by a number changes nothing), on both
        (``mixed``), or on neither.
    """

    name: str
    kind: Kind
    group: str
    title: str
    what: str
    formula: str | None = None
    how_to_read: str | None = None
    not_meaning: str | None = None
    source: str | None = None
    scale_or_shape: Nature | None = None
