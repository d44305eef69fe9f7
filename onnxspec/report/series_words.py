"""What the table, Markdown and HTML of a series say in the same words."""

from __future__ import annotations

from collections.abc import Iterable

from onnxspec.results.series import Relation, Series

__all__ = ["by_set", "chance", "heading", "missing", "short", "too_small", "verdict"]

LEVEL = 0.05


def by_set(series: Series) -> list[tuple[str | None, list[Relation]]]:
    """Give the relations of each set of models: all of them first, then each group."""
    sets: dict[str | None, list[Relation]] = {}
    for relation in series.relations:
        sets.setdefault(relation.group, []).append(relation)
    return list(sets.items())


def heading(series: Series, group: str | None) -> str:
    """Name a set and say how many models it has."""
    usable = [m for m in series.members if m.problem is None and group in (None, m.group)]
    name = "All" if group is None else f"{group}:"
    return f"{name} {len(usable)} {'model' if len(usable) == 1 else 'models'}"


def too_small(relations: Iterable[Relation]) -> str | None:
    """Say that a set has too few models, where it has."""
    found = [relation for relation in relations if relation.kendall_tau.value is not None]
    if not found or any(relation.conclusive for relation in found):
        return None
    least = min(relation.min_p for relation in found if relation.min_p is not None)
    return f"n too small to conclude: no p-value of tau can be below {least:.3f}"


def missing(relations: Iterable[Relation]) -> list[str]:
    """List the metrics that have no number here, by reason."""
    by_reason: dict[str, list[str]] = {}
    for relation in relations:
        if relation.kendall_tau.value is None:
            by_reason.setdefault(relation.kendall_tau.reason or "unknown", []).append(relation.metric)
    return [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]


def verdict(relation: Relation) -> str:
    """Say whether the theory's sign was found."""
    if relation.kendall_tau.value is None or relation.expected_sign is None:
        return ""
    if relation.as_expected is None:
        return "no trend"
    return "as expected" if relation.as_expected else "against"


def chance(series: Series) -> str | None:
    """Say how many small p-values chance alone would give."""
    tested = [r for r in series.relations if r.kendall_tau.p_value is not None and r.conclusive]
    if not tested:
        return None
    below = sum((r.kendall_tau.p_value or 0.0) < LEVEL for r in tested)
    return (
        f"p-values are not corrected: of {len(tested)} relations with enough models {below} are below {LEVEL}; "
        f"chance alone would give about {LEVEL * len(tested):.1f}, more together since metrics resemble each other"
    )


def short(value: float | None, width: int = 6) -> str:
    """Give a number in at most `width` characters and three digits after the point."""
    if value is None:
        return "-"
    text = f"{value:.3f}"
    return text if len(text) <= width else f"{value:.{max(1, width - 5)}g}" if abs(value) >= 1e4 else f"{value:.4g}"
