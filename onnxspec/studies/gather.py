"""From a path to a report: models are analysed, saved reports are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnxspec import engine
from onnxspec._files import exists, is_file
from onnxspec.errors import InputError, ReportError
from onnxspec.results import Report, reports_from_json

if TYPE_CHECKING:
    from onnxspec.engine import Job
    from onnxspec.settings import Settings

__all__ = ["is_report", "load_report", "report_of"]


def is_report(path: Path) -> bool:
    """Say whether a path names a saved report."""
    return path.suffix.lower() == ".json"


def report_of(path: Path, settings: Settings, job: Job) -> Report:
    """Analyse a model, or read the saved report of one.

    Raises
    ------
    InputError
        It cannot be read, or is neither.
    """
    if not is_file(path):
        what = "it is no regular file" if exists(path) else "there is no such file"
        raise InputError(f"{path}: {what}.")
    return load_report(path, job) if is_report(path) else engine.analyze(path, settings, job=job)


def load_report(path: Path, job: Job) -> Report:
    """Read the saved report of one model.

    Raises
    ------
    ReportError
        The file cannot be read, is too large, or does not hold one report.
    """
    limit = job.limits.report_bytes
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise ReportError(f"is larger than {limit:,} bytes; no report is.")
        reports = reports_from_json(data)
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None
    if len(reports) != 1:
        raise ReportError(f"{path}: holds {len(reports)} reports; a series takes one a file.")
    return reports[0]


def sliced(path: Path, settings: Settings, job: Job) -> Report:
    """Analyse a model once more, each kernel position of a convolution by itself.

    Raises
    ------
    InputError
        It cannot be read.
    """
    return engine.analyze(path, replace(settings, conv="slices", effort="fast"), job=job)
