"""The parsed graph: plain dataclasses, and the open model that holds them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from onnxspec.reading.tensors import StoredTensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from onnxspec.reading.external import ExternalFiles
    from onnxspec.reading.source import Source
    from onnxspec.results import Diagnostic, ExternalFile

__all__ = ["Attribute", "AttributeValue", "Function", "Graph", "Model", "Node", "SparseTensor"]


@dataclass(slots=True)
class SparseTensor:
    """A sparse constant in coordinate form.

    Attributes
    ----------
    name : str
        Name of its values, which is the constant's own.
    values : StoredTensor
        Its non-zero elements, shape (nnz,).
    indices : StoredTensor
        Linear, shape (nnz,), or by axis, shape (nnz, rank).
    shape : tuple of int
        Dims of the dense tensor, as in the file.
    """

    name: str
    values: StoredTensor
    indices: StoredTensor
    shape: tuple[int, ...]

    def content_hash(self) -> str:
        """Hash shape, values and indices.

        Returns
        -------
        str
            ``"blake2b:"`` and 64 hexadecimal digits.

        Raises
        ------
        TensorError
            One of the two cannot be read.
        """
        text = f"sparse{list(self.shape)}\n{self.values.content_hash()}\n{self.indices.content_hash()}"
        return f"blake2b:{hashlib.blake2b(text.encode(), digest_size=32).hexdigest()}"


@dataclass(slots=True)
class Attribute:
    """One attribute of a node, with the value of the field that is set.

    Attributes
    ----------
    name : str
        Its name.
    value : int, float, str, StoredTensor, SparseTensor, Graph, list of these, or None
        None where no field is set, or the value was left out.
    ref_attr_name : str
        In a function's body: the function's attribute that it stands for.
    """

    name: str
    value: AttributeValue
    ref_attr_name: str = ""


@dataclass(slots=True)
class Node:
    """One node; `domain` is empty for ONNX's own operators.

    Nodes share the attributes that they have alike; nothing changes an `Attribute`.
    `nested` is False where it is known that no attribute holds a graph. `scopes` is what
    PyTorch's metadata say of the modules that it comes from, a list as Python writes it.
    """

    name: str
    op_type: str
    domain: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: dict[str, Attribute]
    overload: str = ""
    nested: bool = True
    scopes: str = ""


@dataclass(slots=True)
class Graph:
    """One graph: the main one, or one held by an attribute.

    Attributes
    ----------
    input_shapes : dict of str to tuple of (int or None)
        Shapes of the inputs that have one; None stands for a symbolic dim.
    """

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    initializers: list[StoredTensor] = field(default_factory=list)
    sparse_initializers: list[SparseTensor] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    input_shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Function:
    """One local function of the model."""

    domain: str
    name: str
    overload: str
    inputs: list[str]
    outputs: list[str]
    attributes: list[str]
    attribute_defaults: dict[str, Attribute]
    nodes: list[Node]
    opset_import: dict[str, int]


AttributeValue = int | float | str | StoredTensor | SparseTensor | Graph | list[Any] | None


class Model:
    """An open model: its graph parsed, its payloads still in their files.

    A context manager: leaving it closes the files; tensors cannot be read after.

    Attributes
    ----------
    source : Source
        The file.
    ir_version : int or None
        None where the file does not say.
    opset_import : dict of str to int
        Version by domain; ``""`` is ONNX's own. Empty in files of IR version 1.
    producer : str
        Name and version of the exporter; may be empty.
    graph : Graph
        The main graph.
    functions : list of Function
        Local functions.
    diagnostics : list of Diagnostic
        What was left out or odd.
    """

    __slots__ = ("_external", "diagnostics", "functions", "graph", "ir_version", "opset_import", "producer", "source")

    def __init__(
        self,
        source: Source,
        external: ExternalFiles,
        *,
        graph: Graph,
        functions: list[Function],
        ir_version: int | None,
        opset_import: dict[str, int],
        producer: str,
        diagnostics: list[Diagnostic],
    ) -> None:
        self.source = source
        self.ir_version = ir_version
        self.opset_import = opset_import
        self.producer = producer
        self.graph = graph
        self.functions = functions
        self.diagnostics = diagnostics
        self._external = external

    def external_files(self) -> tuple[ExternalFile, ...]:
        """Give the side files that the model refers to, hashed now, in order of first use.

        Size and hash are None where a file is missing or its reference refused.
        """
        return self._external.files()

    def close(self) -> None:
        """Close all files; closing again does nothing."""
        self._external.close()
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
