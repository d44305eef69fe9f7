"""A bounded walk over the protobuf wire format of an ONNX file.

The walk reads the file through a window, checks every length against the end of
its message before anything is allocated, and copies what protobuf must parse to a
skeleton: the same message without payloads, documentation and unknown fields.
Every tensor in the skeleton carries a token (the number of its `TensorRecord`, in
``doc_string``, which is never copied), so no file can imitate one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxspec.errors import LimitError, MalformedModelError, TensorError
from onnxspec.reading._payload import Segment
from onnxspec.reading._schema import (
    BLOB,
    CHILD,
    DATA,
    ELEMENT,
    KEEP,
    MODEL,
    NAMED,
    NODE,
    NOTE,
    ONCE,
    PACKED,
    QUICK_FIXED,
    QUICK_NONE,
    QUICK_NUMBER,
    QUICK_TEXT,
    TENSOR,
    TEXT,
    Schema,
)

if TYPE_CHECKING:
    from onnxspec.limits import Limits
    from onnxspec.reading.source import Source

__all__ = ["Skeleton", "TensorRecord", "WireError", "walk"]

WINDOW = 2**18
HEADER = 32  # bytes that surely hold one tag with a length or number
SHORT = 64  # lists of fewer bytes are copied with their neighbours
LEFT_OUT = 2**18  # attribute values of more bytes stay out of the skeleton
MESSAGE_COST = 96  # bytes that protobuf needs for a message, however small
UNKNOWN = (NOTE, None)
TOKEN_TAG = 12 << 3 | 2

TensorRecord = dict[str, list[Segment]]  # field -> where its bytes are


class WireError(MalformedModelError):
    """The wire format is broken.

    `early` says that the file ends before it should; `known` counts the fields
    of an ONNX model that came before.
    """

    def __init__(self, message: str, *, early: bool = False, known: int = 0) -> None:
        super().__init__(message)
        self.early = early
        self.known = known


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the walk found.

    Attributes
    ----------
    data : bytes
        A ``ModelProto`` without payloads.
    tensors : list of TensorRecord
        Where the payloads are, by token.
    notes : Counter of str
        What was left out, and how often.
    """

    data: bytes
    tensors: list[TensorRecord]
    notes: Counter[str]


def walk(source: Source, limits: Limits) -> Skeleton:
    """Walk over the whole file once.

    Parameters
    ----------
    source : Source
        The file.
    limits : Limits
        `depth`, `fields`, `nodes`, `tensors` and `skeleton_bytes` count.

    Raises
    ------
    WireError
        The file is no protobuf message, or a length in it lies, or it ends early.
    LimitError
        It is over a limit.
    """
    try:
        return _Walk(source, limits).run()
    except TensorError as error:
        raise MalformedModelError(error.message) from None


def _varint(buffer: bytes, i: int) -> tuple[int, int]:
    """Read one number; give it and where it ends."""
    value = shift = 0
    while True:
        byte = buffer[i]
        i += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, i
        shift += 7
        if shift >= 70:
            raise WireError("A number in the file is longer than ten bytes.")


def _encode(value: int) -> bytes:
    """Write one number."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Walk:
    """One walk; the loop's own state is in local variables."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.notes: Counter[str] = Counter()
        self.tensors: list[TensorRecord] = []
        self.nodes = 0
        self.known = 0
        self.cost = 0

    def run(self) -> Skeleton:  # noqa: C901, PLR0912, PLR0915
        """Walk iteratively. One loop without calls on its common paths: it sees millions of fields.

        Positions are absolute, but for `i` and `j`; ``buffer`` holds the file from ``base``
        to ``top``. ``mark`` is where the stretch of fields begins that is to be copied as it
        is. A message that is copied whole joins the stretch around it, whose mark waits on
        the stack until then; it is None once that stretch was copied.
        """
        max_fields = self.limits.fields
        stack: list[list[Any]] = []  # [schema, end, out, seen, mark, start and tag of the message inside]
        schema, end, out, seen = MODEL, self.source.size, bytearray(), 0
        start = body = position = mark = fields = tag = 0
        buffer, base, top, safe = b"", 0, 0, -1
        try:
            while True:
                if position == end:
                    if not stack:
                        out += buffer[mark - base : end - base]
                        break
                    parent, end, parent_out, seen, parent_mark, start, tag, body = stack.pop()
                    self.cost += MESSAGE_COST
                    if mark == body and not out and schema is not TENSOR and parent_mark is not None:
                        mark = parent_mark
                    else:
                        out += buffer[mark - base : position - base]
                        if schema is TENSOR:
                            out += self._token()
                        if parent_mark is not None:
                            parent_out += buffer[parent_mark - base : start - base]
                            self.cost += start - parent_mark
                        self.cost += position - mark
                        parent_out += _encode(tag)
                        parent_out += _encode(len(out))
                        parent_out += out
                        mark = position
                    schema, out = parent, parent_out
                    continue
                if position > safe:
                    out += buffer[mark - base : position - base]
                    self.cost += position - mark
                    mark = position
                    for frame in stack:
                        if frame[4] is not None:
                            frame[2] += buffer[frame[4] - base : frame[5] - base]
                            self.cost += frame[5] - frame[4]
                            frame[4] = None
                    buffer, base, top, safe = self._refill(position)
                i = position - base
                last = (end if end < safe else safe) - base
                quick = schema.quick
                while i < last:  # texts and numbers of few bytes
                    kind = quick[buffer[i]]
                    if kind == QUICK_TEXT:
                        j = i + 2 + buffer[i + 1]
                        if buffer[i + 1] > 127 or j > last or not buffer[i + 2 : j].isascii():
                            break
                    elif kind == QUICK_NONE:
                        break
                    else:
                        j = i + 5 if kind == QUICK_FIXED else i + 2
                        if j > last or (kind == QUICK_NUMBER and buffer[i + 1] > 127):
                            break
                    i = j
                    fields += 1
                start = base + i
                if start == end:
                    position = end
                    continue
                tag = buffer[i]
                i += 1
                if tag >= 0x80:
                    tag, i = _varint(buffer, i - 1)
                wire = tag & 7
                if wire == 2:
                    length = buffer[i]
                    i += 1
                    if length >= 0x80:
                        length, i = _varint(buffer, i - 1)
                    position = base + i + length
                elif wire == 0:
                    j = i
                    while buffer[i] >= 0x80:
                        i += 1
                    i += 1
                    if i - j > 10:
                        raise WireError("A number in the file is longer than ten bytes.")
                    position = base + i
                elif wire == 5:
                    position = base + i + 4
                elif wire == 1:
                    position = base + i + 8
                else:
                    raise WireError(f"At byte {start:,} stands a group or no field at all.")
                if position > end or tag < 8:
                    raise self._lying(start, position, end, tag)
                fields += 1
                if fields > max_fields:
                    raise LimitError(f"It has more than {max_fields:,} protobuf fields.")
                if not stack:
                    self.known += tag in schema.actions
                action, argument = schema.actions.get(tag, UNKNOWN)
                if action == NAMED:
                    beginning, argument = argument
                    if length <= WINDOW and self._begins(base + i, beginning, buffer, i):
                        action = CHILD
                if action == CHILD or action == ONCE:  # noqa: PLR1714, SIM109
                    if action == ONCE:
                        seen = self._check_once(seen, tag)
                    body = base + i
                    stack.append([schema, end, out, seen, mark, start, tag, body])
                    self._enter(argument, len(stack))
                    schema, end, out, seen = argument, position, bytearray(), 0
                    position = mark = body
                    continue
                if action <= BLOB and position <= top:
                    if action == KEEP:
                        continue
                    if action == TEXT:
                        if _is_utf8(buffer[i : i + length]):
                            continue
                    elif length <= SHORT:
                        self.cost += 8 * length
                        continue
                out += buffer[mark - base : start - base]
                self.cost += start - mark
                mark = position
                if action == DATA:
                    self.tensors[-1].setdefault(argument, []).append(Segment(base + i, length))
                    self.cost += MESSAGE_COST
                elif action == ELEMENT:
                    self._note_element(argument, start, position, buffer[start - base])
                elif action == NOTE:
                    self._note(argument, schema, start)
                elif action <= BLOB:
                    out += self._copy(action, argument, tag, base + i, length)
        except IndexError:
            raise WireError("The file ends in the middle of a field.", early=True, known=self.known) from None
        except WireError as error:
            error.known = self.known
            raise
        self._check_cost()
        return Skeleton(bytes(out), self.tensors, self.notes)

    def _refill(self, position: int) -> tuple[bytes, int, int, int]:
        """Read the window from a position on: its bytes, start, end, and last safe place for a header."""
        self._check_cost()
        size = self.source.size
        top = min(position + WINDOW, size)
        buffer = self.source.pread(position, top - position)
        return buffer, position, top, top - HEADER if top < size else size

    def _lying(self, start: int, position: int, end: int, tag: int) -> WireError:
        """Say what is wrong with a field that does not fit into its message."""
        if tag < 8:
            return WireError(f"At byte {start:,} stands field number 0.")
        if position > end == self.source.size:
            missing = f"a field at byte {start:,} needs {position:,} bytes, the file has {self.source.size:,}"
            return WireError(f"The file ends early: {missing}.", early=True)
        return WireError(f"A field at byte {start:,} is longer than the message that holds it.")

    def _begins(self, body: int, beginning: bytes, buffer: bytes, i: int) -> bool:
        """Say whether a message begins with some bytes; the window may end before them."""
        held = buffer[i : i + len(beginning)]
        return (held if len(held) == len(beginning) else self.source.pread(body, len(beginning))) == beginning

    def _check_once(self, seen: int, tag: int) -> int:
        """Refuse a message that a parser would merge with an earlier one."""
        bit = 1 << (tag >> 3)
        if seen & bit:
            raise WireError(f"Field {tag >> 3} stands twice in one message, where it may stand once.")
        return seen | bit

    def _enter(self, schema: Schema, depth: int) -> None:
        """Count a message that begins."""
        if depth > self.limits.depth:
            raise LimitError(f"Its messages are nested more than {self.limits.depth} deep.")
        if schema is NODE:
            self.nodes += 1
            if self.nodes > self.limits.nodes:
                raise LimitError(f"It has more than {self.limits.nodes:,} nodes.")
        elif schema is TENSOR:
            if len(self.tensors) >= self.limits.tensors:
                raise LimitError(f"It has more than {self.limits.tensors:,} tensors.")
            self.tensors.append({})

    def _token(self) -> bytes:
        """Give the field that leads from the tensor in the skeleton to its record."""
        number = str(len(self.tensors) - 1).encode()
        return bytes((TOKEN_TAG, len(number))) + number

    def _check_cost(self) -> None:
        """Refuse a skeleton over its limit."""
        limit = self.limits.skeleton_bytes
        if self.cost > limit:
            raise LimitError(f"Its graph without the weights needs more than {limit:,} bytes.")

    def _note_element(self, name: str, start: int, end: int, first: int) -> None:
        """Note where one element of an unpacked field is, tag included."""
        if first >= 0x80:
            raise WireError(f"At byte {start:,} stands a tag that is longer than it need be.")
        segments = self.tensors[-1].setdefault(name, [])
        if segments and segments[-1].tagged and segments[-1].offset + segments[-1].length == start:
            segments[-1] = Segment(segments[-1].offset, end - segments[-1].offset, tagged=True)
        else:
            segments.append(Segment(start, end - start, tagged=True))
            self.cost += MESSAGE_COST

    def _note(self, name: str, schema: Schema, start: int) -> None:
        """Note that a field is there which is not read."""
        if name is not None and schema is TENSOR:
            self.tensors[-1].setdefault(name, []).append(Segment(start, 0))
            self.tensors[-1][name][1:] = []
        elif name == "training_info":
            self.notes[name] += 1
        else:
            self.notes["unknown_fields"] += 1

    def _copy(self, action: int, name: Any, tag: int, body: int, length: int) -> bytes:
        """Give a long or special field as the skeleton gets it: whole, or not at all."""
        if action in {PACKED, BLOB} and length > LEFT_OUT:
            self.notes[f"left_out:{name}"] += 1
            return b""
        self.cost += length * (8 if action == PACKED else 1)
        self._check_cost()
        data = self.source.pread(body, length)
        if action == TEXT and not _is_utf8(data):
            data = data.decode("utf-8", "backslashreplace").encode()
            self.notes["invalid_utf8"] += 1
            self.cost += len(data) - length
        return _encode(tag) + _encode(len(data)) + data


def _is_utf8(data: bytes) -> bool:
    """Say whether bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
