"""Saved reports as input: bounded, checked, and without control characters."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from onnxspec.errors import ReportError
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.results import Layers, Report

__all__ = ["inert", "load_reports"]

STDIN = "-"
DEPTH = 64


def load_reports(path: str, limits: Limits = DEFAULT_LIMITS) -> list[Report]:
    """Read the reports of one JSON file, or of standard input for ``-``.

    Raises
    ------
    ReportError
        The file cannot be read, is too large, or is no report.
    """
    from onnxspec.results import reports_from_json

    try:
        return [inert(report) for report in reports_from_json(_bytes(path, limits.report_bytes))]
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None


def _bytes(path: str, limit: int) -> bytes:
    """Read a file up to a limit."""
    try:
        if path == STDIN:
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > limit:
        raise ReportError(f"is larger than {limit:,} bytes; no report is.")
    return data


def inert(value: Any, depth: int = 0) -> Any:
    """Escape what is not printable in every text of a report: terminals obey control characters.

    Raises
    ------
    ReportError
        The report is nested deeper than any that onnxspec writes.
    """
    if depth > DEPTH:
        raise ReportError("is nested too deep.")
    if isinstance(value, str):
        return value if value.isprintable() else "".join(_escaped(c) for c in value)
    if isinstance(value, Layers):
        return Layers([inert(layer, depth + 1) for layer in value])
    if isinstance(value, (list, tuple)):
        return type(value)(inert(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return {inert(key, depth + 1): inert(item, depth + 1) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: inert(getattr(value, f.name), depth + 1) for f in fields(value)})
    return value


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
