"""One digest of everything that decides a weight's values: the stored bytes, and how they become matrices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxspec.errors import TensorError
from onnxspec.reading import Node, SparseTensor, StoredTensor

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant
    from onnxspec.graph.weights import WeightMatrix

__all__ = ["fingerprint"]

_PLAIN = (int, float, str, bytes, bool, type(None))


def fingerprint(weight: WeightMatrix) -> str:
    """Hash what decides the values of a weight: equal for equal weights of any file, whatever their names.

    It reads every stored tensor below the weight once and holds one chunk of it.

    Parameters
    ----------
    weight : WeightMatrix
        The weight. Role, layout and quantisation scheme count; names and places do not.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TensorError
        A payload cannot be read, or an operator holds something that has no digest (``not_folded``).
    """
    if weight.problem is not None:
        raise weight.problem
    slot = weight.slot
    seen = (slot.role, slot.form, slot.part, slot.scheme, weight.kernel_shape, weight.dtype)
    return _digest("weight", seen, _of_constant(weight.constant))


def _of_constant(constant: Constant) -> str:
    """Hash a constant expression, inputs first."""
    known: dict[int, str] = {}
    stack = [(constant, False)]
    while stack:
        current, ready = stack.pop()
        if id(current) in known:
            continue
        if not ready and not current.pinned:
            stack.append((current, True))
            stack.extend((i, False) for i in current.inputs if i is not None)
            continue
        known[id(current)] = _of_step(current, [None if i is None else known.get(id(i)) for i in current.inputs])
    return known[id(constant)]


def _of_step(constant: Constant, inputs: Sequence[str | None]) -> str:
    """Hash one step, given the digests of its inputs."""
    if constant.problem is not None:
        raise constant.problem
    what = (constant.shape, constant.dtype)
    if constant.stored is not None:
        return _digest("stored", what, _of_stored(constant.stored))
    node = constant.node
    if node is not None and not constant.pinned:
        how = (node.domain, node.op_type, len(node.outputs), constant.output, _attributes(node))
        return _digest("step", what, how, inputs)
    value = constant.small_value
    if value is None:
        raise TensorError("not_folded", "the constant has neither a payload nor an operator")
    return _digest("value", what, value.dtype.str, value.shape, value.tobytes())


def _of_stored(stored: StoredTensor | SparseTensor) -> object:
    """Hash the bytes of a leaf."""
    if isinstance(stored, SparseTensor):
        return stored.shape, stored.values.content_hash(), stored.indices.content_hash()
    return stored.content_hash()


def _attributes(node: Node) -> list[object]:
    """Give the attributes of a node in a fixed order."""
    return [(name, _attribute(node.attributes[name].value)) for name in sorted(node.attributes)]


def _attribute(value: object) -> object:
    """Give the value of an attribute as something whose text tells it from every other."""
    if isinstance(value, (StoredTensor, SparseTensor)):
        return _of_stored(value)
    if isinstance(value, (list, tuple)):
        return [_attribute(item) for item in value]
    if isinstance(value, _PLAIN):
        return value
    raise TensorError("not_folded", f"an attribute holds a {type(value).__name__}")


def _digest(*parts: object) -> str:
    """Hash the text of plain Python values; their types and limits show in it."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
