"""What is known of a layer without reading its values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from onnxspec.results import Layer, Status

if TYPE_CHECKING:
    from onnxspec.graph import WeightMatrix

__all__ = ["blank_layer", "without_numbers"]


def blank_layer(weight: WeightMatrix) -> Layer:
    """Give what is known of a layer without reading its values."""
    known = 0 not in weight.kernel_shape
    return Layer(
        id=weight.id,
        name=weight.name,
        op_type=weight.op_type,
        role=weight.role,
        tensor=weight.tensor,
        used_by=tuple(weight.used_by),
        shape=weight.shape,
        dtype=weight.dtype,
        quantization=weight.quantization,
        parameters=weight.parameters,
        chain=weight.constant.chain(),
        copies=tuple(weight.copies),
        place=weight.place,
        depth=weight.depth,
        batch_norm=weight.batch_norm,
        averaged=weight.averaged,
        N=weight.N if known else None,
        M=weight.M if known else None,
        Q=weight.Q if known else None,
        num_matrices=weight.num_matrices if known else None,
        num_evals=weight.num_matrices * weight.M if known else None,
    )


def without_numbers(weight: WeightMatrix, status: Status, reason: str, detail: str) -> Layer:
    """Give a layer that has no numbers, and why."""
    return replace(blank_layer(weight), status=status, reason=reason, warnings=(detail,))
