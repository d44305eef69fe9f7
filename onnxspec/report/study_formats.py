"""The formats of ``onnxspec series`` and ``track``: functions from a result to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from onnxspec.errors import UsageError

__all__ = ["SERIES_FORMATS", "TRACK_FORMATS", "study_formatter"]

SERIES_FORMATS = {
    "table": "series_table",
    "json": "study_json",
    "csv": "study_csv",
    "markdown": "series_markdown",
    "html": "series_html",
}
TRACK_FORMATS = {
    "table": "track_table",
    "json": "study_json",
    "csv": "study_csv",
    "markdown": "track_markdown",
    "html": "track_html",
}
"""Each format and its module in `onnxspec.report`."""


def study_formatter(name: str, formats: Mapping[str, str]) -> Callable[[Any], str]:
    """Find a format by its name.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in formats:
        raise UsageError(f"There is no format {name[:60]!r} of this command; there are {', '.join(formats)}.")
    render: Callable[[Any], str] = import_module(f"onnxspec.report.{formats[name]}").render
    return render
