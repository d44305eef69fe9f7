"""Saved reports as input: bounded, checked, and without control characters."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from onnxspec._files import read_bounded
from onnxspec.errors import ReportError
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.results import Layers, Report

__all__ = ["READ", "SENSELESS", "inert", "load_reports", "senseless"]

STDIN = "-"
READ: list[str] = []
"""The saved reports that this program has read: what they hold may be of the right types and make no sense."""

SENSELESS: tuple[type[Exception], ...] = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What using such a report raises."""
DEPTH = 64
OPENING = frozenset(b"[{")
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def load_reports(path: str, limits: Limits = DEFAULT_LIMITS) -> list[Report]:
    """Read the reports of one JSON file, or of standard input for ``-``.

    Raises
    ------
    ReportError
        The file cannot be read, is too large, or is no report.
    """
    from onnxspec.results import reports_from_json

    READ.append(path)
    try:
        data = _bytes(path, limits.report_bytes)
        reports = reports_from_json(data)
        return reports if _is_plain(data) else [inert(report) for report in reports]
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None


def _bytes(path: str, limit: int) -> bytes:
    """Read a file up to a limit."""
    try:
        data = sys.stdin.buffer.read(limit + 1) if path == STDIN else read_bounded(path, limit)
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > limit:
        raise ReportError(f"is larger than {limit:,} bytes; no report is.")
    return data


def _is_plain(data: bytes) -> bool:
    """Say whether every text in valid JSON is printable and the nesting shallow, by its bytes alone.

    Without escapes and DEL, ASCII inside a JSON text is printable, and every second
    part between quotes is a text.
    """
    if not data.isascii() or b"\\" in data or b"\x7f" in data:
        return False
    depth = 0
    for bracket in b"".join(data.split(b'"')[::2]).translate(None, NO_BRACKETS):
        depth += 1 if bracket in OPENING else -1
        if depth > DEPTH:
            return False
    return True


def senseless(path: str, error: Exception) -> ReportError:
    """Say that a report does not hold together."""
    detail = inert(f"{type(error).__name__}: {str(error)[:200]}")
    return ReportError(f"{path}: its values do not hold together ({detail}); analyse the model again.")


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
