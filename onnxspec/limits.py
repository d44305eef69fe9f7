"""Every cap on untrusted input, with its default and its reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """Caps that bound bytes, depth, count, time and memory before input is touched.

    Attributes
    ----------
    file_bytes : int
        Largest model file. Payloads stay on disk, so this bounds disk reads alone.
    skeleton_bytes : int
        Largest model without its payloads: what protobuf must parse. A model of
        200,000 nodes needs about 40 MiB.
    depth : int
        Nesting of messages that hold messages of their own kind (graphs in
        attributes). Real exporters reach 6; protobuf's own parser stops at 100.
    fields : int
        Protobuf fields that the wire walk reads. 200,000 nodes have about 4 million.
    nodes : int
        Nodes over all graphs and functions.
    tensors : int
        Stored tensors over all graphs and functions.
    rank : int
        Axes of one tensor. NumPy itself stops at 64; real weights have at most 6.
    tensor_bytes : int
        Stored bytes of one tensor, also the size of one read.
    total_bytes : int
        Stored bytes over all distinct payloads that one analysis reads.
    fold_elements : int
        Elements of one intermediate result while constants are folded.
    fold_nodes : int
        Nodes in one constant sub-graph.
    matrix_bytes : int
        Working memory (float64) that the eigenvalues of one layer may need.
    name_length : int
        Characters of a name that are shown; longer names are shortened.
    report_bytes : int
        Largest saved report or policy file.
    series_bytes, series_models, series_columns : int
        Largest CSV file of a series, its rows and its columns: Kendall's tau looks at all pairs of models.
    """

    file_bytes: int = 64 * GIB
    skeleton_bytes: int = 256 * MIB
    depth: int = 64
    fields: int = 20_000_000
    nodes: int = 1_000_000
    tensors: int = 1_000_000
    rank: int = 32
    tensor_bytes: int = 16 * GIB
    total_bytes: int = 256 * GIB
    fold_elements: int = 2**28
    fold_nodes: int = 10_000
    matrix_bytes: int = 8 * GIB
    name_length: int = 256
    report_bytes: int = 256 * MIB
    series_bytes: int = 16 * MIB
    series_models: int = 1_000
    series_columns: int = 256


DEFAULT_LIMITS = Limits()
