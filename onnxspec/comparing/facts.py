"""What is known of two layers beside their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxspec.results import Quantization

__all__ = ["Facts"]


@dataclass(frozen=True)
class Facts:
    """What is known of the two layers beside their values.

    Attributes
    ----------
    positions : int
        Kernel positions of one input.
    quantization_a, quantization_b : Quantization or None
        How each is stored in few bits.
    batch_norm_a, batch_norm_b : bool or None
        Whether a BatchNormalization follows.
    single_a, single_b : bool
        Whether float32 is known to hold the values.
    convolution : bool
        Whether a BatchNormalization may have been folded into it.
    """

    positions: int = 1
    quantization_a: Quantization | None = None
    quantization_b: Quantization | None = None
    batch_norm_a: bool | None = None
    batch_norm_b: bool | None = None
    single_a: bool = False
    single_b: bool = False
    convolution: bool = False
