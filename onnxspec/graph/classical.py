"""Parameters that ``ai.onnx.ml`` operators keep in attributes: trees, support vectors, linear models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.graph.nodes import attribute
from onnxspec.reading import StoredTensor

if TYPE_CHECKING:
    from onnxspec.reading import Node

__all__ = ["DOMAIN", "parameters_of"]

DOMAIN = "ai.onnx.ml"

_TREES = "thresholds, values and hit rates of trees are no matrix"
_WHY = {
    "TreeEnsemble": ("not_a_weight", _TREES),
    "TreeEnsembleClassifier": ("not_a_weight", _TREES),
    "TreeEnsembleRegressor": ("not_a_weight", _TREES),
    "SVMClassifier": ("not_a_weight", "support vectors are samples of the data, weighed one by one"),
    "SVMRegressor": ("not_a_weight", "support vectors are samples of the data, weighed one by one"),
    "LinearClassifier": ("unsupported_op", "coefficients in an attribute are not analysed yet"),
    "LinearRegressor": ("unsupported_op", "coefficients in an attribute are not analysed yet"),
}


def parameters_of(node: Node, path: str) -> Iterator[tuple[StoredTensor, str, str]]:
    """Give the numbers in a node's attributes as tensors, each with a reason and a detail.

    Lists of integers are the structure of trees and labels, and are left out.

    Parameters
    ----------
    node : Node
        A node of ``ai.onnx.ml``.
    path : str
        Its name, with which the tensors are named.
    """
    reason, detail = _WHY.get(node.op_type, ("vector", ""))
    for name in node.attributes:
        value = attribute(node, name)
        if isinstance(value, StoredTensor):
            if not value.dtype.startswith(("int", "uint", "string", "bool")):
                yield value, reason, detail
        elif isinstance(value, list) and value and isinstance(value[0], float):
            matrix = name in ("coefficients", "support_vectors") or reason == "not_a_weight"
            array = np.asarray(value, dtype=np.float32)
            tensor = StoredTensor.from_array(f"{path}.{name}", array)
            yield tensor, reason if matrix else "vector", detail
