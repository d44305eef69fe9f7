"""What every format is: a function from reports to text; and what is said of one model among many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from onnxspec.errors import UsageError
from onnxspec.results import Report

__all__ = ["BINARY", "FORMATS", "FleetLine", "Formatter", "binary_formatter", "formatter"]

Formatter = Callable[[Sequence[Report]], str]
"""Turns the reports of one run into one text, ending in a newline."""

FORMATS = {"table": "table", "json": "json", "csv": "csv", "html": "html", "markdown": "markdown"}
"""Each format and its module in `onnxspec.report`."""


@dataclass(frozen=True)
class FleetLine:
    """How one model went.

    Attributes
    ----------
    path : str
        As it was named.
    code : int
        Exit code that it would end the program with alone.
    word : str
        What the code means, in one word.
    report : Report or None
        None where the model was rejected.
    """

    path: str
    code: int
    word: str
    report: Report | None = None


BINARY = {"parquet": "parquet"}
"""Formats that are no text: they have a function `render_bytes`, and go to files alone."""


def binary_formatter(name: str) -> Callable[[Sequence[Report]], bytes]:
    """Find one of `BINARY`."""
    render: Callable[[Sequence[Report]], bytes] = import_module(f"onnxspec.report.{BINARY[name]}").render_bytes
    return render


def formatter(name: str) -> Formatter:
    """Find a format by its name.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in FORMATS:
        raise UsageError(
            f"There is no format {name!r}; there are {', '.join(FORMATS)}, and as files {', '.join(BINARY)}."
        )
    render: Formatter = import_module(f"onnxspec.report.{FORMATS[name]}").render
    return render
