"""The numbers of one layer as bytes, and back with a check of everything that is read."""

from __future__ import annotations

import json
import typing
import zlib
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from onnxspec.errors import ReportError
from onnxspec.layers.blank import blank_layer
from onnxspec.results import Layer
from onnxspec.results.codec import decode, encode, parse

if TYPE_CHECKING:
    from onnxspec.graph import WeightMatrix

__all__ = ["OF_THE_FILE", "RowError", "pack", "unpack"]

OF_THE_FILE = frozenset(
    {
        "averaged",
        "batch_norm",
        "chain",
        "copies",
        "depth",
        "dtype",
        "id",
        "name",
        "op_type",
        "parameters",
        "place",
        "role",
        "shape",
        "tensor",
        "used_by",
    }
)
"""Fields of a layer that the file at hand says; they are never stored."""

MAX_TEXT = 256 * 2**20
"""Bytes of one row, unpacked: two million eigenvalues with ``spectra``."""


class RowError(Exception):
    """A row that is not what was stored, or a layer that cannot be."""


def pack(layer: Layer) -> bytes:
    """Write the numbers of a layer.

    Raises
    ------
    RowError
        The layer failed, or holds text that is not plain.
    """
    if layer.status != "ok":
        raise RowError("only finished layers are kept")
    values = {f.name: encode(getattr(layer, f.name)) for f in fields(Layer) if f.name not in OF_THE_FILE}
    text = json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
    _check_plain(text)
    return zlib.compress(text, 1)


def unpack(data: bytes, weight: WeightMatrix) -> Layer:
    """Read the numbers of a layer, and put them under the names of the file at hand.

    Parameters
    ----------
    data : bytes
        What `pack` wrote, or anything else.
    weight : WeightMatrix
        The weight with these numbers; its bytes were hashed before.

    Raises
    ------
    RowError
        The bytes are not of a layer of this content.
    """
    values = _values(data)
    hints = _hints()
    try:
        found = {name: decode(hints[name], value, name) for name, value in values.items()}
    except (ReportError, RecursionError) as error:
        raise RowError(str(error)) from None
    layer = replace(blank_layer(weight), **found)
    if layer.status != "ok" or layer.content_hash != weight.content_hash() or not _trained_is_sound(layer):
        raise RowError("the row is of another layer")
    return layer


def _values(data: bytes) -> dict[str, Any]:
    """Unpack to exactly the fields that are stored."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_TEXT)
    except zlib.error as error:
        raise RowError(str(error)) from None
    if not unpacker.eof:
        raise RowError("the row is too long or cut off")
    _check_plain(text)
    try:
        values = parse(text)
    except ReportError as error:
        raise RowError(str(error)) from None
    if not isinstance(values, dict) or set(values) != set(_hints()) - OF_THE_FILE:
        raise RowError("the row has other fields than a layer")
    return values


def _check_plain(text: bytes) -> None:
    """Refuse text that a terminal could obey: all that is stored is printable ASCII without escapes."""
    if not text.isascii() or b"\\" in text or any(byte < 32 for byte in set(text)) or b"\x7f" in text:
        raise RowError("the row holds text that is not plain")


def _trained_is_sound(layer: Layer) -> bool:
    """Check the two values inside a mapping that the engine computes with."""
    if layer.trained is None:
        return True
    p, verdict = layer.trained.get("p_value", ""), layer.trained.get("verdict")
    number = p is None or (isinstance(p, (int, float)) and not isinstance(p, bool) and 0.0 <= p <= 1.0)
    return number and (verdict is None or isinstance(verdict, str))


@cache
def _hints() -> dict[str, Any]:
    return typing.get_type_hints(Layer)
