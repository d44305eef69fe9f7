"""What each layer will cost, and which layers are not to be started."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence

from onnxspec.engine.job import Job
from onnxspec.engine.workers import AHEAD
from onnxspec.graph import WeightMatrix
from onnxspec.graph.values import LARGE, SAMPLED_ELEMENTS, SAMPLES, STACK_ELEMENTS
from onnxspec.layers.blank import without_numbers
from onnxspec.layers.estimated import is_estimated
from onnxspec.results import Layer
from onnxspec.settings import Settings
from onnxspec.spectra.slabs import slab_rows
from onnxspec.spectra.stochastic import BLOCK, PART_ELEMENTS, STEPS

__all__ = ["budget_of", "flops", "patterns_of", "refusal", "working_bytes"]

CHUNK = 2**20
"""Elements of a stack of small matrices that are solved together: 8 MiB in float64."""

_WIDE = ("float64", "int32", "uint32", "int64", "uint64")
"""Element types that need float64."""

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


def flops(weight: WeightMatrix, settings: Settings) -> float:
    """Estimate the floating-point operations of a layer: Gram matrix and eigenvalues, or products with vectors."""
    if is_estimated(weight.kernel_shape, settings):
        return 4.0 * weight.N * weight.M * BLOCK * STEPS + 1e3
    each = 2.0 * weight.N * weight.M**2 + 3.0 * float(weight.M) ** 3
    return weight.num_matrices * each + 1e3


def working_bytes(weight: WeightMatrix, settings: Settings, jobs: int = 1) -> int:
    """Estimate the most memory that a layer needs at a time, in bytes.

    Of an estimated layer, the vectors, a part of the matrix and the sample of its levels.
    Of any other: the values in their own precision, where they are not left in the file; then the
    larger of what forming the Gram matrix takes (a slab in float64 and its product
    beside the sum, once more for each further worker, and the products that wait) and of what solving it takes
    (the matrix and LAPACK's copy). Beyond the fast effort a layer that is not worked
    through in slabs is held in float64 with two working copies.

    Parameters
    ----------
    weight : WeightMatrix
        The layer.
    settings : Settings
        Its effort counts.
    jobs : int
        Workers that may share its slabs.
    """
    count, M = weight.parameters, weight.M
    stored = weight.constant.stored
    width = 8 if weight.dtype in _WIDE or not (stored or weight.quantization) else 4
    file = weight.in_file()
    held = 0 if file is not None else width * count
    if is_estimated(weight.kernel_shape, settings):
        products = 8 * (3 * max(PART_ELEMENTS, M) + M * BLOCK * (STEPS + 4) + 4 * (BLOCK * STEPS) ** 2)
        sample = 2 * width * min(SAMPLED_ELEMENTS, SAMPLES * SAMPLES * M)
        return held + max(products, sample)
    slab = min(slab_rows(M), weight.N) * M
    several = weight.num_matrices == 1 and slab_rows(M) < weight.N
    if weight.num_matrices > 1:
        read = 0 if held else width * STACK_ELEMENTS
        forming = read + 8 * (3 * max(weight.N * M, CHUNK) + weight.num_matrices * M)
        solving = 0
    else:
        shared = (jobs - 1) * 8 * (slab + M * M) + (AHEAD * 8 * M * M if jobs > 1 else 0)
        forming = 8 * (slab + M * M) + (8 * M * M + shared if several else 0) + 4 * slab
        solving = 16 * M * M
    verdicts = 0
    if settings.effort != "fast":
        whole = settings.effort == "full" or not (weight.kernel_shape[0] == 1 and count > LARGE)
        unfolded = min(weight.kernel_shape[1], weight.kernel_shape[2] * weight.kernel_shape[3])
        verdicts = (24 * count if whole else 0) + 16 * unfolded * unfolded
    exact = 24 * count if settings.exact else 0
    return held + max(forming, solving, verdicts, exact)


def budget_of(job: Job) -> int:
    """Give the bytes that the layers at work may need together."""
    return job.limits.matrix_bytes if job.max_memory is None else job.max_memory


def refusal(
    weight: WeightMatrix, settings: Settings, job: Job, patterns: tuple[str, ...], deadline: float | None
) -> Layer | None:
    """Give the layer as skipped or failed where it is not to be started."""
    if not _selected(weight, patterns):
        return without_numbers(weight, "skipped", "not_selected", "left out by --layer")
    if weight.problem is not None:
        return without_numbers(weight, "failed", weight.problem.code, weight.problem.message)
    needed = working_bytes(weight, settings)
    allowed = min(budget_of(job), job.limits.matrix_bytes)
    if needed > allowed:
        detail = f"needs about {_size(needed)} of memory, above the limit of {_size(allowed)}"
        return without_numbers(weight, "skipped", "memory_limit", detail)
    if deadline is not None and time.monotonic() + flops(weight, settings) / FLOPS > deadline:
        detail = f"would take about {flops(weight, settings) / FLOPS:.1f} s, more than is left of the timeout"
        return without_numbers(weight, "skipped", "time_limit", detail)
    return None


def _size(count: int) -> str:
    """Write a number of bytes in the unit that suits it."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.3g} MiB"
