"""Parquet through polars (an extra): one row a layer, typed columns; what is nested is JSON text."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from onnxspec.errors import UsageError
from onnxspec.results import Layer, Report
from onnxspec.results.codec import encode

__all__ = ["render_bytes"]

_TYPES = {"int": "Int64", "float": "Float64", "bool": "Boolean", "str": "String"}
_LEFT_OUT = frozenset({"plot", "evals"})


def render_bytes(reports: Sequence[Report]) -> bytes:
    """Give the layers of the reports as a Parquet file, with the column ``model`` first.

    The columns and their types follow `Layer` and do not depend on the values, so files
    of different models can be read as one table.

    Raises
    ------
    UsageError
        polars is not installed.
    """
    try:
        import polars
    except ImportError:
        raise UsageError("Parquet needs polars: pip install 'onnxspec[polars]'.") from None
    kinds = {f.name: str(f.type).removesuffix(" | None") for f in fields(Layer) if f.name not in _LEFT_OUT}
    columns: dict[str, list[Any]] = {"model": [report.model.path for report in reports for _ in report.layers]}
    schema: dict[str, Any] = {"model": polars.String}
    for name, kind in kinds.items():
        values = [getattr(layer, name) for report in reports for layer in report.layers]
        flat = kind in _TYPES
        schema[name] = getattr(polars, _TYPES.get(kind, "String"))
        columns[name] = values if flat else [_text(value) for value in values]
    out = io.BytesIO()
    polars.DataFrame(columns, schema=schema).write_parquet(out)
    return out.getvalue()


def _text(value: Any) -> str | None:
    """Write what has no column type of its own; names of a small set stay as they are."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(encode(value), allow_nan=False)
