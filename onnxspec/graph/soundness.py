"""What is wrong with a graph as a graph, and what of it is newer than this program knows.

None of it stops the walk, which is iterative and visits each value once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from onnxspec.graph.names import display
from onnxspec.results import Diagnostic

if TYPE_CHECKING:
    from onnxspec.graph.scopes import Scope
    from onnxspec.graph.view import GraphView

__all__ = ["NEWEST_IR", "NEWEST_OPSET", "check"]

NEWEST_IR = 14
NEWEST_OPSET = 28
"""The versions that the operators' handlers were written against."""

KNOWN_DOMAINS = frozenset(
    {"", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc"}
)
"""Domains of the ONNX standard and of onnxruntime."""

_SHOWN = 20


def check(view: GraphView) -> list[Diagnostic]:
    """List what is odd: cycles, undefined inputs, unsorted nodes, unknown versions and domains."""
    found = dict.fromkeys([*_versions(view), *(d for scope in view.scopes for d in _scope(view, scope))])
    for diagnostic in view.diagnostics:
        found.pop(diagnostic, None)
    counts: dict[str, int] = {}
    kept = []
    for diagnostic in found:
        counts[diagnostic.code] = counts.get(diagnostic.code, 0) + 1
        if counts[diagnostic.code] <= _SHOWN:
            kept.append(diagnostic)
    return kept


def _versions(view: GraphView) -> Iterator[Diagnostic]:
    """Tell versions and domains that this program was not written against."""
    model = view.model
    if model.ir_version is not None and model.ir_version > NEWEST_IR:
        message = f"the file has IR version {model.ir_version}; {NEWEST_IR} is the newest known here"
        yield Diagnostic("future_ir_version", "info", message)
    version = model.opset_import.get("", 0)
    if version > NEWEST_OPSET:
        message = f"the file uses opset {version}; {NEWEST_OPSET} is the newest known here"
        yield Diagnostic("future_opset", "info", message)
    if not model.opset_import:
        yield Diagnostic("no_opset_import", "info", "the file does not say which operator sets it uses")
    own = {function.domain for function in model.functions}
    used = {node.domain for scope in view.scopes for node in scope.nodes}
    for domain in sorted(used - KNOWN_DOMAINS - own):
        yield Diagnostic("foreign_domain", "info", "the graph uses operators of another domain", display(domain))


def _scope(view: GraphView, scope: Scope) -> Iterator[Diagnostic]:
    """Look at the names of one scope."""
    late: dict[int, set[int]] = {}
    for index, node in enumerate(scope.nodes):
        for name in node.inputs:
            producer = scope.producers.get(name) if name else None
            if producer is not None and producer >= index:
                late.setdefault(index, set()).add(producer)
            elif producer is None and name and view.resolve(scope, name) is None:
                yield _diagnostic("undefined_input", "error", "a node reads a value that nothing defines", name)
    if not late:
        return
    cycle = _in_cycle(scope)
    if cycle is not None:
        name = next((output for output in scope.nodes[cycle].outputs if output), "")
        yield _diagnostic("cyclic_graph", "error", "the graph has a cycle through this value", name)
    else:
        name = next((output for output in scope.nodes[min(late)].outputs if output), "")
        yield _diagnostic("unsorted_nodes", "warning", "nodes stand before those whose results they read", name)


def _in_cycle(scope: Scope) -> int | None:
    """Give a node that is part of a cycle, or stands behind one; by removing nodes without open inputs."""
    waiting = {}
    ready = []
    for index, node in enumerate(scope.nodes):
        sources = {scope.producers[name] for name in node.inputs if name in scope.producers}
        waiting[index] = len(sources)
        if not sources:
            ready.append(index)
    while ready:
        index = ready.pop()
        del waiting[index]
        own = [name for name in set(scope.nodes[index].outputs) if scope.producers.get(name) == index]
        for reader in {reader for name in own for reader, _ in scope.consumers.get(name, ())}:
            if reader in waiting:
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    ready.append(reader)
    return min(waiting) if waiting else None


def _diagnostic(code: str, severity: Literal["info", "warning", "error"], message: str, name: str) -> Diagnostic:
    return Diagnostic(code, severity, message, display(name))
