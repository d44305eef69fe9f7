"""A series as CSV: one row for each metric and set of models; a missing number is an empty cell."""

from __future__ import annotations

import csv
import io

from onnxspec.report.csv import cell
from onnxspec.results.series import Series

__all__ = ["render"]


def render(series: Series) -> str:
    """Give the relations as CSV text."""
    out = io.StringIO()
    rows = series.rows()
    if rows:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([[cell(value) for value in row.values()] for row in rows])
    return out.getvalue()
