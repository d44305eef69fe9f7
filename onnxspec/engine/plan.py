"""What each layer will cost, and which layers are not to be started."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Sequence

from onnxspec.engine.job import Job
from onnxspec.facts import without_numbers
from onnxspec.graph import WeightMatrix
from onnxspec.results import Layer

__all__ = ["flops", "patterns_of", "refusal", "usable_cores", "working_bytes"]

FLOPS = 2e9
"""Floating-point operations a second that estimates of time count with: a slow core."""


def patterns_of(layer: str | Sequence[str] | None) -> tuple[str, ...]:
    """Give globs as a tuple; one may stand alone."""
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


def refusal(weight: WeightMatrix, job: Job, patterns: tuple[str, ...], deadline: float | None) -> Layer | None:
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
