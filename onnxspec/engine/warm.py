"""Compile every kernel that an analysis uses, so that an image starts with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxspec._jit import KernelCache
    from onnxspec.graph import WeightMatrix

__all__ = ["Warmed", "warm"]


@dataclass(frozen=True)
class Warmed:
    """What was compiled.

    Attributes
    ----------
    used : int
        Kernels that an analysis calls.
    compiled : int
        Those that were not in the cache before.
    cache : KernelCache
        Where they are kept.
    """

    used: int
    compiled: int
    cache: KernelCache


def warm() -> Warmed:
    """Analyse a small made-up layer with every choice that picks other kernels."""
    from onnxspec._jit import KERNELS, kernel_cache
    from onnxspec.layers.analyze import analyze_layer
    from onnxspec.settings import Settings

    weight = _layer()
    for ks in ("grid", "two_sided", "seed2018"):
        analyze_layer(weight, Settings(effort="full", ks=ks))
    used = [kernel for kernel in KERNELS if kernel.signatures]
    missed = sum(sum(kernel.stats.cache_misses.values()) > 0 for kernel in used)
    return Warmed(len(used), missed, kernel_cache())


def _layer() -> WeightMatrix:
    """Make a layer with a heavy tail and no model."""
    import numpy as np

    from onnxspec.graph import WeightMatrix, layouts
    from onnxspec.graph.constants import Constant
    from onnxspec.graph.slots import dense
    from onnxspec.reading import StoredTensor

    random = np.random.default_rng(0)
    values = random.standard_normal((160, 120)) * random.pareto(2.5, (160, 1)) ** 0.5
    tensor = StoredTensor.from_array("made_up", values.astype(np.float32))
    constant = Constant(0, tensor.shape, tensor.dtype, stored=tensor)
    slot = dense(1, outputs_first=True)
    weight = WeightMatrix(constant, slot, "Gemm", "made_up", "main", 0, 0, ["made_up:1"], 1)
    weight.kernel_shape = layouts.canonical_shape(slot.layout, tensor.shape)
    return weight
