"""What a rule may look at: the report, the policy, and safe access to both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from onnxspec.policy.model import Policy
from onnxspec.results import Layer, Report
from onnxspec.results.findings import RuleFacts

__all__ = ["DEGENERATE", "Context", "Hit", "Look", "Rule", "about", "matches", "number", "text"]

NOT_LOOKED_AT = frozenset({"effort", "not_computed", "bootstrap_failed", "not_installed", "stochastic", "unknown"})
"""Reasons of a null that say nothing of the layer itself."""


DEGENERATE = frozenset({"zero_matrix", "rank_one"})
"""Reasons of layers that are no matrix to speak of; rules of their own find them."""

WHOLE = "attention_qkv"


@dataclass(frozen=True)
class Hit:
    """What a rule says before the policy is asked what follows from it.

    Attributes
    ----------
    subject : str
        Name of the layer, file, domain or operator that it is about.
    message : str
        One sentence with the number that led to it.
    layer : str or None
        Id of the layer, where it is about one.
    content_hash, value_hash : str or None
        Of that layer.
    key : str
        What tells two hits of one rule apart where there is no layer.
    badness : float or None
        A number that grows with the fault.
    inconclusive : bool
        The rule could not look at what it needs.
    """

    subject: str
    message: str
    layer: str | None = None
    content_hash: str | None = None
    value_hash: str | None = None
    key: str = ""
    badness: float | None = None
    inconclusive: bool = False


@dataclass(frozen=True)
class Context:
    """One report under one policy."""

    report: Report
    policy: Policy

    def threshold(self, name: str, layer: Layer | None = None) -> float:
        """Give a threshold: the policy's, then by role, then by glob; the last match counts."""
        chosen: float = self.policy.thresholds[name]
        if layer is None:
            return chosen
        chosen = self.policy.role_thresholds.get(layer.role, {}).get(name, chosen)
        for pattern, values in self.policy.layer_thresholds.items():
            if name in values and matches(layer, pattern):
                chosen = values[name]
        return chosen

    def analysed(self, *, averaged: bool = False) -> Iterator[Layer]:
        """Give the layers that have numbers; on request only those that enter means, or would if they were solved.

        Query, key and value in one weight are looked at one by one, not a fourth time together.
        """
        parts = {layer.tensor for layer in self.report.layers if layer.role != WHOLE}
        for layer in self.report.layers:
            apart = layer.role == WHOLE and layer.tensor in parts
            enters = layer.averaged or layer.reasons.get("averaged") == "stochastic"
            if layer.status == "ok" and (enters or not averaged) and not apart:
                yield layer

    def undecided(self, field: str, layers: Sequence[Layer], needs: str) -> Iterator[Hit]:
        """Say for how many layers a field is null for a reason that says nothing of the layer."""
        reasons: dict[str, int] = {}
        for layer in layers:
            reason = reason_of(layer, field)
            if getattr(layer, field) is None and reason in NOT_LOOKED_AT:
                reasons[reason] = reasons.get(reason, 0) + 1
        if reasons:
            count = sum(reasons.values())
            why = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
            if "stochastic" in reasons:
                needs += " and without --stochastic-above"
            yield Hit(
                "model",
                f"could not be decided for {count} of {len(layers)} layers: {field} is null ({why}); {needs}",
                key=field,
                inconclusive=True,
            )


def reason_of(layer: Layer, field: str) -> str:
    """Give why a field is null; what nobody noted is unknown."""
    return layer.reasons.get(field, "unknown")


def matches(layer: Layer, pattern: str) -> bool:
    """Say whether a glob fits the id, name or tensor of a layer."""
    return any(name == pattern or fnmatchcase(name, pattern) for name in (layer.id, layer.name, layer.tensor))


def about(layer: Layer, message: str, badness: float | None = None, *, inconclusive: bool = False) -> Hit:
    """Make a hit on one layer."""
    return Hit(
        subject=layer.name,
        message=message,
        layer=layer.id,
        content_hash=layer.content_hash,
        value_hash=layer.value_hash,
        badness=badness,
        inconclusive=inconclusive,
    )


def number(table: Mapping[str, Any] | None, key: str) -> float | None:
    """Read a finite number from a nested table, which in a saved report may hold anything."""
    value = None if table is None else table.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def text(table: Mapping[str, Any] | None, key: str) -> str | None:
    """Read a text from a nested table."""
    value = None if table is None else table.get(key)
    return value if isinstance(value, str) else None


Look = Callable[[Context], Iterator[Hit]]


@dataclass(frozen=True)
class Rule(RuleFacts):
    """A rule with the pure function that looks for it."""

    look: Look = field(kw_only=True)
