"""CSV: one row a layer, with the names of the JSON report; a missing number is an empty cell."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from onnxspec.report._plain import plain
from onnxspec.results import Report
from onnxspec.results.codec import encode

__all__ = ["cell", "render"]

FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def render(reports: Sequence[Report]) -> str:
    """Give the layers of the reports as CSV text; several reports get a column ``model``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] | None = None
    for report in reports:
        for row in report.rows():
            if header is None:
                header = list(row)
                writer.writerow(["model", *header] if len(reports) > 1 else header)
            cells = [cell(row[name]) for name in header]
            writer.writerow([cell(report.model.path), *cells] if len(reports) > 1 else cells)
    return out.getvalue()


def cell(value: Any) -> Any:
    """Make one cell; text that a spreadsheet would run as a formula is prefixed with an apostrophe.

    Spreadsheets leave out spaces in front, and some read full-width signs as the plain ones.
    """
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return value
    text = plain(value) if isinstance(value, str) else json.dumps(encode(value), allow_nan=False)
    return f"'{text}" if text.lstrip()[:1] in FORMULAS else text
