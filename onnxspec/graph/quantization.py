"""What the report says of a weight in few bits: scheme, bits, granularity, and what its steps cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph import parts
from onnxspec.graph.coded import CODE_BITS, DECODERS, Coded, code_range
from onnxspec.graph.nodes import MISFITS, attribute, operator
from onnxspec.reading import numpy_dtype
from onnxspec.results import Quantization

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constant
    from onnxspec.reading import Node

    Array = NDArray[Any]

__all__ = ["Watcher", "describe", "parameter_inputs"]

_FLOAT_CODES: Mapping[str, int] = MappingProxyType(
    {"float8e4m3fn": 8, "float8e4m3fnuz": 8, "float8e5m2": 8, "float8e5m2fnuz": 8, "float4e2m1": 4}
)
_BITS: Mapping[str, int] = MappingProxyType({**CODE_BITS, **_FLOAT_CODES})
_DEPTH = 64


def parameter_inputs(constant: Constant) -> frozenset[int]:
    """Give the inputs of a folded constant that are scales, zero points and the like."""
    node = constant.node
    if node is None:
        return frozenset()
    if operator(node) in DECODERS:
        return frozenset(range(1, len(constant.inputs)))
    position = _codes_input(constant)
    return frozenset() if position is None else frozenset({1 - position})


def _codes_input(constant: Constant) -> int | None:
    """Say which input of ``Mul(Cast(codes), scale)`` or of ``Sub(Cast(codes), zero)`` holds the codes."""
    node = constant.node
    if node is None or node.domain or len(constant.inputs) != 2:
        return None
    for position in (0, 1) if node.op_type == "Mul" else (0,) if node.op_type == "Sub" else ():
        codes, other = constant.inputs[position], constant.inputs[1 - position]
        if codes is None or other is None or codes.size != constant.size:
            continue
        smaller = other.size < codes.size and other.dtype == codes.dtype
        if smaller and _cast_codes(codes) is not None:
            return position
    return None


def _cast_codes(constant: Constant) -> Constant | None:
    """Find the codes that a constant was cast from, through zero points and changes of shape."""
    current: Constant | None = constant
    cast = False
    for _ in range(_DEPTH):
        if current is None:
            return None
        if current.dtype in _BITS:
            return current if cast else None
        node = current.node
        if node is None or not current.inputs:
            return None
        cast = cast or node.op_type == "Cast"
        if node.op_type not in ("Cast", "Sub", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"):
            return None
        current = current.inputs[0]
    return None


_LOOKED_AT = 64
"""Steps among which the decoders of one weight are looked for."""


def _decoders(constant: Constant) -> Iterator[Constant]:
    """Give the constants below in which codes become values."""
    stack = [constant]
    seen: set[int] = set()
    while stack and len(seen) < _LOOKED_AT:
        current = stack.pop()
        if id(current) in seen or current.node is None:
            continue
        seen.add(id(current))
        made_by_hand = current.node.op_type == "Mul" and _codes_input(current) is not None
        if operator(current.node) in DECODERS or made_by_hand:
            yield current
        elif current.node.op_type in ("Concat", "Add", "Where", "Sum"):
            stack.extend(i for i in current.inputs if i is not None)
        else:
            stack.extend(i for i in current.inputs[:1] if i is not None)


def describe(constant: Constant, scheme: str | None = None) -> Quantization | None:
    """Say how a weight is quantised, as far as known without reading it; None where it is not."""
    for decoder in _decoders(constant):
        try:
            return _describe(decoder, scheme)
        except TensorError:  # reading it says what does not fit
            return None
    return None


def _describe(decoder: Constant, scheme: str | None) -> Quantization:
    """Describe one decoding step."""
    node = decoder.node
    assert node is not None  # noqa: S101 - `_decoders` gives no other
    by_hand = _codes_input(decoder) if node.op_type == "Mul" else None
    codes = decoder.inputs[by_hand or 0]
    scale = decoder.inputs[1 if by_hand is None else 1 - by_hand] if len(decoder.inputs) > 1 else None
    block = attribute(node, "block_size", 0) or attribute(node, "grouped", 0)
    granularity = "block" if block else "tensor" if scale is None or scale.size == 1 else "channel"
    return Quantization(
        scheme=scheme or ("Mul" if by_hand is not None else node.op_type),
        bits=_bits(decoder, codes),
        granularity=granularity,
        block=int(block) or None,
    )


def _bits(decoder: Constant, codes: Constant | None) -> int:
    """Give the bits of one code."""
    node = decoder.node
    if node is not None and node.op_type == "BipolarQuant":
        return 1
    if node is not None and node.op_type in ("Quant", "IntQuant"):
        width = decoder.inputs[3] if len(decoder.inputs) > 3 else None
        return math.ceil(_number(width) or 0)
    if node is not None and attribute(node, "bits", 0):
        return int(attribute(node, "bits"))
    found = _cast_codes(codes) if codes is not None and codes.dtype not in _BITS else codes
    return _BITS.get(found.dtype if found is not None else "", 32)


class Watcher:
    """Takes the facts of a weight's codes while they are folded, so that they are read once.

    Parameters
    ----------
    constant : Constant
        The weight.
    scheme : str, optional
        How it is quantised, where its operator says so.
    """

    def __init__(self, constant: Constant, scheme: str | None = None) -> None:
        few = constant.steps <= _LOOKED_AT  # of a part of the decoders no sum is the weight's
        self._steps = {id(step): step for step in _decoders(constant)} if few else {}
        self._constant = constant
        self._scheme = scheme
        self._found: list[tuple[Coded, int]] = []
        self._facts: list[tuple[int, Array | None, int | None, float, float]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, step: Constant, arrays: Sequence[Array | None]) -> None:
        """Look at the inputs of one step while they are in memory.

        Raises
        ------
        TensorError
            They do not fit each other.
        """
        if id(step) not in self._steps or step.node is None:
            return
        try:
            self._look(step, step.node, arrays)
        except MISFITS as error:
            raise TensorError("invalid_graph", f"{step.node.op_type} does not fit its inputs: {error}") from None

    def _look(self, step: Constant, node: Node, arrays: Sequence[Array | None]) -> None:
        """Take the facts of one step."""
        coded = _coded(step, node, arrays)
        self._note(coded, coded.codes.dtype.kind, coded.codes.size, coded.counts())

    def look_in_parts(self, axis: int) -> None:
        """Take the facts of every step with no more of its codes in memory than some lines of an axis.

        Raises
        ------
        TensorError
            They cannot be read, or do not fit each other.
        """
        for step in self._steps.values():
            node, codes = step.node, step.inputs[_codes_input(step) or 0]
            if node is None or codes is None or not parts.divisible(step, axis):
                return
            try:
                self._parts_of(step, node, codes, axis)
            except MISFITS as error:
                raise TensorError("invalid_graph", f"{node.op_type} does not fit its inputs: {error}") from None

    def _parts_of(self, step: Constant, node: Node, codes: Constant, axis: int) -> None:
        """Count the codes of one step; its scales are looked at as a whole."""
        blank = np.broadcast_to(np.zeros((), numpy_dtype(codes.dtype)), codes.shape)
        whole = [blank if i is codes else None if i is None else i.load() for i in step.inputs]
        kept: dict[int, Array] = {}
        total: Array | None = None
        kind = ""
        for start, stop in parts.line_blocks(step.shape, axis, 0, step.shape[axis], parts.block_of(step, axis)):
            part = _coded(step, node, parts.lines_of_inputs(step, axis, start, stop, kept))
            counts, kind = part.counts(), part.codes.dtype.kind
            total = counts if not start else None if total is None or counts is None else total + counts
        self._note(_coded(step, node, whole), kind, codes.size, total)

    def _note(self, coded: Coded, kind: str, size: int, counts: Array | None) -> None:
        """Keep the facts of one step."""
        uniform = coded.low is not None or kind in "iu"
        largest = float(coded.checked_scale().max())
        self._facts.append((size, counts, coded.low, largest, coded.mean_square_scale() if uniform else math.nan))

    def quantization(self) -> Quantization | None:
        """Give the facts, after the weight was read."""
        if not self._steps:
            return describe(self._constant, self._scheme)
        described = [_describe(step, self._scheme) for step in self._steps.values()]
        if not described or len(self._facts) != len(described):
            return described[0] if described else None
        counts = [_ends_and_unused(found, low) for _, found, low, _, _ in self._facts if found is not None]
        total = sum(size for size, *_ in self._facts)
        square = sum(size * square for size, _, _, _, square in self._facts) / max(1, total)
        whole = len(counts) == len(described)
        return replace(
            described[0],
            clipped=sum(ends for ends, _ in counts) if whole else None,
            unused=counts[0][1] if whole and len(counts) == 1 else None,
            step=max(largest for _, _, _, largest, _ in self._facts),
            noise_floor=None if math.isnan(square) else math.sqrt(square / 12.0),
        )


def _ends_and_unused(counts: Array, low: int | None) -> tuple[int, int]:
    """Give how many codes stand at the ends of the range, and how many of the range are never used.

    Symmetric quantisers leave out the least code, ``-128``; then ``-127`` is the end.
    """
    symmetric = low is not None and low < 0 and not counts[0]
    first = 1 if symmetric and counts.size > 2 else 0
    return int(counts[first] + counts[-1]), int(np.count_nonzero(counts == 0))


def _coded(step: Constant, node: Node, arrays: Sequence[Array | None]) -> Coded:
    """Bring the inputs of a step to one form."""
    decoder = DECODERS.get(operator(node))
    return decoder(node, *arrays) if decoder is not None else _coded_by_hand(step, arrays)


def _coded_by_hand(step: Constant, arrays: Sequence[Array | None]) -> Coded:
    """Give the codes and scales of ``Mul(Cast(codes), scale)``."""
    position = _codes_input(step) or 0
    codes, scale, holder = arrays[position], arrays[1 - position], step.inputs[position]
    if codes is None or scale is None or holder is None:
        raise TensorError("invalid_graph", "a Mul lacks an input")
    original = _cast_codes(holder)
    low, high = code_range(numpy_dtype(original.dtype), None) if original is not None else (None, None)
    shift = _zero_point(holder)
    if low is None or high is None or shift is None:
        return Coded(codes, scale)
    return Coded(codes, scale, None, low - shift, high - shift)


def _zero_point(codes: Constant) -> int | None:
    """Give what ``Sub`` takes off the codes; None where that is not one whole number."""
    total = 0
    current: Constant | None = codes
    for _ in range(_DEPTH):
        if current is None or current.node is None:
            break
        if current.node.op_type == "Sub":
            value = _number(current.inputs[1])
            if value is None or not value.is_integer():
                return None
            total += int(value)
        current = current.inputs[0] if current.inputs else None
    return total


def _number(constant: Constant | None) -> float | None:
    """Read the one finite number of a constant; None where it holds no such thing."""
    if constant is None or constant.size != 1:
        return None
    try:
        value = float(constant.load().reshape(-1)[0])
    except TensorError:
        return None
    return value if math.isfinite(value) else None
