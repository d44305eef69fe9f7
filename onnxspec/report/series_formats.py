"""The formats of ``onnxspec series``: functions from a series to text."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from onnxspec.errors import UsageError
from onnxspec.results.series import Series

__all__ = ["SERIES_FORMATS", "series_formatter"]

SERIES_FORMATS = {"table": "series_table", "json": "series_json", "csv": "series_csv", "markdown": "series_markdown"}
"""Each format and its module in `onnxspec.report`."""


def series_formatter(name: str) -> Callable[[Series], str]:
    """Find a format by its name.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in SERIES_FORMATS:
        raise UsageError(f"There is no format {name[:60]!r} of series; there are {', '.join(SERIES_FORMATS)}.")
    render: Callable[[Series], str] = import_module(f"onnxspec.report.{SERIES_FORMATS[name]}").render
    return render
