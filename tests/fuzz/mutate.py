"""Structure-aware mutation: a protobuf message as a tree of fields, changed and written again, lies included."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onnx import ModelProto

from fixtures.hostile.wire import key, varint

NUMBERS = (0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 2**15, 2**16, 2**20, 2**30, 2**31 - 1, 2**31, 2**32, 2**40, 2**60,
           2**62, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
TEXTS = (b"", b"w", b"x", b"y", b"\xff\xfe", b"\0", b"../x", b"</script>", b"=cmd()", b"n" * 300, b"\x1b[31m",
         b"location", b"offset", b"length", b"w.data", b"sub/w.data", b"../secret", b"/etc/passwd", b"a/../../secret",
         b"link", b"hard", b"pipe", b"sub", b".", b"-1", b"64", b"1152921504606846976", b"ai.onnx", b"com.microsoft",
         b"f")  # fmt: skip
OPS = tuple(
    b"Add Sub Mul Div MatMul Gemm Conv ConvTranspose Gather Transpose Reshape Squeeze Unsqueeze Flatten Slice Concat "
    b"Split Expand Tile Range ConstantOfShape Constant Cast Identity Pow Sqrt Pad Where Einsum LSTM GRU RNN "
    b"DequantizeLinear QuantizeLinear QLinearMatMul QLinearConv MatMulInteger ConvInteger MatMulNBits "
    b"Attention MultiHeadAttention GroupQueryAttention FusedMatMul FusedConv QAttention DynamicQuantizeLSTM "
    b"GatherBlockQuantized NhwcFusedConv GemmFastGelu LongformerAttention SequenceConstruct "
    b"SequenceAt Loop If Scan LinearClassifier SVMRegressor BatchNormalization Dropout".split()
)


@dataclass(slots=True)
class Field:
    """One field; `value` is a number, bytes, or a list of fields of the message that `kind` describes."""

    number: int
    wire: int
    value: Any
    kind: Any = None
    lie: int | None = None


def parse(data: bytes, kind: Any) -> list[Field] | None:
    """Read a message as far as its descriptor knows it; None where it is none."""
    fields = []
    i = 0
    try:
        while i < len(data):
            tag, i = _varint(data, i)
            wire = tag & 7
            if wire == 0:
                value, i = _varint(data, i)
                fields.append(Field(tag >> 3, 0, value))
                continue
            if wire == 2:
                length, i = _varint(data, i)
            else:
                length = {1: 8, 5: 4}[wire]
            if i + length > len(data):
                return None
            body = data[i : i + length]
            i += length
            known = kind.fields_by_number.get(tag >> 3)
            inside = known.message_type if known is not None and wire == 2 else None
            parsed = parse(body, inside) if inside is not None else None
            fields.append(Field(tag >> 3, wire, body if parsed is None else parsed, inside))
    except (IndexError, KeyError, RecursionError):
        return None
    return fields


def _varint(data: bytes, i: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[i]
        i += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, i
        shift += 7
        if shift > 63:
            raise IndexError


def write(fields: list[Field]) -> bytes:
    """Write a message."""
    out = []
    for one in fields:
        out.append(key(one.number, one.wire))
        if one.wire == 0:
            out.append(varint(one.value if isinstance(one.value, int) else 0))
            continue
        value = one.value
        body = write(value) if isinstance(value, list) else value if isinstance(value, bytes) else varint(value)
        if one.wire == 2:
            out.append(varint(len(body) if one.lie is None else one.lie))
        out.append(body)
    return b"".join(out)


def everything(fields: list[Field]) -> Iterator[tuple[list[Field], int]]:
    """Give the place of every field."""
    for i, one in enumerate(fields):
        yield fields, i
        if isinstance(one.value, list):
            yield from everything(one.value)


class Mutator:
    """Changes models, with parts of other models at hand."""

    def __init__(self, seeds: list[bytes]) -> None:
        self.pool: dict[tuple[str, int], list[bytes]] = {}
        for seed in seeds:
            self._collect(parse(seed, ModelProto.DESCRIPTOR) or [], "ModelProto")

    def _collect(self, fields: list[Field], name: str) -> None:
        for one in fields:
            if one.wire == 2:
                body = write(one.value) if isinstance(one.value, list) else one.value
                if len(body) < 4096:
                    self.pool.setdefault((name, one.number), []).append(body)
            if isinstance(one.value, list):
                self._collect(one.value, one.kind.name)

    def change(self, data: bytes, rng: random.Random) -> bytes | None:
        """Change one to five fields of a model; None where it is no model."""
        tree = parse(data, ModelProto.DESCRIPTOR)
        if not tree:
            return None
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
            places = list(everything(tree))
            if not places:
                break
            self._one(tree, places, rng)
        try:
            return write(tree)
        except RecursionError:
            return None

    def _one(self, tree: list[Field], places: list[tuple[list[Field], int]], rng: random.Random) -> None:
        fields, i = rng.choice(places)
        one = fields[i]
        action = rng.random()
        if action < 0.08:
            del fields[i]
        elif action < 0.16:
            fields.insert(
                rng.randrange(len(fields) + 1), Field(one.number, one.wire, _copy(one.value), one.kind, one.lie)
            )
        elif action < 0.22 and len(fields) > 1:
            j = rng.randrange(len(fields))
            fields[i], fields[j] = fields[j], fields[i]
        elif action < 0.25:
            one.lie = rng.choice(NUMBERS[:16])
        elif action < 0.28:
            one.number = rng.choice((one.number + 1, rng.randrange(1, 30)))
        elif action < 0.29:
            one.wire = rng.choice((0, 1, 2, 3, 5))
        elif action < 0.45:
            self._splice(tree, places, rng)
        elif isinstance(one.value, list):
            inner = list(everything(one.value))
            if inner:
                deeper, j = rng.choice(inner)
                self._leaf(deeper[j], places, rng)
        else:
            self._leaf(one, places, rng)

    def _splice(self, tree: list[Field], places: list[tuple[list[Field], int]], rng: random.Random) -> None:
        """Put a part of another model where a part of its kind may be."""
        messages = [fields[i] for fields, i in places if isinstance(fields[i].value, list)]
        target = rng.choice(messages) if messages and rng.random() < 0.9 else None
        name = target.kind.name if target is not None else "ModelProto"
        keys = [found for found in self.pool if found[0] == name]
        if not keys:
            return
        chosen = rng.choice(keys)
        body = rng.choice(self.pool[chosen])
        descriptor = target.kind if target is not None else ModelProto.DESCRIPTOR
        inside = (
            descriptor.fields_by_number[chosen[1]].message_type if chosen[1] in descriptor.fields_by_number else None
        )
        parsed = parse(body, inside) if inside is not None else None
        into = target.value if target is not None else tree
        new = Field(chosen[1], 2, body if parsed is None else parsed, inside)
        same = [j for j, old in enumerate(into) if old.number == chosen[1]]
        if same and rng.random() < 0.5:
            into[rng.choice(same)] = new
        else:
            into.insert(rng.randrange(len(into) + 1), new)

    def _leaf(self, one: Field, places: list[tuple[list[Field], int]], rng: random.Random) -> None:
        """Change a number or bytes."""
        if isinstance(one.value, int):
            one.value = rng.choice(
                (rng.choice(NUMBERS), one.value + 1, one.value - 1, rng.randrange(32), one.value * 2, -one.value)
            ) & (2**64 - 1)
        elif isinstance(one.value, bytes):
            way = rng.randrange(7)
            if way == 0:
                one.value = rng.choice(TEXTS)
            elif way == 1:
                one.value = rng.choice(OPS)
            elif way == 2:
                texts = [f[i].value for f, i in places if isinstance(f[i].value, bytes) and len(f[i].value) < 100]
                one.value = rng.choice(texts) if texts else b""
            elif way == 3 and one.value:
                at = rng.randrange(len(one.value))
                one.value = one.value[:at] + bytes((rng.randrange(256),)) + one.value[at + 1 :]
            elif way == 4:
                one.value = one.value[: rng.randrange(len(one.value) + 1)]
            elif way == 5:
                one.value += bytes(rng.choice((1, 2, 4, 8, 64)))
            elif len(one.value) % 8 == 0 and one.value:
                at = rng.randrange(len(one.value) // 8) * 8
                number = rng.choice(NUMBERS) & (2**64 - 1)
                one.value = one.value[:at] + number.to_bytes(8, "little") + one.value[at + 8 :]


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [Field(one.number, one.wire, _copy(one.value), one.kind, one.lie) for one in value]
    return value
