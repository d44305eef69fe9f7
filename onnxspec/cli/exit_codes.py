"""Exit codes, and which of several inputs' codes the program ends with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from onnxspec.errors import InputError, OnnxspecError

if TYPE_CHECKING:
    from onnxspec.results import Report

__all__ = ["ExitCode", "of_error", "of_report", "worst"]


class ExitCode(IntEnum):
    """What the program says when it ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REJECTED = 3
    INCOMPLETE = 4
    INTERNAL = 70
    INTERRUPTED = 130


_ORDER = (
    ExitCode.INTERNAL,
    ExitCode.INTERRUPTED,
    ExitCode.USAGE,
    ExitCode.REJECTED,
    ExitCode.FAILED,
    ExitCode.INCOMPLETE,
    ExitCode.OK,
)
_INCOMPLETE_REASONS = frozenset({"time_limit", "memory_limit"})


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Choose among the codes of several inputs."""
    found = set(codes)
    return next((code for code in _ORDER if code in found), ExitCode.OK)


def of_error(error: OnnxspecError) -> ExitCode:
    """Give the code of an exception."""
    return ExitCode.REJECTED if isinstance(error, InputError) else ExitCode.USAGE


def of_report(report: Report) -> ExitCode:
    """Give the code of a report: rejected where weights exist and none could be read."""
    layers = report.layers
    if any(layer.status == "failed" for layer in layers):
        rest = [layer for layer in layers if layer.status != "failed"]
        return ExitCode.INCOMPLETE if rest else ExitCode.REJECTED
    stopped = any(layer.reason in _INCOMPLETE_REASONS for layer in layers)
    broken = any(diagnostic.severity == "error" for diagnostic in report.diagnostics)
    return ExitCode.INCOMPLETE if stopped or broken else ExitCode.OK
