"""Which of the matrices found are no weights: by the user's word first, then by what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from onnxspec.errors import TensorError
from onnxspec.graph.bases import REASONS, Evidence, could_be, recognise
from onnxspec.graph.coded import CODE_BITS
from onnxspec.graph.options import matches
from onnxspec.results import Diagnostic

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant
    from onnxspec.graph.options import SurveyOptions
    from onnxspec.graph.weights import WeightMatrix

__all__ = ["LOOKS", "Sorted", "evidence_of", "sort_out"]

NEAR = 2
"""Weights before a layer that takes its input from a fixed basis, at most."""

SMALL = 2**16
BUDGET = 2**21
TABLE = 2**22
"""Elements that are read to look at them: of one matrix anywhere, of all others, of one table."""

LOOKS = 1000
"""Matrices that are looked at; models have a few hundred."""

_NAMES = re.compile(
    r"stft|fourier|dft|dct|mel|fbank|filter_?bank|basis|cqt|window|sinus|pos_?(emb|enc)|position|mask|tril|triu"
    r"|anchor|grid|rotary|inv_freq|cos_cached|sin_cached|identity|eye|perm",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Sorted:
    """Weights, and those that are none.

    Attributes
    ----------
    kept : list of WeightMatrix
        In their order.
    dropped : list of (WeightMatrix, str, str)
        With reason and detail.
    diagnostics : list of Diagnostic
        Patterns that fit nothing.
    """

    kept: list[WeightMatrix] = field(default_factory=list)
    dropped: list[tuple[WeightMatrix, str, str]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def sort_out(weights: Sequence[WeightMatrix], options: SurveyOptions) -> Sorted:
    """Tell weights from matrices that nobody trained, or that the user does not want.

    ``exclude`` is stronger than ``include``, and ``include`` than what the values
    look like. A role that names a reason (``fixed_basis``, ``mask``, ...) leaves out.
    """
    result = Sorted()
    used: set[str] = set()
    budget, looks = BUDGET, LOOKS
    for weight in weights:
        names = (weight.id, weight.name, weight.tensor, *weight.used_by)
        excluded = _first(names, options.exclude, used)
        if excluded is not None:
            result.dropped.append((weight, "excluded", f"left out by the pattern {excluded}"))
            continue
        kept = _first(names, options.include, used) is not None
        for pattern, role in options.roles:
            if _first(names, (pattern,), used) is not None:
                kept = True
                if role in REASONS:
                    result.dropped.append((weight, role, f"said so by the pattern {pattern}"))
                    break
                weight.slot = replace(weight.slot, role=role)
        else:
            evidence = None
            if not kept and looks and _candidate(weight, budget):
                looks -= 1
                if not _near(weight) and weight.constant.size > SMALL:
                    budget -= weight.constant.size
                evidence = _look(weight)
            if evidence is None:
                result.kept.append(weight)
            else:
                result.dropped.append((weight, evidence.reason, evidence.detail))
    for pattern in (*options.include, *options.exclude, *(pattern for pattern, _ in options.roles)):
        if pattern not in used:
            result.diagnostics.append(Diagnostic("pattern_unused", "warning", "a pattern fits no layer", pattern))
    return result


def _first(names: Sequence[str], patterns: Iterable[str], used: set[str]) -> str | None:
    """Give the first pattern that fits, and note it."""
    for pattern in patterns:
        if matches(names, pattern):
            used.add(pattern)
            return pattern
    return None


def _near(weight: WeightMatrix) -> bool:
    """Say whether a weight stands where bases stand, or is called like one."""
    return weight.depth <= NEAR or any(_NAMES.search(name) for name in (weight.tensor, weight.node))


def _candidate(weight: WeightMatrix, budget: int) -> bool:
    """Say whether it is worth reading a weight, to see whether it is one."""
    size = weight.constant.size
    if weight.problem is not None or weight.slot.part is not None or weight.dtype in CODE_BITS:
        return False
    if 0 in weight.kernel_shape or not could_be(weight.kernel_shape):
        return False
    if weight.role == "embedding" and size > TABLE:
        return False
    return size <= SMALL or _near(weight) or size <= budget


def _look(weight: WeightMatrix) -> Evidence | None:
    """Read a weight and say what it is, where it is none."""
    try:
        return recognise(weight.slot.layout(weight.constant.load()))
    except TensorError:
        return None


def evidence_of(constant: Constant) -> Evidence | None:
    """Say what an operand that multiplies nothing is: a mask, a table of positions, a grid."""
    shape = tuple(axis for axis in constant.shape if axis > 1)
    if constant.problem is not None or constant.size > SMALL or len(shape) != 2 or constant.dtype in CODE_BITS:
        return None
    try:
        return recognise(constant.load().reshape(1, *shape, 1))
    except (TensorError, ValueError, TypeError):
        return None
