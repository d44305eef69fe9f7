"""The formats of ``onnxspec check``: functions from judgements to text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from onnxspec.errors import UsageError
from onnxspec.results.findings import Judgement

__all__ = ["CHECK_FORMATS", "CheckFormatter", "check_formatter"]

CheckFormatter = Callable[[Sequence[Judgement]], str]
"""Turns the judgements of one run into one text, ending in a newline."""

CHECK_FORMATS = {
    "table": "findings_table",
    "json": "findings_json",
    "sarif": "sarif",
    "junit": "junit",
    "github": "github",
    "markdown": "findings_markdown",
    "cyclonedx": "cyclonedx",
}
"""Each format and its module in `onnxspec.report`."""


def check_formatter(name: str) -> CheckFormatter:
    """Find a format by its name.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in CHECK_FORMATS:
        raise UsageError(f"There is no format {name[:60]!r} of check; there are {', '.join(CHECK_FORMATS)}.")
    render: CheckFormatter = import_module(f"onnxspec.report.{CHECK_FORMATS[name]}").render
    return render
