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
    "NAMED",
    "NODE",
    "NOTE",
    "ONCE",
    "PACKED",
    "QUICK_FIXED",
    "QUICK_NONE",
    "QUICK_NUMBER",
    "QUICK_TEXT",
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
NAMED = 10  # walk the message inside where it begins with some bytes, else drop it

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

QUICK_NONE, QUICK_TEXT, QUICK_NUMBER, QUICK_FIXED = range(4)


class Schema:
    """What to do with each field of one message.

    Attributes
    ----------
    actions : dict
        By tag: what to do, and the message inside or a name.
    quick : bytes
        By tags of one byte: how the walk's inner loop copies the field, 0 where
        it does not.
    """

    __slots__ = ("actions", "quick")

    def __init__(self) -> None:
        self.actions: dict[int, tuple[int, Any]] = {}
        self.quick = bytes(256)

    def add(self, number: int, wire: int, action: int, argument: Any = None) -> None:
        """Say what to do with a field."""
        tag = number << 3 | wire
        self.actions[tag] = (action, argument)
        kind = {(TEXT, BYTES): QUICK_TEXT, (KEEP, VARINT): QUICK_NUMBER, (KEEP, FIXED32): QUICK_FIXED}.get(
            (action, wire)
        )
        if tag < 0x80 and kind is not None:
            self.quick = self.quick[:tag] + bytes((kind,)) + self.quick[tag + 1 :]

    def define(
        self,
        *,
        varints: tuple[int, ...] = (),
        texts: tuple[int, ...] = (),
        children: dict[int, Schema] | None = None,
        once: dict[int, Schema] | None = None,
        dropped: tuple[int, ...] = (),
    ) -> Schema:
        """Say what to do with the usual kinds of fields."""
        for number in varints:
            self.add(number, VARINT, KEEP)
        for number in texts:
            self.add(number, BYTES, TEXT)
        for number, child in (children or {}).items():
            self.add(number, BYTES, CHILD, child)
        for number, child in (once or {}).items():
            self.add(number, BYTES, ONCE, child)
        for number in dropped:
            self.add(number, VARINT, DROP)
            self.add(number, BYTES, DROP)
        return self


_ENTRY = Schema().define(texts=(1, 2))

TENSOR = Schema().define(varints=(1, 2, 14), texts=(8,), children={13: _ENTRY}, dropped=(12, 16))
TENSOR.add(1, BYTES, PACKED, "dims")
TENSOR.add(3, BYTES, NOTE, "segment")
TENSOR.add(6, BYTES, NOTE, "string_data")
TENSOR.add(9, BYTES, DATA, "raw")
for _number, _name, _wire in (
    (4, "float_data", FIXED32),
    (5, "int32_data", VARINT),
    (7, "int64_data", VARINT),
    (10, "double_data", FIXED64),
    (11, "uint64_data", VARINT),
):
    TENSOR.add(_number, BYTES, DATA, _name)
    TENSOR.add(_number, _wire, ELEMENT, _name)

_SPARSE = Schema().define(varints=(3,), once={1: TENSOR, 2: TENSOR})
_SPARSE.add(3, BYTES, PACKED, "dims")

_GRAPH = Schema()

_ATTRIBUTE = Schema().define(
    varints=(3, 8, 20),
    texts=(1, 21),
    children={10: TENSOR, 11: _GRAPH, 23: _SPARSE},
    once={5: TENSOR, 6: _GRAPH, 22: _SPARSE},
    dropped=(13, 14, 15),
)
_ATTRIBUTE.add(2, FIXED32, KEEP)
_ATTRIBUTE.add(7, FIXED32, KEEP)
_ATTRIBUTE.add(7, BYTES, PACKED, "floats")
_ATTRIBUTE.add(8, BYTES, PACKED, "ints")
_ATTRIBUTE.add(4, BYTES, BLOB, "s")
_ATTRIBUTE.add(9, BYTES, BLOB, "strings")

NODE = Schema().define(texts=(1, 2, 3, 4, 7, 8), children={5: _ATTRIBUTE}, dropped=(6, 10))
_SCOPES = b"pkg.torch.onnx.name_scopes"
"""Key of the metadata in which PyTorch says which module a node comes from; others hold whole stack traces."""
NODE.add(9, BYTES, NAMED, (bytes((1 << 3 | BYTES, len(_SCOPES))) + _SCOPES, _ENTRY))

_DIM = Schema().define(varints=(1,), texts=(2,), dropped=(3,))
_SHAPE = Schema().define(children={1: _DIM})
_TENSOR_TYPE = Schema().define(varints=(1,), once={2: _SHAPE})
_TYPE = Schema().define(once={1: _TENSOR_TYPE}, dropped=(4, 5, 6, 7, 8, 9))
_INPUT = Schema().define(texts=(1,), once={2: _TYPE}, dropped=(3, 4))
_OUTPUT = Schema().define(texts=(1,), dropped=(2, 3, 4))

_GRAPH.define(
    texts=(2,),
    children={1: NODE, 5: TENSOR, 11: _INPUT, 12: _OUTPUT, 15: _SPARSE},
    dropped=(10, 13, 14, 16),
)

_OPSET = Schema().define(varints=(2,), texts=(1,))

_FUNCTION = Schema().define(
    texts=(1, 4, 5, 6, 10, 13),
    children={7: NODE, 9: _OPSET, 11: _ATTRIBUTE},
    dropped=(2, 3, 8, 12, 14),
)

MODEL = Schema().define(
    varints=(1,),
    texts=(2, 3),
    children={8: _OPSET, 25: _FUNCTION},
    once={7: _GRAPH},
    dropped=(4, 5, 6, 14, 26),
)
MODEL.add(20, BYTES, NOTE, "training_info")
MODEL.quick = bytes(256)  # the walk counts these fields to tell a broken model from another file
