"""Whole models as tasks of an executor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec import __version__
from onnxspec.engine.analysis import analyze
from onnxspec.engine.job import Job, sort_options
from onnxspec.engine.reuse import place_of, stored
from onnxspec.errors import UsageError
from onnxspec.results import Report
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from onnxspec.store import ResultStore

__all__ = ["RemoteReport", "analyze_many", "submit_model", "taken"]


@dataclass(frozen=True)
class RemoteReport:
    """The report of a model that a worker analysed, and what its store did."""

    report: Report
    reused: int = 0
    added: int = 0
    problems: tuple[str, ...] = ()


def analyze_many(
    paths: Sequence[str | Path],
    settings: Settings | None = None,
    *,
    executor: Executor | None = None,
    **options: Any,
) -> list[Report]:
    """Analyse several models, in order; any concurrent.futures executor may run them.

    Parameters
    ----------
    paths : sequence of str or Path
        The models.
    settings : Settings, optional
        What to compute, and how.
    executor : concurrent.futures.Executor, optional
        Of threads, processes or other machines. Models are its tasks, and each task analyses
        one layer at a time unless `jobs` says otherwise. For few large models, give it to
        `analyze` instead: there layers are the tasks.
    **options
        As of `analyze`. Nobody is told of the progress of models that an executor has.

    Raises
    ------
    InputError
        One of the models was rejected.
    """
    if executor is None:
        return [analyze(path, settings, **options) for path in paths]
    layer = options.pop("layer", None)
    chosen, job = sort_options(settings, options.pop("job", None), options)
    futures = [submit_model(executor, path, chosen, job, layer=layer) for path in paths]
    try:
        return [taken(future.result(), job.store) for future in futures]
    finally:
        for future in futures:
            future.cancel()


def submit_model(
    executor: Executor, path: str | Path, settings: Settings, job: Job, *, layer: str | Sequence[str] | None = None
) -> Future[RemoteReport]:
    """Have a model analysed by a worker, which opens the same absolute path."""
    sent = replace(job, jobs=job.jobs or 1, progress=None, executor=None, store=place_of(job.store))
    text = os.fspath(path)
    return executor.submit(remote_report, str(Path(text).absolute()), text, settings, sent, layer, __version__)


def remote_report(
    path: str, shown: str, settings: Settings, job: Job, layer: str | Sequence[str] | None, version: str
) -> RemoteReport:
    """Analyse a model in a worker; the report names it as it was asked for.

    Raises
    ------
    InputError
        The model was rejected.
    UsageError
        This is another version of onnxspec.
    """
    if version != __version__:
        raise UsageError(f"A worker has onnxspec {__version__}, the program that asks {version}; install one.")
    with stored(job.store, warned=False) as store:
        report = analyze(path, settings, layer=layer, job=replace(job, store=store))
    report = replace(report, model=replace(report.model, path=shown))
    if store is None:
        return RemoteReport(report)
    return RemoteReport(report, store.reused, store.added, tuple(store.problems))


def taken(found: RemoteReport, store: ResultStore | str | Path | None) -> Report:
    """Give the report, and enter into an open store what the worker's did."""
    if store is not None and not isinstance(store, (str, Path)):
        store.account(found.reused, found.added, found.problems)
    return found.report
