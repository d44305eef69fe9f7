"""Layers as tasks of any `concurrent.futures.Executor`: what is sent, what a worker does, what is checked.

A task names a layer, and the worker reads its bytes itself: it opens the model once
for each analysis and finds the same layers by the same rules. Meanwhile the process
that asked hashes the same bytes, and takes no result of other ones.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import warnings
from collections import OrderedDict
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from onnxspec import __version__
from onnxspec.engine.blas import one_blas_thread
from onnxspec.engine.job import Job
from onnxspec.engine.plan import FLOPS, flops, refusal
from onnxspec.engine.reuse import analyzed, place_of, reusing, spared
from onnxspec.engine.run import corrected
from onnxspec.errors import InputError, TensorError, UsageError
from onnxspec.graph import Survey, SurveyOptions, WeightMatrix, survey
from onnxspec.graph.fingerprint import fingerprint
from onnxspec.layers.blank import without_numbers
from onnxspec.limits import Limits
from onnxspec.reading import Model, open_model
from onnxspec.results import Layer
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from onnxspec.store import ResultStore

__all__ = ["RemoteModel", "WorkerWarning", "remote_layer", "run_remotely", "sent"]

KEPT = 2
"""Models that a worker keeps open when nobody uses them: the next task is mostly of the same one."""

_PROCESS = uuid.uuid4().hex


class WorkerWarning(UserWarning):
    """Workers differ from this process in what the last digits depend on."""


@dataclass(frozen=True)
class RemoteModel:
    """What a worker needs to open a model as this process did.

    Attributes
    ----------
    path : str
        Absolute path, the same on every worker.
    bytes : int
        Size of the file.
    analysis : str
        Tells one analysis from the next: nothing is kept from one to another.
    process : str
        Who asks.
    version : str
        Version of onnxspec.
    limits, wanted, allow_hard_links, runtime_folding
        As in `Job` and the settings.
    store : str or None
        Where the worker looks for results, and keeps them.
    """

    path: str
    bytes: int
    analysis: str
    process: str
    version: str
    limits: Limits
    wanted: SurveyOptions
    allow_hard_links: bool
    runtime_folding: bool
    store: str | None


@dataclass(frozen=True)
class RemoteLayer:
    """What a worker hands back; `layer` is None where no time was left to start it."""

    layer: Layer | None
    fingerprint: str | None
    code: str
    reused: bool = False
    added: bool = False
    problems: tuple[str, ...] = ()


def sent(model: Model, wanted: SurveyOptions, job: Job) -> RemoteModel:
    """Describe an open model for workers.

    Raises
    ------
    UsageError
        It came from standard input, so that no other process can open it.
    """
    if model.source.folder is None:
        raise UsageError("workers open models by their path; standard input has none. Save it to a file first.")
    return RemoteModel(
        path=str(Path(model.source.path).absolute()),
        bytes=model.source.size,
        analysis=uuid.uuid4().hex,
        process=_this_process(),
        version=__version__,
        limits=job.limits,
        wanted=wanted,
        allow_hard_links=job.allow_hard_links,
        runtime_folding=job.runtime_folding,
        store=place_of(job.store),
    )


def run_remotely(
    found: Survey,
    settings: Settings,
    job: Job,
    patterns: tuple[str, ...],
    executor: Executor,
    model: RemoteModel,
    store: ResultStore | None = None,
) -> list[Layer]:
    """Have the layers analysed by an executor's workers, and give them in graph order.

    Parameters
    ----------
    found : Survey
        What the model holds.
    settings, job : Settings, Job
        What to compute, and how.
    patterns : tuple of str
        Globs of the layers that are wanted; none for all.
    executor : concurrent.futures.Executor
        Of threads, processes or other machines.
    model : RemoteModel
        See `sent`.
    store : ResultStore, optional
        Open here; workers open their own at the same place.

    Raises
    ------
    InputError
        A worker cannot open the model.
    UsageError
        A worker has another version of onnxspec.
    """
    total = sum(flops(weight, settings) for weight in found.weights)
    expires = None if job.timeout is None else time.time() + job.timeout
    results: list[Layer | Future[RemoteLayer]] = []
    asked = _Asked(store)
    done = 0.0
    with ExitStack() as stack:
        stack.enter_context(one_blas_thread())  # threads of this process may be the workers
        stack.callback(_cancel, results)
        for index, weight in enumerate(found.weights):
            refused = refusal(weight, settings, job, patterns, None)
            if refused is not None:
                results.append(spared(store, weight, settings, refused, None))
            else:
                results.append(executor.submit(remote_layer, model, index, weight.id, settings, expires))
        layers = []
        for weight, result in zip(found.weights, results):
            layers.append(result if isinstance(result, Layer) else asked.answer(weight, result, settings, job))
            done += flops(weight, settings)
            if job.progress is not None:
                job.progress(weight.name, int(done), int(total))
    asked.warn()
    return corrected(layers)


def _cancel(results: list[Layer | Future[RemoteLayer]]) -> None:
    """Take back what nobody waits for any more; of futures that are done nothing is left to take."""
    for result in results:
        if isinstance(result, Future):
            result.cancel()


@dataclass
class _Asked:
    """Takes the answers of workers and checks them."""

    store: ResultStore | None
    others: set[str] = field(default_factory=set)

    def answer(self, weight: WeightMatrix, future: Future[RemoteLayer], settings: Settings, job: Job) -> Layer:
        """Give the layer that a worker computed, or why it is not taken."""
        try:
            own: str | None = fingerprint(weight)
        except TensorError:
            own = None
        try:
            answer = future.result()
        except (BrokenExecutor, CancelledError) as error:
            detail = f"the worker that had it ended without a result: {str(error)[:200] or type(error).__name__}"
            return without_numbers(weight, "failed", "worker_lost", detail)
        if answer.layer is None:
            late = refusal(weight, settings, job, (), float("-inf"))
            return late if late is not None else without_numbers(weight, "skipped", "time_limit", "no time was left")
        if own != answer.fingerprint or answer.layer.id != weight.id:
            detail = "a worker read other bytes under the model's path than this process did"
            return without_numbers(weight, "failed", "file_changed", detail)
        self._account(answer)
        return answer.layer

    def _account(self, answer: RemoteLayer) -> None:
        """Note where the result came from."""
        self.others.add(answer.code)
        if self.store is not None:
            self.store.account(answer.reused, answer.added, answer.problems)

    def warn(self) -> None:
        """Say where workers have other libraries or another kind of processor."""
        if self.others - {_code()}:
            warnings.warn(
                "workers have other libraries or another kind of processor than this process: "
                "the last digits may differ from those of a run here",
                WorkerWarning,
                stacklevel=5,
            )


def remote_layer(
    model: RemoteModel, index: int, identifier: str, settings: Settings, expires: float | None
) -> RemoteLayer:
    """Analyse one layer of a model in a worker.

    Parameters
    ----------
    model : RemoteModel
        The model.
    index, identifier : int, str
        Which of its layers.
    settings : Settings
        What to compute.
    expires : float, optional
        Seconds since 1970 at which the analysis must be over.

    Raises
    ------
    InputError
        The model cannot be opened here, or is another one.
    UsageError
        This is another version of onnxspec.
    """
    if model.version != __version__:
        raise UsageError(f"A worker has onnxspec {__version__}, the program that asks {model.version}; install one.")
    if model.process != _this_process():
        _blas_held(_this_process())
    with _OPEN.use(model) as opened:
        weights = opened.found.weights
        if index >= len(weights) or weights[index].id != identifier:
            raise InputError(f"{model.path}: a worker found another model under this path.")
        weight, store = weights[index], opened.store
        try:
            digest: str | None = fingerprint(weight)
        except TensorError:
            digest = None
        layer = store.find(weight, settings) if store is not None else None
        if layer is not None:
            return RemoteLayer(layer, digest, _code(), reused=True)
        if expires is not None and time.time() + flops(weight, settings) / FLOPS > expires:
            return RemoteLayer(None, digest, _code())
        layer = reusing(store, analyzed)(weight, settings)
        kept = store is not None and layer.status == "ok" and store.writable
        return RemoteLayer(layer, digest, _code(), added=kept, problems=() if store is None else tuple(store.problems))


class _Opened:
    """A model that a worker holds open, with what was found in it."""

    def __init__(self, asked: RemoteModel) -> None:
        self.users = 0
        self._stack = ExitStack()
        try:
            model = open_model(asked.path, asked.limits, allow_hard_links=asked.allow_hard_links)
            self._stack.enter_context(model)
            if model.source.size != asked.bytes:
                raise InputError("the file has another size")
            self.found = survey(model, asked.limits, asked.wanted, runtime_folding=asked.runtime_folding)
            self.store: ResultStore | None = None
            if asked.store is not None:
                from onnxspec.store import ResultStore

                self.store = self._stack.enter_context(ResultStore(asked.store))
        except InputError as error:
            self.close()
            raise InputError(
                f"{asked.path}: a worker cannot open it ({str(error).rstrip('.')}); "
                "workers read models by their path, from a folder that they share."
            ) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close its files."""
        self._stack.close()


class _OpenModels:
    """The models that this process holds open for its tasks; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: OrderedDict[RemoteModel, _Opened] = OrderedDict()

    def use(self, model: RemoteModel) -> _Use:
        """Give a model for the length of a ``with``."""
        return _Use(self, model)

    def enter(self, model: RemoteModel) -> _Opened:
        """Open a model, or give it where it is open; the lock is held, so that one thread alone surveys it."""
        with self._lock:
            opened = self._models.get(model)
            if opened is None:
                opened = self._models[model] = _Opened(model)
            self._models.move_to_end(model)
            opened.users += 1
            return opened

    def leave(self, opened: _Opened) -> None:
        """Close those that nobody uses, but for the last few."""
        with self._lock:
            opened.users -= 1
            idle = [model for model, other in self._models.items() if not other.users]
            for model in idle[: max(0, len(self._models) - KEPT)]:
                self._models.pop(model).close()


@dataclass
class _Use:
    """One use of an open model."""

    models: _OpenModels
    model: RemoteModel
    opened: _Opened | None = None

    def __enter__(self) -> _Opened:
        self.opened = self.models.enter(self.model)
        return self.opened

    def __exit__(self, *error: object) -> None:
        if self.opened is not None:
            self.models.leave(self.opened)


_OPEN = _OpenModels()


def _this_process() -> str:
    """Name this process: a fork has the same memory and another number."""
    return f"{_PROCESS}:{os.getpid()}"


@cache
def _blas_held(process: str) -> ExitStack:
    """Hold BLAS to one thread for good, in a process that works for another."""
    del process  # a fork starts anew
    stack = ExitStack()
    stack.enter_context(one_blas_thread())
    return stack


def _code() -> str:
    """Name what the last digits depend on; empty where that cannot be known."""
    from onnxspec.store.key import code_version

    try:
        return code_version()
    except OSError:
        return ""
