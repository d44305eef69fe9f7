"""A series or a track as CSV: one row for each relation, or each layer and checkpoint; missing numbers are empty."""

from __future__ import annotations

import csv
import io

from onnxspec.report.csv import cell
from onnxspec.results.series import Series
from onnxspec.results.tracking import Track

__all__ = ["render"]


def render(study: Series | Track) -> str:
    """Give the rows as CSV text."""
    out = io.StringIO()
    rows = study.rows()
    if rows:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([cell(name) for name in rows[0]])
        writer.writerows([[cell(value) for value in row.values()] for row in rows])
    return out.getvalue()
