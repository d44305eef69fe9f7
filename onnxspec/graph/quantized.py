"""Operators whose weights are codes: integers with scales and zero points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxspec.graph.folding import attribute
from onnxspec.graph.slots import Handler, Operands

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant

__all__ = ["HANDLERS", "gathered"]


def gathered(operands: Operands) -> Constant | None:
    """Give the table of a ``Gather`` with the scale that its rows get afterwards."""
    return None


HANDLERS: dict[str, Handler] = {}
