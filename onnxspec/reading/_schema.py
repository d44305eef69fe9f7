"""What the wire walk does with each field of each message of an ONNX file.

Field numbers are those of onnx.proto. A field that is not listed is unknown: it
is dropped unread, as is one with another wire type than listed.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BLOB",
    "CHILD",
    "DATA",
    "DROP",
    "ELEMENT",
    "KEEP",
    "MODEL",
    "NODE",
    "NOTE",
    "ONCE",
    "PACKED",
    "TENSOR",
    "TEXT",
    "Schema",
]

KEEP = 0  # copy
TEXT = 1  # copy, made valid UTF-8
PACKED = 2  # packed numbers: copy, unless there are very many
BLOB = 3  # bytes: copy, unless there are very many
CHILD = 4  # walk the message inside
ONCE = 5  # the same, but twice in one message is an error: parsers would merge the two
DROP = 6  # known, and not needed
NOTE = 7  # dropped, and its presence noted
DATA = 8  # payload: note where it is
ELEMENT = 9  # one element of an unpacked payload

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Schema = dict[int, tuple[int, Any]]  # tag -> (what to do, message inside or name)


def _tag(number: int, wire: int) -> int:
    """Give the tag of a field."""
    return number << 3 | wire


def _schema(
    *,
    varints: tuple[int, ...] = (),
    texts: tuple[int, ...] = (),
    children: dict[int, Schema] | None = None,
    once: dict[int, Schema] | None = None,
    dropped: tuple[int, ...] = (),
) -> Schema:
    """Make the table of one message."""
    schema: Schema = {_tag(number, VARINT): (KEEP, None) for number in varints}
    schema |= {_tag(number, BYTES): (TEXT, None) for number in texts}
    schema |= {_tag(number, BYTES): (CHILD, child) for number, child in (children or {}).items()}
    schema |= {_tag(number, BYTES): (ONCE, child) for number, child in (once or {}).items()}
    schema |= {_tag(number, wire): (DROP, None) for number in dropped for wire in (VARINT, BYTES)}
    return schema


_ENTRY = _schema(texts=(1, 2))

TENSOR = _schema(varints=(1, 2, 14), texts=(8,), children={13: _ENTRY}, dropped=(12, 16))
TENSOR[_tag(1, BYTES)] = (PACKED, "dims")
TENSOR[_tag(3, BYTES)] = (NOTE, "segment")
TENSOR[_tag(6, BYTES)] = (NOTE, "string_data")
TENSOR[_tag(9, BYTES)] = (DATA, "raw")
for _number, _name, _wire in (
    (4, "float_data", FIXED32),
    (5, "int32_data", VARINT),
    (7, "int64_data", VARINT),
    (10, "double_data", FIXED64),
    (11, "uint64_data", VARINT),
):
    TENSOR[_tag(_number, BYTES)] = (DATA, _name)
    TENSOR[_tag(_number, _wire)] = (ELEMENT, _name)

_SPARSE = _schema(varints=(3,), once={1: TENSOR, 2: TENSOR})
_SPARSE[_tag(3, BYTES)] = (PACKED, "dims")

_GRAPH: Schema = {}

_ATTRIBUTE = _schema(
    varints=(3, 8, 20),
    texts=(1, 21),
    children={10: TENSOR, 11: _GRAPH, 23: _SPARSE},
    once={5: TENSOR, 6: _GRAPH, 22: _SPARSE},
    dropped=(13, 14, 15),
)
_ATTRIBUTE[_tag(2, FIXED32)] = (KEEP, None)
_ATTRIBUTE[_tag(7, FIXED32)] = (KEEP, None)
_ATTRIBUTE[_tag(7, BYTES)] = (PACKED, "floats")
_ATTRIBUTE[_tag(8, BYTES)] = (PACKED, "ints")
_ATTRIBUTE[_tag(4, BYTES)] = (BLOB, "s")
_ATTRIBUTE[_tag(9, BYTES)] = (BLOB, "strings")

NODE = _schema(texts=(1, 2, 3, 4, 7, 8), children={5: _ATTRIBUTE}, dropped=(6, 9, 10))

_DIM = _schema(varints=(1,), texts=(2,), dropped=(3,))
_SHAPE = _schema(children={1: _DIM})
_TENSOR_TYPE = _schema(varints=(1,), once={2: _SHAPE})
_TYPE = _schema(once={1: _TENSOR_TYPE}, dropped=(4, 5, 6, 7, 8, 9))
_INPUT = _schema(texts=(1,), once={2: _TYPE}, dropped=(3, 4))
_OUTPUT = _schema(texts=(1,), dropped=(2, 3, 4))

_GRAPH.update(
    _schema(
        texts=(2,),
        children={1: NODE, 5: TENSOR, 11: _INPUT, 12: _OUTPUT, 15: _SPARSE},
        dropped=(10, 13, 14, 16),
    )
)

_OPSET = _schema(varints=(2,), texts=(1,))

_FUNCTION = _schema(
    texts=(1, 4, 5, 6, 10, 13),
    children={7: NODE, 9: _OPSET, 11: _ATTRIBUTE},
    dropped=(2, 3, 8, 12, 14),
)

MODEL = _schema(
    varints=(1,),
    texts=(2, 3),
    children={8: _OPSET, 25: _FUNCTION},
    once={7: _GRAPH},
    dropped=(4, 5, 6, 14, 26),
)
MODEL[_tag(20, BYTES)] = (NOTE, "training_info")
