"""Run the layers of one model, several at a time, and give them in graph order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from onnxspec.engine.job import Job
from onnxspec.engine.plan import flops, refusal, usable_cores
from onnxspec.engine.reuse import LayerTask, analyzed, reusing, spared
from onnxspec.graph import Survey, WeightMatrix
from onnxspec.results import Layer
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

    from onnxspec.store import ResultStore

__all__ = ["LayerTask", "one_blas_thread", "run_layers"]


def run_layers(
    found: Survey,
    settings: Settings,
    job: Job,
    patterns: tuple[str, ...],
    *,
    task: LayerTask | None = None,
    store: ResultStore | None = None,
) -> list[Layer]:
    """Analyse the layers, several at a time, and give them in graph order.

    Parameters
    ----------
    found : Survey
        What the model holds.
    settings, job : Settings, Job
        What to compute, and how.
    patterns : tuple of str
        Globs of the layers that are wanted; none for all.
    task : LayerTask, optional
        What is done with one layer; `onnxspec.layer.analyze_layer` unless given.
    store : ResultStore, optional
        What is in it is not computed again, and what is computed goes into it.
    """
    work = reusing(store, task or analyzed)
    total = sum(flops(weight) for weight in found.weights)
    deadline = None if job.timeout is None else time.monotonic() + job.timeout
    done = 0.0

    def run(weight: WeightMatrix) -> Layer:
        refused = refusal(weight, job, patterns, deadline)
        if refused is not None:
            return spared(store, weight, settings, refused, deadline)
        return work(weight, settings)

    layers: list[Layer] = []
    workers = max(1, min(job.jobs or usable_cores(), len(found.weights)))
    with one_blas_thread(), _pool(workers) as pool:
        futures: list[Future[Layer] | None] = [pool.submit(run, w) if pool else None for w in found.weights]
        try:
            for weight, future in zip(found.weights, futures):
                layers.append(future.result() if future is not None else run(weight))
                done += flops(weight)
                if job.progress is not None:
                    job.progress(weight.name, int(done), int(total))
        except BaseException:
            for future in futures:
                if future is not None:
                    future.cancel()
            raise
    if all(layer.trained is None for layer in layers):
        return layers
    from onnxspec.verdicts import correct_for_looking_often

    return correct_for_looking_often(layers)


@contextmanager
def one_blas_thread() -> Iterator[None]:
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
