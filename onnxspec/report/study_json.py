"""A series or a track as JSON."""

from __future__ import annotations

from onnxspec.results.series import Series
from onnxspec.results.tracking import Track

__all__ = ["render"]


def render(study: Series | Track) -> str:
    """Give the result as JSON text."""
    return study.to_json()
