"""A series as JSON."""

from __future__ import annotations

from onnxspec.results.series import Series

__all__ = ["render"]


def render(series: Series) -> str:
    """Give the series as JSON text."""
    return series.to_json()
