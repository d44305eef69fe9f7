"""The layers of one model over the checkpoints of its training."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from onnxspec._files import is_folder
from onnxspec.comparing.checkpoints.courses import follow
from onnxspec.engine import Job
from onnxspec.errors import InputError, LimitError, UsageError
from onnxspec.layers.summary import coverage_share
from onnxspec.results.share import percent
from onnxspec.results.tracking import Checkpoint, Track
from onnxspec.settings import Settings
from onnxspec.studies.gather import is_report, report_of
from onnxspec.studies.table import read_table

if TYPE_CHECKING:
    from onnxspec.limits import Limits
    from onnxspec.results import Report

__all__ = ["natural_key", "track"]

Found = list[tuple[str, Path]]
"""Label and path of each checkpoint."""


def track(
    source: str | Path | Sequence[str | Path],
    *,
    settings: Settings | None = None,
    job: Job | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Track:
    """Follow entropy, stable rank, alpha, spikes and phase of every layer over checkpoints.

    Parameters
    ----------
    source : str, Path, or sequence of them
        A folder whose models are taken in natural order (``epoch_2`` before ``epoch_10``), or its saved
        reports where it holds no model; a CSV file with the columns model and, if wanted, label, in its
        own order; or models and saved reports, in theirs.
    settings : Settings, optional
        Of the analysis; by default effort standard.
    job : Job, optional
        How the analysis runs. Layers that do not change between checkpoints are analysed once, by
        its store or else one that lives as long as this call.
    progress : callable, optional
        Told the label, the checkpoints done and the checkpoints in all.

    Returns
    -------
    Track
        Checkpoints that could not be analysed are listed with their problem.

    Raises
    ------
    InputError
        There are no checkpoints, or none could be analysed.
    UsageError
        A file was named beside a folder or CSV file.

    Notes
    -----
    Entropy and stable rank over the epochs of training: Martin and Mahoney, arXiv 1810.01075.
    """
    chosen = settings or Settings(spectra=True)
    how = job or Job()
    found = _found([source] if isinstance(source, (str, Path)) else list(source), how.limits)
    checkpoints: list[tuple[Checkpoint, Report | None]] = []
    with _with_store(how) as kept:
        for number, (label, path) in enumerate(found):
            checkpoint = Checkpoint(label, str(path))
            report: Report | None = None
            try:
                report = report_of(path, chosen, kept)
                share = coverage_share(report.coverage)
                checkpoint = replace(checkpoint, sha256=report.model.sha256, coverage=share)
            except InputError as error:
                checkpoint = replace(checkpoint, problem=str(error))
            checkpoints.append((checkpoint, report))
            if progress is not None:
                progress(label, number + 1, len(found))
    problems = [checkpoint.problem for checkpoint, _ in checkpoints if checkpoint.problem is not None]
    if len(problems) == len(checkpoints):
        raise InputError(f"no checkpoint could be analysed; the first: {problems[0]}")
    name = str(source) if isinstance(source, (str, Path)) else ""
    return follow(checkpoints, source=name, settings=chosen.canonical(), notes=_notes(checkpoints))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Give a key that sorts numbers inside names by their value.

    >>> sorted(["e10", "e9", "e1"], key=natural_key)
    ['e1', 'e9', 'e10']
    """
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d{1,18})", text) if part]


def _found(sources: Sequence[str | Path], limits: Limits) -> Found:
    """Find the checkpoints with their labels."""
    paths = [Path(source) for source in sources]
    for path in paths:
        if len(paths) > 1 and (is_folder(path) or path.suffix.lower() == ".csv"):
            raise UsageError(f"{path}: a folder or CSV file of checkpoints stands alone; name it, or the files.")
    if len(paths) == 1 and is_folder(paths[0]):
        paths = _in_folder(paths[0], limits)
    elif len(paths) == 1 and paths[0].suffix.lower() == ".csv":
        return _in_table(paths[0], limits)
    if not paths:
        raise InputError("there are no checkpoints; name a folder, a CSV file, or models.")
    _check_number(len(paths), limits)
    return list(zip(_labels([path.as_posix() for path in paths]), paths))


def _check_number(number: int, limits: Limits) -> None:
    if number > limits.series_models:
        raise LimitError(f"there are {number:,} checkpoints; at most {limits.series_models:,} are followed.")


def _in_folder(folder: Path, limits: Limits) -> list[Path]:
    """Give the models of a folder, or its saved reports where it has no model."""
    for pattern in ("*.onnx", "*.json"):
        paths = []
        for path in folder.rglob(pattern):
            paths.append(path)
            _check_number(len(paths), limits)
        if paths:
            return sorted(paths, key=lambda path: natural_key(path.relative_to(folder).as_posix()))
    raise InputError(f"{folder}: the folder holds no .onnx file and no report.")


def _in_table(path: Path, limits: Limits) -> Found:
    """Give the checkpoints of a CSV file; their paths are relative to it."""
    table = read_table(path, limits, needs_accuracy=False)
    paths = [path.parent / str(row.model) for row in table.rows]
    labels = _labels([found.as_posix() for found in paths])
    given = [row.cells.get("label") for row in table.rows]
    return [(str(own) if own else label, found) for own, label, found in zip(given, labels, paths)]


def _labels(paths: Sequence[str]) -> list[str]:
    """Give what differs among the paths: their common start and end cut off, but no number cut through."""
    stems = [path.rpartition(".")[0] or path for path in paths]
    if len(stems) < 2:
        return [stem.rpartition("/")[2] for stem in stems]
    start = re.sub(r"\d+$", "", _shared(stems))
    end = re.sub(r"^\d+", "", _shared([stem[len(start) :][::-1] for stem in stems])[::-1])
    labels = [stem[len(start) : len(stem) - len(end)].strip("_-./ ") for stem in stems]
    if all(labels) and len(set(labels)) == len(labels):
        return labels
    return [stem.rpartition("/")[2] for stem in stems]


def _shared(texts: Sequence[str]) -> str:
    """Give the start that all texts have, character by character."""
    alike = takewhile(lambda characters: len(set(characters)) == 1, zip(*texts))
    return "".join(characters[0] for characters in alike)


@contextmanager
def _with_store(job: Job) -> Iterator[Job]:
    """Give the job with a store: the one it has, or a file that is deleted afterwards.

    A place without a writable temporary folder costs the reuse and nothing else.
    """
    if job.store is not None:
        yield job
        return
    from onnxspec.store import ResultStore

    try:
        folder = tempfile.TemporaryDirectory(prefix="onnxspec-", ignore_cleanup_errors=True)
    except OSError:
        yield job
        return
    with folder as place, ResultStore(place) as store:
        yield replace(job, store=store)


def _notes(checkpoints: Sequence[tuple[Checkpoint, Report | None]]) -> list[str]:
    """Say what is to be known of the sequence as a whole."""
    notes = []
    shares = [checkpoint.coverage for checkpoint, _ in checkpoints if checkpoint.coverage is not None]
    if min(shares) < 1.0:
        notes.append(f"in the least covered checkpoint {percent(min(shares))} of the weights were analysed")
    reports = [report for _, report in checkpoints if report is not None]
    names = ("effort", "conv", "ks", "min_evals", "min_tail", "exact")
    if len({repr([report.settings.get(name) for name in names]) for report in reports}) > 1:
        notes.append("the saved reports were made with different settings: their numbers are not comparable")
    if any(is_report(Path(checkpoint.model)) for checkpoint, _ in checkpoints):
        notes.append("scree plots of saved reports hold their 32 largest eigenvalues, unless made with --spectra")
    return notes
