"""The parsed graph, made from onnx's own protobuf classes.

`parse` is the one place of the house that uses onnx.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec.errors import MalformedModelError, NotAModelError, TensorError
from onnxspec.reading._dtypes import DTYPES
from onnxspec.reading.external import KNOWN_KEYS, ExternalFiles
from onnxspec.reading.structure import Attribute, AttributeValue, Function, Graph, Model, Node, SparseTensor
from onnxspec.reading.tensors import Payload, StoredTensor, element_count, stored_bytes
from onnxspec.results import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from onnxspec.limits import Limits
    from onnxspec.reading._payload import ByteFile
    from onnxspec.reading.source import Source
    from onnxspec.reading.wire import Skeleton, TensorRecord

__all__ = ["message_class", "parse"]

MAX_PIECES = 4096  # of one payload; writers make one
MAX_SHARED = 4096
LONGEST_SHARED = 256  # bytes: what nodes have in common is short


def parse(skeleton: Skeleton, source: Source, external: ExternalFiles, limits: Limits) -> Model:
    """Make a model from what the wire walk found.

    Parameters
    ----------
    skeleton : Skeleton
        Of the same file.
    source : Source
        The file; the model owns it from here on.
    external : ExternalFiles
        Its side files; likewise.
    limits : Limits
        `rank` and `tensor_bytes` count.

    Raises
    ------
    NotAModelError
        There is no graph.
    MalformedModelError
        protobuf cannot parse the skeleton.
    """
    proto = message_class()()
    try:
        proto.ParseFromString(skeleton.data)
    except Exception as error:  # protobuf's DecodeError; its module is imported by its class alone
        if type(error).__name__ != "DecodeError":
            raise
        raise MalformedModelError("Its graph cannot be parsed by protobuf.") from None
    if not proto.HasField("graph"):
        raise NotAModelError("It holds no graph.")
    builder = _Builder(skeleton.tensors, source, external, limits)
    graph = builder.graph(proto.graph)
    functions = [builder.function(function) for function in proto.functions]
    return Model(
        source,
        external,
        graph=graph,
        functions=functions,
        ir_version=proto.ir_version if proto.HasField("ir_version") else None,
        opset_import=_opsets(proto.opset_import),
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
        diagnostics=[*_notes(skeleton), *builder.diagnostics()],
    )


def message_class() -> Any:
    """Give onnx's ModelProto.

    Importing onnx itself costs 0.2 s of CPU for checkers and helpers that are
    never used here, so its protobuf module is loaded alone where that works.
    Both ways give the same class: protobuf keeps one for each message.
    """
    if "onnx" not in sys.modules:
        found = importlib.util.find_spec("onnx")
        for folder in (found and found.submodule_search_locations) or ():
            path = Path(folder) / "onnx_ml_pb2.py"
            spec = importlib.util.spec_from_file_location("_onnxspec_onnx_ml_pb2", path)
            if path.is_file() and spec and spec.loader:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module.ModelProto
    import onnx

    return onnx.ModelProto


def _domain(domain: str) -> str:
    """Give ONNX's own domain one name."""
    return "" if domain == "ai.onnx" else domain


def _opsets(entries: Iterable[Any]) -> dict[str, int]:
    """Give opset versions by domain."""
    return {_domain(entry.domain): entry.version for entry in entries}


def _notes(skeleton: Skeleton) -> list[Diagnostic]:
    """Tell what the wire walk left out."""
    found = []
    for note, count in sorted(skeleton.notes.items()):
        if note == "unknown_fields":
            message = f"{count:,} protobuf fields that ONNX does not define were not read."
            found.append(Diagnostic("unknown_fields", "info", message))
        elif note == "training_info":
            message = "The file holds graphs for training; they were not looked at."
            found.append(Diagnostic("training_info_ignored", "warning", message))
        elif note == "invalid_utf8":
            message = f"{count:,} names are no valid UTF-8; their broken bytes are shown with backslashes."
            found.append(Diagnostic("invalid_utf8", "warning", message))
        else:
            message = f"{count:,} attribute values were too long to be read ({note.partition(':')[2]})."
            found.append(Diagnostic("attribute_left_out", "warning", message))
    return found


def _payload_of(record: TensorRecord) -> tuple[Payload, TensorError | None]:
    """Give the one payload of a tensor, and a problem where there are several."""
    if len(record) == 1:
        ((kind, runs),) = record.items()
        if len(runs) == 1 and runs[0].length and kind != "segment":
            return Payload(kind, (runs[0],)), None
    kinds = [kind for kind, runs in record.items() if kind != "segment" and any(run.length for run in runs)]
    problem = None
    if "segment" in record:
        problem = TensorError("segmented_tensor", "It is one segment of a larger tensor.")
    elif len(kinds) > 1:
        problem = TensorError("payload_ambiguous", f"It has data in {' and '.join(sorted(kinds))}.")
    elif kinds == ["raw"] and len(record["raw"]) > 1:
        problem = TensorError("payload_ambiguous", "It has raw_data twice.")
    elif kinds and len(record[kinds[0]]) > MAX_PIECES:
        problem = TensorError("payload_malformed", f"Its data are in more than {MAX_PIECES:,} pieces.")
    if not kinds:
        return Payload("none"), problem
    return Payload(kinds[0], tuple(run for run in record[kinds[0]] if run.length)), problem


class _Builder:
    """Makes dataclasses from protobuf messages."""

    def __init__(self, records: list[TensorRecord], source: Source, external: ExternalFiles, limits: Limits) -> None:
        self._records = records
        self._source = source
        self._external = external
        self._limits = limits
        self._unknown_keys: dict[str, int] = {}
        self._attributes: dict[bytes, Attribute] = {}
        self._readers: dict[int | None, Callable[[Any], AttributeValue]] = {
            1: lambda proto: proto.f,
            2: lambda proto: proto.i,
            3: lambda proto: _text(proto.s),
            4: lambda proto: self.tensor(proto.t) if proto.HasField("t") else None,
            5: lambda proto: self.graph(proto.g) if proto.HasField("g") else None,
            6: lambda proto: list(proto.floats),
            7: lambda proto: list(proto.ints),
            8: lambda proto: [_text(item) for item in proto.strings],
            9: lambda proto: [self.tensor(item) for item in proto.tensors],
            10: lambda proto: [self.graph(item) for item in proto.graphs],
            11: lambda proto: self.sparse(proto.sparse_tensor) if proto.HasField("sparse_tensor") else None,
            12: lambda proto: [self.sparse(item) for item in proto.sparse_tensors],
        }

    def diagnostics(self) -> list[Diagnostic]:
        """Tell what was odd."""
        return [
            Diagnostic(
                "external_data_unknown_key", "info", f"External data of {count:,} tensors have the unknown key {key!r}."
            )
            for key, count in list(self._unknown_keys.items())[:100]
        ]

    def graph(self, proto: Any) -> Graph:
        """Convert a graph with all that it holds."""
        shapes = {}
        for info in proto.input:
            kind = info.type.tensor_type
            if kind.HasField("shape"):
                shapes[info.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim
                )
        return Graph(
            name=proto.name,
            nodes=[self.node(node) for node in proto.node],
            initializers=[self.tensor(tensor) for tensor in proto.initializer],
            sparse_initializers=[self.sparse(tensor) for tensor in proto.sparse_initializer],
            inputs=[info.name for info in proto.input],
            outputs=[info.name for info in proto.output],
            input_shapes=shapes,
        )

    def function(self, proto: Any) -> Function:
        """Convert a local function."""
        return Function(
            domain=_domain(proto.domain),
            name=proto.name,
            overload=proto.overload,
            inputs=list(proto.input),
            outputs=list(proto.output),
            attributes=list(proto.attribute),
            attribute_defaults={attribute.name: self.attribute(attribute) for attribute in proto.attribute_proto},
            nodes=[self.node(node) for node in proto.node],
            opset_import=_opsets(proto.opset_import),
        )

    def node(self, proto: Any) -> Node:
        """Convert a node."""
        attributes = {}
        nested = False
        for attribute in proto.attribute:
            if attribute.type in _PLAIN:
                converted = self._shared(attribute)
            else:
                converted = self.attribute(attribute)
                nested = nested or isinstance(converted.value, (Graph, list))
            attributes[converted.name] = converted
        # Tuples of strings: Python's collector of garbage soon leaves them alone.
        return Node(
            proto.name,
            proto.op_type,
            _domain(proto.domain),
            tuple(proto.input),
            tuple(proto.output),
            attributes,
            proto.overload,
            nested,
            next((entry.value for entry in proto.metadata_props), ""),
        )

    def _shared(self, proto: Any) -> Attribute:
        """Convert an attribute of numbers or texts; those that say the same are one object."""
        key = proto.SerializePartialToString()
        found = self._attributes.get(key)
        if found is None:
            found = self.attribute(proto)
            if len(self._attributes) < MAX_SHARED and len(key) <= LONGEST_SHARED:
                self._attributes[key] = found
        return found

    def attribute(self, proto: Any) -> Attribute:
        """Convert an attribute: the field that its type names, else the one that is set."""
        read = self._readers.get(proto.type)
        if read is None:
            names = (field.name for field, _ in proto.ListFields())
            code = next((_TYPE_BY_FIELD[name] for name in names if name in _TYPE_BY_FIELD), None)
            read = self._readers.get(code, _nothing)
        return Attribute(proto.name, read(proto), proto.ref_attr_name)

    def sparse(self, proto: Any) -> SparseTensor:
        """Convert a sparse tensor."""
        values = self.tensor(proto.values)
        return SparseTensor(values.name, values, self.tensor(proto.indices), tuple(proto.dims))

    def tensor(self, proto: Any) -> StoredTensor:
        """Convert a tensor, whose token leads to its payload."""
        token = proto.doc_string
        payload, problem = _payload_of(self._records[int(token)] if token else {})
        file: ByteFile = self._source
        identity = self._source.identity
        if proto.data_location == _EXTERNAL:
            if payload.kind != "none":
                problem = TensorError("payload_ambiguous", f"It has data in {payload.kind} and in another file.")
            else:
                dtype = DTYPES.get(proto.data_type)
                nbytes = stored_bytes(dtype, element_count(proto.dims)) if dtype else 0
                entries = [(entry.key, entry.value) for entry in proto.external_data]
                self._count_unknown(entries)
                try:
                    side, segment = self._external.resolve(entries, nbytes)
                except TensorError as error:
                    problem = error
                else:
                    file, identity = side, side.identity
                    payload = Payload("external", (segment,))
        return StoredTensor(
            proto.name,
            proto.data_type,
            proto.dims,
            payload,
            file=file,
            file_identity=identity,
            problem=problem,
            limits=self._limits,
        )

    def _count_unknown(self, entries: list[tuple[str, str]]) -> None:
        """Count keys of external data that ONNX does not define."""
        for key in {key for key, _ in entries} - KNOWN_KEYS:
            self._unknown_keys[key] = self._unknown_keys.get(key, 0) + 1


def _text(value: bytes) -> str:
    """Decode the bytes of a string attribute; broken ones are shown with backslashes."""
    return value.decode("utf-8", "backslashreplace")


def _nothing(_: Any) -> None:
    """Stand for the value of an attribute that has none that is known."""


_EXTERNAL = 1
_PLAIN = frozenset({1, 2, 3, 6, 7, 8})
_TYPE_BY_FIELD = {
    "f": 1,
    "i": 2,
    "s": 3,
    "t": 4,
    "g": 5,
    "floats": 6,
    "ints": 7,
    "strings": 8,
    "tensors": 9,
    "graphs": 10,
    "sparse_tensor": 11,
    "sparse_tensors": 12,
}
