"""Bytes on disk to a parsed graph with tensors that are read on demand.

Nothing here trusts its input: `open_model` gives a model, or raises an
`onnxspec.errors.InputError` with one sentence; what is wrong with one tensor is
that tensor's `StoredTensor.problem`.
"""

from __future__ import annotations

from onnxspec.reading._dtypes import dtype_name, numpy_dtype
from onnxspec.reading._opening import open_model
from onnxspec.reading.source import Source
from onnxspec.reading.structure import Attribute, Function, Graph, Model, Node, SparseTensor
from onnxspec.reading.tensors import Payload, Segment, StoredTensor

__all__ = [
    "Attribute",
    "Function",
    "Graph",
    "Model",
    "Node",
    "Payload",
    "Segment",
    "Source",
    "SparseTensor",
    "StoredTensor",
    "dtype_name",
    "numpy_dtype",
    "open_model",
]
