"""Run the layers of one model, several at a time, and give them in graph order."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from onnxspec.engine.blas import one_blas_thread
from onnxspec.engine.cores import usable_cores
from onnxspec.engine.job import Job
from onnxspec.engine.plan import budget_of, flops, refusal, working_bytes
from onnxspec.engine.reuse import LayerTask, analyzed, reusing, spared
from onnxspec.engine.workers import Task, Workers
from onnxspec.errors import InputError
from onnxspec.graph import Survey, WeightMatrix
from onnxspec.results import Layer
from onnxspec.settings import Settings
from onnxspec.spectra.slabs import Mapper

if TYPE_CHECKING:
    from onnxspec.store import ResultStore

__all__ = ["LayerTask", "corrected", "run_layers"]


def run_layers(
    found: Survey,
    settings: Settings,
    job: Job,
    patterns: tuple[str, ...],
    *,
    task: LayerTask | None = None,
    store: ResultStore | None = None,
    beside: Callable[[], object] | None = None,
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
        What is done with one layer; `onnxspec.layers.analyze.analyze_layer` unless given.
    store : ResultStore, optional
        What is in it is not computed again, and what is computed goes into it.
    beside : callable, optional
        Work that a further worker may do meanwhile; its problems are left to whoever needs its result.
    """
    jobs = job.jobs or usable_cores()
    total = sum(flops(weight, settings) for weight in found.weights)
    deadline = None if job.timeout is None else time.monotonic() + job.timeout
    done = 0.0

    def task_of(weight: WeightMatrix) -> Task:
        def run(mapper: Mapper) -> Layer:
            refused = refusal(weight, settings, job, patterns, deadline)
            if refused is not None:
                return spared(store, weight, settings, refused, deadline)
            return reusing(store, task or partial(analyzed, mapper=mapper))(weight, settings)

        return Task(run, working_bytes(weight, settings, jobs), flops(weight, settings))

    layers: list[Layer] = []
    tasks = [task_of(weight) for weight in found.weights]
    if beside is not None and jobs > 1:
        tasks.append(Task(lambda _: _quietly(beside), 0, float("inf")))
    with one_blas_thread(), closing(Workers(jobs, budget_of(job)).run(tasks)) as results:
        for weight, layer in zip(found.weights, results):
            layers.append(layer)
            done += flops(weight, settings)
            if job.progress is not None:
                job.progress(weight.name, int(done), int(total))
        for _ in results:
            pass
    return corrected(layers)


def corrected(layers: list[Layer]) -> list[Layer]:
    """Do what needs all layers of a model: correct the trained verdicts for the number of tests."""
    if all(layer.trained is None for layer in layers):
        return layers
    from onnxspec.diagnosis.multiple_tests import correct_for_looking_often

    return correct_for_looking_often(layers)


def _quietly(work: Callable[[], object]) -> None:
    """Do some work; what is wrong with the model is said where its result is needed."""
    with suppress(InputError):
        work()
