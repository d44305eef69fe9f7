"""JSON: one report as an object, several as an array in the order of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from onnxspec.results import Report
from onnxspec.results.codec import to_json

__all__ = ["render"]


def render(reports: Sequence[Report]) -> str:
    """Give the reports as JSON text."""
    return to_json(reports[0] if len(reports) == 1 else list(reports))
