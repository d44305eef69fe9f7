"""What is done with one layer: it is computed, or found among results that were kept."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxspec.graph import WeightMatrix
from onnxspec.results import Layer
from onnxspec.settings import Settings
from onnxspec.spectra.slabs import Mapper, one_by_one

if TYPE_CHECKING:
    from pathlib import Path

    from onnxspec.store import ResultStore

__all__ = ["LayerTask", "analyzed", "place_of", "reusing", "spared", "stored"]

LayerTask = Callable[[WeightMatrix, Settings], Layer]
"""The whole job of one layer: `onnxspec.layers.analyze.analyze_layer`, or something that wraps it.

It depends on the weight's values and on the settings alone, and never raises for
what is wrong with the weight. What needs all layers (`corrected`)
comes afterwards, so a layer's result may come from a store or from another machine.
"""


def analyzed(weight: WeightMatrix, settings: Settings, mapper: Mapper = one_by_one) -> Layer:
    """Compute a layer; what computes it is loaded when the first one is."""
    from onnxspec.layers.analyze import analyze_layer

    return analyze_layer(weight, settings, mapper)


def reusing(store: ResultStore | None, task: LayerTask) -> LayerTask:
    """Give the task that looks into the store first, where there is one."""
    return task if store is None else store.task(task)


def spared(
    store: ResultStore | None, weight: WeightMatrix, settings: Settings, refused: Layer, deadline: float | None
) -> Layer:
    """Give the result of a layer that would cost too much, where it is in the store; else the refusal."""
    in_time = deadline is None or time.monotonic() < deadline
    if store is None or refused.reason not in ("memory_limit", "time_limit") or not in_time:
        return refused
    return store.find(weight, settings) or refused


def place_of(store: ResultStore | str | Path | None) -> str | None:
    """Give the file of a store for another process, which may stand in another folder."""
    if store is None:
        return None
    from onnxspec.store import ResultStore, located

    return str(located(store.place if isinstance(store, ResultStore) else store).absolute())


@contextmanager
def stored(place: ResultStore | str | Path | None, *, warned: bool = True) -> Iterator[ResultStore | None]:
    """Open a store for one analysis, or give the one that is open already.

    What is wrong with a store that is opened here is a `StoreWarning`, where nobody
    looks into its `problems`.
    """
    if place is None:
        yield None
        return
    from onnxspec.store import ResultStore, StoreWarning

    if isinstance(place, ResultStore):
        yield place
        return
    with ResultStore(place) as store:
        yield store
    for problem in store.problems if warned else ():
        warnings.warn(problem, StoreWarning, stacklevel=4)
