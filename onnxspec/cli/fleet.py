"""Several models in one run: who analyses them, a file for each, and a line for each in a table."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec.cli.exit_codes import ExitCode
from onnxspec.cli.output import Target, is_folder, note, write
from onnxspec.cli.saved import STDIN
from onnxspec.errors import UsageError
from onnxspec.report import FleetLine

if TYPE_CHECKING:
    from onnxspec.engine import Job
    from onnxspec.engine.job import Progress
    from onnxspec.report.view import View
    from onnxspec.results import Report
    from onnxspec.settings import Settings

__all__ = ["Analyst", "Fleet", "workers"]

MODELS_A_WORKER = 2
"""With so many models for each worker or more, models are the tasks; below, layers are."""

WORDS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "failed",
    ExitCode.REJECTED: "rejected",
    ExitCode.INCOMPLETE: "incomplete",
}
ENDINGS = {"table": "txt", "markdown": "md"}


@contextmanager
def workers(address: str | None) -> Iterator[Any]:
    """Give an executor over dask workers, or nothing."""
    if address is None:
        yield None
        return
    from onnxspec.distributed import dask_executor

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_named: note(f"onnxspec: {message}")
        with dask_executor(address) as executor:
            yield executor


class Analyst:
    """Analyses the models of one run, one after the other here, or all at once by workers.

    Parameters
    ----------
    paths : sequence
        What `expand` gave.
    settings, job, layer
        As of `engine.analyze`; with an executor in the job, its workers analyse.
    base : str, optional
        A base model, whose layers are taken off.

    Raises
    ------
    UsageError
        Differences to a base model are computed here alone.
    """

    def __init__(
        self,
        paths: Sequence[object],
        settings: Settings | None,
        job: Job,
        layer: list[str] | None,
        base: str | None = None,
    ) -> None:
        if base is not None and job.executor is not None:
            raise UsageError("--base computes differences here; leave --dask out.")
        self._settings, self._job, self._layer, self._base = settings, job, layer, base
        self._sent: dict[str, Future[Any]] = {}
        executor: Any = job.executor
        if executor is not None and settings is not None and len(paths) >= MODELS_A_WORKER * executor.workers:
            from onnxspec.engine.fleet import submit_model

            for path in paths:
                if isinstance(path, str) and path != STDIN:
                    self._sent[path] = submit_model(executor, path, settings, job, layer=layer)

    def report(self, path: str, progress: Progress | None) -> Report:
        """Analyse a model, or take its report from the worker that had it.

        Raises
        ------
        InputError
            The model was rejected.
        """
        from onnxspec import engine
        from onnxspec.cli.inputs import opened
        from onnxspec.engine.fleet import taken

        if path in self._sent:
            try:
                return taken(self._sent[path].result(), self._job.store)
            except BrokenExecutor:  # layer by layer, the one that kills workers costs only itself
                pass
        job = replace(self._job, progress=progress)
        if path == STDIN:
            job = replace(job, executor=None)
        source = opened(path, job.limits)
        less = None if self._base is None else opened(self._base, job.limits)
        return engine.analyze(source, self._settings, layer=self._layer, base=less, job=job)

    def close(self) -> None:
        """Take back what was not waited for."""
        for future in self._sent.values():
            future.cancel()


class Fleet:
    """Takes the outcome of each model as it comes.

    Parameters
    ----------
    wanted : sequence of Target
        Where output goes; a folder gets a file for each model as soon as it is done.
    shown : View, optional
        The part of the layers that is shown.
    lines : bool
        Whether tables of several models end with a line for each.
    """

    def __init__(self, wanted: Sequence[Target], shown: View | None = None, *, lines: bool = True) -> None:
        self._folders = [(name, path) for name, path in wanted if path is not None and is_folder(path)]
        self._files = [(name, path) for name, path in wanted if not is_folder(path)]
        self._shown = shown
        self._with_lines = lines
        self._common = ""
        self._lines: list[FleetLine] = []
        self._named: Counter[str] = Counter()

    def expect(self, paths: Sequence[str]) -> None:
        """Note which models come: files in folders are named by what their paths do not share."""
        folders = [os.path.split(_absolute(path))[0] for path in paths if path != STDIN]
        self._common = os.path.commonpath(folders) if folders else ""

    def add(self, path: str, code: ExitCode, report: Report | None) -> None:
        """Take one outcome, and write its files.

        Raises
        ------
        UsageError
            A file cannot be written.
        """
        self._lines.append(FleetLine(path, int(code), WORDS.get(code, "failed"), report))
        if report is None or not self._folders:
            return
        base = self._name(path)
        for name, folder in self._folders:
            file = Path(folder) / f"{base}.{ENDINGS.get(name, name)}"
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                raise UsageError(f"{file.parent}: cannot be made: {getattr(error, 'strerror', error)}.") from None
            write([report], [(name, str(file))], self._shown)

    def finish(self) -> None:
        """Write what holds all models.

        Raises
        ------
        UsageError
            A file cannot be written.
        """
        reports = [line.report for line in self._lines if line.report is not None]
        lines = self._lines if self._with_lines and len(self._lines) > 1 else []
        wanted = [target for target in self._files if reports or (lines and target[0] == "table")]
        write(reports, wanted, self._shown, lines)

    def _name(self, path: str) -> str:
        """Name the file of a model: its path below the folder that all models are in."""
        name = "stdin"
        if path != STDIN:
            name = os.path.relpath(_absolute(path), self._common or None)
        self._named[name] += 1
        return name if self._named[name] == 1 else f"{name}-{self._named[name]}"


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - without following links
