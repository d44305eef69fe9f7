"""Plan, run and collect: from the path of a model to its report."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec import __version__
from onnxspec.errors import TensorError, UsageError
from onnxspec.facts import without_numbers
from onnxspec.graph import Survey, SurveyOptions, WeightMatrix, survey
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.reading import Model, Source, open_model
from onnxspec.results import SCHEMA_VERSION, Diagnostic, Layer, Layers, ModelInfo, Report, Tool
from onnxspec.settings import Settings
from onnxspec.summary import cover, summarize, tied

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Job", "Progress", "analyze", "analyze_many", "inspect", "iter_weights", "weightwatcher_rows"]

Progress = Callable[[str, int, int], None]
"""Called with the layer's name, the work done and the work in all (in floating-point operations)."""

FLOPS = 2e9
"""Floating-point operations a second that estimates of time count with: a slow core."""


@dataclass(frozen=True)
class Job:
    """How an analysis runs; nothing here changes a number.

    Attributes
    ----------
    jobs : int or None
        Layers at the same time; ``None`` is the number of usable cores.
    timeout : float or None
        Seconds for one model; a layer that would pass it is not started.
    limits : Limits
        Caps on untrusted input.
    progress : callable or None
        Told about each layer that is finished.
    allow_hard_links : bool
        Whether external data may be a hard link.
    runtime_folding : bool
        Whether onnxruntime, in a process of its own, computes constants that no built-in operator can.
    """

    jobs: int | None = None
    timeout: float | None = None
    limits: Limits = DEFAULT_LIMITS
    progress: Progress | None = None
    allow_hard_links: bool = False
    runtime_folding: bool = True


def analyze(
    path: str | Path | Source,
    settings: Settings | None = None,
    *,
    layer: str | Sequence[str] | None = None,
    job: Job | None = None,
    **options: Any,
) -> Report:
    """Analyse every weight matrix of an ONNX model.

    Parameters
    ----------
    path : str, Path or Source
        The model. Its external data must lie in its own folder.
    settings : Settings, optional
        What to compute, and how.
    layer : str or sequence of str, optional
        Globs on id, name or tensor; other layers are skipped with the reason ``not_selected``.
    job : Job, optional
        How to run.
    **options
        Fields of `Settings` or of `Job`, such as ``conv="unfold"`` or ``jobs=2``.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        The model was rejected as a whole.
    UsageError
        An option does not exist or has a wrong value.
    """
    chosen, how = _options(settings, job, options)
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model:
        found = survey(model, how.limits, _wanted(chosen), runtime_folding=how.runtime_folding)
        layers = _run(found, chosen, how, _patterns(layer))
        return _report(model, found, layers, chosen)


def inspect(path: str | Path | Source, *, job: Job | None = None, **options: Any) -> Report:
    """List the weights of an ONNX model and how much of the file they are, without any numerics.

    The layers of the report have the status ``skipped`` and the reason
    ``not_computed``, or ``failed`` where the values cannot be read.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    """
    chosen, how = _options(None, job, options)
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model:
        found = survey(model, how.limits, _wanted(chosen), runtime_folding=how.runtime_folding)
        layers = [
            without_numbers(weight, "failed", weight.problem.code, weight.problem.message)
            if weight.problem is not None
            else without_numbers(weight, "skipped", "not_computed", "inspect computes no numbers")
            for weight in found.weights
        ]
        return _report(model, found, layers, None)


def iter_weights(path: str | Path | Source, *, job: Job | None = None, **options: Any) -> Iterator[WeightMatrix]:
    """Give the weight matrices of a model one by one; `WeightMatrix.load` reads the values.

    Each can be loaded until the iterator is exhausted or closed.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    """
    chosen, how = _options(None, job, options)
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model:
        yield from survey(model, how.limits, _wanted(chosen), runtime_folding=how.runtime_folding).weights


def analyze_many(
    paths: Sequence[str | Path],
    settings: Settings | None = None,
    *,
    executor: Executor | None = None,
    **options: Any,
) -> list[Report]:
    """Analyse several models, in order; any concurrent.futures executor may run them.

    Raises
    ------
    InputError
        One of the models was rejected.
    """
    if executor is None:
        return [analyze(path, settings, **options) for path in paths]
    futures = [executor.submit(analyze, path, settings, **options) for path in paths]
    return [future.result() for future in futures]


def weightwatcher_rows(path: str | Path | Source, *, job: Job | None = None, **options: Any) -> list[dict[str, Any]]:
    """Give WeightWatcher's details of every weight, in its names and conventions.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    """
    from onnxspec.weightwatcher import COLUMNS, details

    _, how = _options(None, job, options)
    rows = []
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model, _one_blas_thread():
        everything = SurveyOptions(include=("*",))
        found = survey(model, how.limits, everything, runtime_folding=how.runtime_folding)
        whole = [weight for weight in found.weights if weight.slot.part is None or weight.role != "dense"]
        for number, weight in enumerate(whole):
            row: dict[str, Any] = dict.fromkeys(COLUMNS)
            refusal = _refusal(weight, how, (), None)
            try:
                if refusal is not None:
                    raise TensorError(refusal.reason or "unknown", "")
                row |= details(weight.constant.load(), kind="conv" if "conv" in weight.role else "dense")
            except TensorError as error:
                row |= {"status": "failed", "warning": error.code}
            rows.append(row | {"layer_id": number, "name": weight.tensor or weight.name, "longname": weight.name})
    return rows


def _options(settings: Settings | None, job: Job | None, options: dict[str, Any]) -> tuple[Settings, Job]:
    """Sort keyword options into settings and job."""
    from dataclasses import fields, replace

    of_settings = {f.name for f in fields(Settings)}
    of_job = {f.name for f in fields(Job)}
    for name in options:
        if name not in of_settings | of_job:
            raise UsageError(f"There is no option {name!r}.")
    return (
        replace(settings or Settings(), **{k: v for k, v in options.items() if k in of_settings}),
        replace(job or Job(), **{k: v for k, v in options.items() if k in of_job}),
    )


def _wanted(settings: Settings) -> SurveyOptions:
    """Give what the settings ask of the survey."""
    return SurveyOptions(settings.gates, settings.include, settings.exclude, settings.roles)


def _patterns(layer: str | Sequence[str] | None) -> tuple[str, ...]:
    if layer is None:
        return ()
    return (layer,) if isinstance(layer, str) else tuple(layer)


def _selected(weight: WeightMatrix, patterns: tuple[str, ...]) -> bool:
    """Say whether a weight is among those asked for."""
    names = (weight.id, weight.name, weight.tensor)
    return not patterns or any(fnmatch.fnmatchcase(name, p) or name == p for name in names for p in patterns)


def usable_cores() -> int:
    """Give the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def flops(weight: WeightMatrix) -> float:
    """Estimate the floating-point operations of a layer: Gram matrix and eigenvalues."""
    each = 2.0 * weight.N * weight.M**2 + 3.0 * float(weight.M) ** 3
    return weight.num_matrices * each + 1e3


def working_bytes(weight: WeightMatrix) -> int:
    """Estimate the working memory of a layer in bytes: its values and two Gram matrices, in float64."""
    return 8 * (2 * weight.parameters + 2 * weight.M**2)


def _run(found: Survey, settings: Settings, job: Job, patterns: tuple[str, ...]) -> list[Layer]:
    """Analyse the layers, several at a time, and give them in graph order."""
    from onnxspec.layer import analyze_layer
    from onnxspec.verdicts import correct_for_looking_often

    total = sum(flops(weight) for weight in found.weights)
    deadline = None if job.timeout is None else time.monotonic() + job.timeout
    done = 0.0

    def task(weight: WeightMatrix) -> Layer:
        refusal = _refusal(weight, job, patterns, deadline)
        return refusal if refusal is not None else analyze_layer(weight, settings)

    layers: list[Layer] = []
    workers = max(1, min(job.jobs or usable_cores(), len(found.weights)))
    with _one_blas_thread(), _pool(workers) as pool:
        futures: list[Future[Layer] | None] = [pool.submit(task, w) if pool else None for w in found.weights]
        try:
            for weight, future in zip(found.weights, futures):
                layers.append(future.result() if future is not None else task(weight))
                done += flops(weight)
                if job.progress is not None:
                    job.progress(weight.name, int(done), int(total))
        except BaseException:
            for future in futures:
                if future is not None:
                    future.cancel()
            raise
    return correct_for_looking_often(layers)


def _refusal(weight: WeightMatrix, job: Job, patterns: tuple[str, ...], deadline: float | None) -> Layer | None:
    """Give the layer as skipped or failed where it is not to be started."""
    if not _selected(weight, patterns):
        return without_numbers(weight, "skipped", "not_selected", "left out by --layer")
    if weight.problem is not None:
        return without_numbers(weight, "failed", weight.problem.code, weight.problem.message)
    needed = working_bytes(weight)
    if needed > job.limits.matrix_bytes:
        detail = (
            f"needs about {needed / 2**30:.1f} GiB of memory, above the limit of {job.limits.matrix_bytes / 2**30:.1f}"
        )
        return without_numbers(weight, "skipped", "memory_limit", detail)
    if deadline is not None and time.monotonic() + flops(weight) / FLOPS > deadline:
        detail = f"would take about {flops(weight) / FLOPS:.1f} s, more than is left of the timeout"
        return without_numbers(weight, "skipped", "time_limit", detail)
    return None


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: layers run side by side, and results must not depend on the cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


class _pool:  # noqa: N801 - a context manager
    """A pool of threads, or nothing for one worker."""

    def __init__(self, workers: int) -> None:
        self._stack = ExitStack()
        self._workers = workers

    def __enter__(self) -> ThreadPoolExecutor | None:
        if self._workers == 1:
            return None
        return self._stack.enter_context(ThreadPoolExecutor(self._workers))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _report(model: Model, found: Survey, layers: list[Layer], settings: Settings | None) -> Report:
    """Put the report together."""
    coverage, skipped = cover(found, layers)
    diagnostics = [
        *found.diagnostics,
        *tied(layers),
        *(_diagnostic(layer) for layer in layers if layer.status == "failed"),
    ]
    if not model.source.unchanged():
        diagnostics.append(Diagnostic("file_changed", "error", "the file changed while it was read", None))
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool("onnxspec", __version__),
        settings={} if settings is None else {**settings.canonical(), "hash": settings.digest()},
        model=ModelInfo(
            path=model.source.path,
            sha256=model.source.sha256(),
            bytes=model.source.size,
            ir_version=model.ir_version,
            opset_import=dict(sorted(model.opset_import.items())),
            producer=model.producer,
            parameters=coverage.parameters_total,
            external_files=model.external_files(),
        ),
        coverage=coverage,
        layers=Layers(layers),
        summary=summarize(layers),
        diagnostics=tuple(diagnostics),
        skipped=skipped,
    )


def _diagnostic(layer: Layer) -> Diagnostic:
    """Say in one sentence why a layer failed."""
    return Diagnostic(layer.reason or "failed", "error", layer.warnings[0] if layer.warnings else "failed", layer.name)
