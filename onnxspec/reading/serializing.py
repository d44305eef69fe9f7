"""A model of one node, written with onnx's own protobuf classes for another process to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxspec.errors import TensorError
from onnxspec.reading._dtypes import dtype_of_array, encode
from onnxspec.reading.proto import message_class
from onnxspec.reading.structure import Node
from onnxspec.reading.tensors import StoredTensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["one_node_model"]

_IR_VERSION = 10
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8


def one_node_model(
    node: Node, arrays: Sequence[NDArray[np.generic] | None], output: int, opset_import: Mapping[str, int]
) -> bytes:
    """Write a model that evaluates one output of a node on constants.

    Nothing of the file goes into it but the operator, its attributes and the
    values: no name, no path, no external data.

    Parameters
    ----------
    node : Node
        The node.
    arrays : sequence of ndarray or None
        Its inputs; None for one that is left out.
    output : int
        The output wanted; it gets the name ``y``.
    opset_import : Mapping of str to int
        Of the file.

    Raises
    ------
    TensorError
        An attribute or a value cannot be written (``not_folded``), or a payload cannot be read.
    """
    model = message_class()()
    model.ir_version = _IR_VERSION
    for domain in sorted({"", node.domain}):
        model.opset_import.add(domain=domain, version=opset_import.get(domain, 1))
    graph = model.graph
    graph.name = "constant"
    copy = graph.node.add(op_type=node.op_type, domain=node.domain)
    for position, array in enumerate(arrays):
        copy.input.append("" if array is None else f"x{position}")
        if array is not None:
            _write_tensor(graph.initializer.add(name=f"x{position}"), array)
    copy.output.extend("y" if i == output else f"z{i}" if name else "" for i, name in enumerate(node.outputs))
    for name, held in node.attributes.items():
        _write_attribute(copy.attribute, name, held.value)
    graph.output.add(name="y")
    data: bytes = model.SerializeToString()
    return data


def _write_tensor(proto: Any, array: NDArray[np.generic]) -> None:
    """Write a tensor with its values."""
    dtype = dtype_of_array(array)
    if dtype is None:
        raise TensorError("not_folded", f"values of type {array.dtype} cannot be written")
    proto.data_type = dtype.code
    proto.dims.extend(array.shape)
    proto.raw_data = encode(dtype, array).tobytes()


def _write_attribute(attributes: Any, name: str, value: Any) -> None:
    """Write an attribute; an empty list, whose type is not known, is left to its default."""
    if value is None or value == []:
        return
    if isinstance(value, StoredTensor):
        proto = attributes.add(name=name, type=_TENSOR)
        _write_tensor(proto.t, value.load())
        return
    first = value[0] if isinstance(value, list) else value
    kinds = {int: ("i", _INT), float: ("f", _FLOAT), str: ("s", _STRING)}
    if type(first) not in kinds:
        raise TensorError("not_folded", f"the attribute {name!r} cannot be written")
    field, kind = kinds[type(first)]
    items = [item.encode() for item in value] if isinstance(value, list) and field == "s" else value
    if isinstance(value, list):
        many = {"i": _INTS, "f": _FLOATS, "s": _STRINGS}[field]
        getattr(attributes.add(name=name, type=many), {"i": "ints", "f": "floats", "s": "strings"}[field]).extend(items)
    else:
        setattr(attributes.add(name=name, type=kind), field, value.encode() if field == "s" else value)
