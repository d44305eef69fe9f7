"""Every number of a layer by the groups of the catalogue, and why others are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from onnxspec.catalogue import Entry, entries
from onnxspec.report._plain import word
from onnxspec.report.numbers import interval, short
from onnxspec.results import Layer
from onnxspec.results.drawable import number

__all__ = ["Missing", "Table", "missing", "never", "quantization", "tables"]

MOST_LISTED = 3
MAX_TEXT = 60
NESTED = ("mp", "trained", "phase_evidence", "erg", "traps", "localisation", "power_law", "alpha_profile")
# their numbers are those of the features of the phase, or constants of the method
REPEATED = frozenset(
    {
        "mp.level",
        "trained.permutations",
        "phase",
        "trained",
        *(f"phase_evidence.features.{name}" for name in ("bulk_D", "bulk_p", "spikes", "spike_share", "alpha")),
    }
)


TOPICS = (
    ("Sizes", ("Sizes", "Quantisation")),
    ("Power law", ("Power-law fit", "How far to trust alpha")),
    ("Norms", ("Norms", "Alpha with scale")),
    ("Ranks, entropy, log-determinant", ("Ranks and entropy", "Log-determinant condition")),
    ("Bulk and spikes", ("Bulk and spikes",)),
    ("Trained or noise, phase", ("Trained or noise", "Phase", "Health flags")),
    ("Traps and localisation", ("Correlation traps", "Localisation")),
)
"""Tables of numbers, each with the groups of the catalogue that stand in it."""


@dataclass(frozen=True)
class Table:
    """The numbers of all layers on one topic; only what some layer has.

    Attributes
    ----------
    title : str
        Of the topic.
    columns : tuple of (Entry, str)
        The entry of the catalogue that explains a number, and its heading.
    rows : tuple of (int, tuple of str)
        Place of the layer, from 1, and its cells; an empty cell where there is no number.
    """

    title: str
    columns: tuple[tuple[Entry, str], ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Missing:
    """Numbers that do not exist, for one reason."""

    reason: str
    names: tuple[str, ...]


def tables(layers: Sequence[Layer]) -> list[Table]:
    """Give every number of every layer by topic, in the order of the catalogue."""
    found = []
    for title, groups in _topics():
        columns = [(entry, path) for entry, path in _metrics() if entry.group in groups]
        cells = [[_show(_value(layer, path), path[-1]) or "" for _, path in columns] for layer in layers]
        kept = [k for k in range(len(columns)) if any(row[k] for row in cells)]
        if kept:
            headings = tuple((columns[k][0], columns[k][1][-1]) for k in kept)
            rows = tuple((place, tuple(row[k] for k in kept)) for place, row in enumerate(cells, 1) if any(row))
            found.append(Table(title, headings, rows))
    return found


def quantization(layer: Layer) -> str | None:
    """Say how the weights are stored in few bits."""
    stored = layer.quantization
    if stored is None:
        return None
    shared = {"tensor": "one scale for the tensor", "channel": "one scale for each channel"}
    if stored.block:
        shared["block"] = f"one scale for {short(stored.block)} elements"
    grain = word(stored.granularity)
    return f"{word(stored.scheme)}: {stored.bits} bits, {shared.get(grain, grain)}"


def missing(layer: Layer, known: Sequence[Missing] = ()) -> list[Missing]:
    """Give the numbers of a layer that are null, by their reasons, without those that `known` lists."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in layer.reasons.items():
        by_reason.setdefault(reason, []).append(word(name))
    for name in NESTED:
        value = getattr(layer, name)
        inner = value.get("reason") if isinstance(value, Mapping) else None
        if isinstance(inner, str):
            by_reason.setdefault(inner, []).append(name)
    said = {gap.reason: frozenset(gap.names) for gap in known}
    left = (
        (reason, tuple(name for name in names if name not in said.get(reason, ())))
        for reason, names in sorted(by_reason.items())
    )
    return [Missing(reason, names) for reason, names in left if names]


def never(layers: Sequence[Layer]) -> list[Missing]:
    """Give the numbers that are null in every analysed layer, by the reason that most layers give."""
    analysed = [missing(layer) for layer in layers if layer.status == "ok"]
    reasons: dict[str, Counter[str]] = {}
    for gaps in analysed:
        for gap in gaps:
            for name in gap.names:
                reasons.setdefault(name, Counter())[gap.reason] += 1
    by_reason: dict[str, list[str]] = {}
    for name, counts in sorted(reasons.items()):
        if counts.total() == len(analysed):
            by_reason.setdefault(min(counts, key=lambda reason: (-counts[reason], reason)), []).append(name)
    return [Missing(reason, tuple(names)) for reason, names in sorted(by_reason.items())]


def _topics() -> list[tuple[str, tuple[str, ...]]]:
    """Give the topics, and a last one for groups of the catalogue that are in none of them."""
    known = {group for _, groups in TOPICS for group in groups}
    others = dict.fromkeys(entry.group for entry, _ in _metrics() if entry.group not in known)
    return [*TOPICS, ("Other", tuple(others))]


@cache
def _metrics() -> tuple[tuple[Entry, tuple[str, ...]], ...]:
    """Give the entries that may stand in a layer, each with its path."""
    own = set(Layer.__dataclass_fields__)
    paths = ((entry, tuple(entry.name.split("."))) for entry in entries("metric"))
    return tuple((entry, path) for entry, path in paths if path[0] in own and entry.name not in REPEATED)


def _value(layer: Layer, path: Sequence[str]) -> Any:
    """Follow a dotted name into a layer."""
    value: Any = getattr(layer, path[0])
    for part in path[1:]:
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def _show(value: Any, name: str) -> str | None:
    """Give a value as text, or ``None`` where it is null or has parts of its own."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return short(value) if abs(value) < 10**18 else None
    if isinstance(value, float):
        return short(value)
    if isinstance(value, str):
        return word(value, MAX_TEXT)
    if isinstance(value, (list, tuple)):
        return _list(value)
    if isinstance(value, Mapping):
        return _parts(value, name)
    return None


def _list(values: Sequence[Any]) -> str | None:
    """Give the first numbers of a list, or an interval."""
    numbers = [x for value in values if (x := number(value)) is not None]
    if not numbers or len(numbers) != len(values):
        return None
    if len(numbers) == 2 and numbers[0] <= numbers[1]:
        return interval((numbers[0], numbers[1]))
    shown = ", ".join(short(value, 3) for value in numbers[:MOST_LISTED])
    return f"{shown}, … ({len(numbers)})" if len(numbers) > MOST_LISTED else shown


def _parts(value: Mapping[str, Any], name: str) -> str | None:
    """Give the word of an object that has one; the numbers in it are facts of their own."""
    if name == "health":
        flags = value.get("flags")
        words = [str(value.get("tail") or ""), *(flags if isinstance(flags, (list, tuple)) else ())]
        return word(", ".join(str(part) for part in words[:MOST_LISTED] if part), MAX_TEXT) or None
    if name == "alternatives":
        return _comparisons(value.get("comparisons"))
    if name == "alpha_profile":
        low, high = number(value.get("alpha_min")), number(value.get("alpha_max"))
        return None if low is None or high is None else interval((low, high))
    verdict = value.get("verdict")
    return word(verdict, MAX_TEXT) if isinstance(verdict, str) else None


def _comparisons(value: Any) -> str | None:
    """Give the likelihood ratios of the power law against other laws."""
    found = []
    for one in value if isinstance(value, (list, tuple)) else ():
        if not isinstance(one, Mapping):
            continue
        ratio, p, law = number(one.get("R")), number(one.get("p")), one.get("alternative")
        if ratio is not None and p is not None and isinstance(law, str):
            found.append(f"{word(law, 30)}: R {short(ratio, 3)}, p {short(p, 2)}")
    return "; ".join(found[:MOST_LISTED]) or None
