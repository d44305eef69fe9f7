"""What every format is: a function from reports to text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from onnxspec.errors import UsageError
from onnxspec.results import Report

__all__ = ["FORMATS", "Formatter", "formatter"]

Formatter = Callable[[Sequence[Report]], str]
"""Turns the reports of one run into one text, ending in a newline."""

FORMATS = {"table": "table", "json": "json", "csv": "csv", "markdown": "markdown"}
"""Each format and its module in `onnxspec.report`."""


def formatter(name: str) -> Formatter:
    """Find a format by its name.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"There is no format {name!r}; there are {', '.join(FORMATS)}.")
    render: Formatter = import_module(f"onnxspec.report.{FORMATS[name]}").render
    return render
