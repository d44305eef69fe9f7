"""Which fields of a layer are verdicts, and how they are collected; loads nothing that computes one."""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

from onnxspec.results.codec import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxspec.results import Spectrum

__all__ = ["MATRIX", "MATRIX_FULL", "TAIL", "TAIL_FULL", "Verdicts", "nothing"]

TAIL_STANDARD = ("alpha_ci", "alpha_unbiased", "alpha_exact_ci", "alpha_profile", "alpha_hill", "alpha_hill_excess")
TAIL_FULL = ("gof_p", "alternatives", "best_fit", "power_law")
TAIL = (*TAIL_STANDARD, *TAIL_FULL)
MATRIX_STANDARD = ("mp", "spikes", "trained", "phase", "phase_evidence", "erg")
MATRIX_FULL = ("traps", "localisation")
MATRIX = (*MATRIX_STANDARD, *MATRIX_FULL)


@dataclass
class Verdicts:
    """Fields of `Layer`, and why those that are null are null; and the spectrum of the matrix they are about."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    own: Spectrum | None = None

    def put(self, name: str, value: Any, reason: str | None = None) -> None:
        """Enter one field in JSON-safe form, with the reason where there is none."""
        self.values[name] = encode(value) if is_dataclass(value) else value
        if value is None:
            self.reasons[name] = reason or "unknown"

    def merge(self, other: Verdicts) -> Verdicts:
        """Take in the fields of another."""
        self.values |= other.values
        self.reasons |= other.reasons
        self.own = self.own or other.own
        return self


def nothing(names: Iterable[str], reason: str) -> Verdicts:
    """Give null for every name, for one reason."""
    out = Verdicts()
    for name in names:
        out.put(name, None, reason)
    return out
