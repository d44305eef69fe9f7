"""The layers of one model over its checkpoints: which is which, their numbers, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxspec import __version__
from onnxspec.comparing.checkpoints.transitions import transitions
from onnxspec.results import Layer, Report
from onnxspec.results.report import Tool
from onnxspec.results.tracking import TRACK_METRICS, TRACK_SCHEMA_VERSION, Checkpoint, Course, Track

__all__ = ["follow"]

PLAIN = (
    "entropy",
    "entropy_deficit",
    "stable_rank",
    "stable_rank_ratio",
    "alpha",
    "n_tail",
    "spikes",
    "lambda_max",
    "log_norm",
    "log_spectral_norm",
    "rank_loss",
)
SCREE = 512
"""Eigenvalues that a scree plot gets at most."""


@dataclass
class _Line:
    """One layer while it is being followed: what it was in each checkpoint, `None` where it was not."""

    layers: list[Layer | None]
    ways: list[str | None]
    last: Layer = field(init=False)

    def __post_init__(self) -> None:
        self.last = next(layer for layer in self.layers if layer is not None)

    def add(self, layer: Layer | None, way: str | None) -> None:
        self.layers.append(layer)
        self.ways.append(way)
        if layer is not None:
            self.last = layer


def follow(
    checkpoints: Sequence[tuple[Checkpoint, Report | None]],
    *,
    source: str = "",
    settings: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Track:
    """Follow every layer over the checkpoints.

    Parameters
    ----------
    checkpoints : sequence of (Checkpoint, Report or None)
        In the order of training; without a report where the checkpoint has a problem.
    source : str
        Where they come from.
    settings : mapping, optional
        Of the analysis.
    notes : sequence of str
        What is to be said of all of it.

    Returns
    -------
    Track
        A layer is found again by its tensor and size, else by its name and size, else by equal values,
        else, where the rest of both checkpoints has the same sizes in the same order, by its place.
    """
    lines: list[_Line] = []
    for number, (_, report) in enumerate(checkpoints):
        if report is None:
            for line in lines:
                line.add(None, None)
            continue
        layers = [layer for layer in report.layers if layer.reason != "not_selected"]
        found = _matched([line.last for line in lines], layers)
        taken = {place for place, _ in found.values()}
        for k, line in enumerate(lines):
            place, way = found.get(k, (None, None))
            line.add(None if place is None else layers[place], way)
        for place, layer in enumerate(layers):
            if place not in taken:
                lines.append(_Line([*[None] * number, layer], [*[None] * number, "first"]))
    courses = tuple(_course(line) for line in lines)
    told = [checkpoint for checkpoint, _ in checkpoints]
    return Track(
        schema_version=TRACK_SCHEMA_VERSION,
        tool=Tool("onnxspec", __version__),
        source=source,
        settings=dict(settings or {}),
        checkpoints=tuple(told),
        layers=courses,
        transitions=tuple(transitions(courses)),
        notes=(*notes, *_notes(courses, told)),
    )


def _matched(before: Sequence[Layer], now: Sequence[Layer]) -> dict[int, tuple[int, str]]:
    """Give for places of `before` the place in `now` of the same layer, and how it was found."""
    found: dict[int, tuple[int, str]] = {}
    for way, key in (
        ("tensor", lambda layer: (layer.tensor, layer.name, _size(layer))),
        ("tensor", lambda layer: (layer.tensor, _size(layer))),
        ("name", lambda layer: (layer.name, _size(layer))),
        ("values", lambda layer: (layer.value_hash or id(layer), _size(layer))),
    ):
        taken = {place for place, _ in found.values()}
        old = _unique((k, key(layer)) for k, layer in enumerate(before) if k not in found)
        new = _unique((k, key(layer)) for k, layer in enumerate(now) if k not in taken)
        found |= {old[same]: (new[same], way) for same in old.keys() & new.keys()}
    taken = {place for place, _ in found.values()}
    rest_before = [k for k in range(len(before)) if k not in found]
    rest_now = [k for k in range(len(now)) if k not in taken]
    if [_size(before[k]) for k in rest_before] == [_size(now[k]) for k in rest_now]:
        found |= {old_place: (place, "place") for old_place, place in zip(rest_before, rest_now)}
    return found


def _size(layer: Layer) -> tuple[Any, ...]:
    """Give what the same layer keeps in any graph form: role and matrices, turned as they may be."""
    return (layer.role, layer.N, layer.M, layer.num_matrices) if layer.N else (layer.role, *layer.shape)


def _unique(keyed: Iterable[tuple[int, Any]]) -> dict[Any, int]:
    """Give the places of the keys that occur once."""
    places: dict[Any, list[int]] = {}
    for place, key in keyed:
        places.setdefault(key, []).append(place)
    return {key: found[0] for key, found in places.items() if len(found) == 1}


def _course(line: _Line) -> Course:
    """Give the numbers of one layer over the checkpoints."""
    rows = [_numbers(layer) for layer in line.layers]
    first = next(layer for layer in line.layers if layer is not None)
    screes = [found for layer in line.layers if layer is not None and (found := _scree(layer))]
    return Course(
        name=first.name,
        tensor=first.tensor,
        role=first.role,
        shape=first.shape,
        N=first.N,
        M=first.M,
        matched_by=tuple(line.ways),
        value_hashes=tuple(None if layer is None else layer.value_hash for layer in line.layers),
        values={name: tuple(row.get(name) for row in rows) for name in TRACK_METRICS},
        phases=tuple(None if layer is None else layer.phase for layer in line.layers),
        verdicts=tuple(None if layer is None else _text((layer.trained or {}).get("verdict")) for layer in line.layers),
        reasons=tuple(None if layer is None else layer.reason for layer in line.layers),
        scree_first=screes[0] if screes else (),
        scree_last=screes[-1] if screes else (),
    )


def _numbers(layer: Layer | None) -> dict[str, float | None]:
    """Give the numbers of one layer in one checkpoint."""
    if layer is None or layer.status != "ok":
        return {}
    row: dict[str, float | None] = {name: _number(getattr(layer, name)) for name in PLAIN}
    low, high = layer.alpha_ci or (None, None)
    trained = layer.trained or {}
    row |= {
        "mp_softrank": _number((layer.mp or {}).get("mp_softrank")),
        "alpha_low": _number(low),
        "alpha_high": _number(high),
        "trained_p": _number(trained.get("p_adjusted", trained.get("p_value"))),
    }
    return row


def _number(value: Any) -> float | None:
    """Take a number of a saved report, which may be anything."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e300 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _scree(layer: Layer) -> tuple[float, ...]:
    """Give eigenvalues over their sum, descending: all of them, or the largest that the report keeps."""
    if layer.status != "ok" or not layer.trace or layer.trace <= 0.0:
        return ()
    kept = layer.evals or (layer.plot.top_evals if layer.plot is not None else ())
    shares = sorted((value / layer.trace for value in kept if 0.0 < value <= 1.001 * layer.trace), reverse=True)
    return tuple(float(f"{share:.6g}") for share in shares[:SCREE])


def _notes(courses: Sequence[Course], checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Say which layers never changed, which are not in every checkpoint, and which were found by place."""
    notes = []
    usable = [k for k, checkpoint in enumerate(checkpoints) if checkpoint.problem is None]
    still = [
        course.name
        for course in courses
        if len(usable) > 1
        and course.value_hashes[usable[0]] is not None
        and len({course.value_hashes[k] for k in usable}) == 1
    ]
    partly = [course.name for course in courses if any(course.matched_by[k] is None for k in usable)]
    placed = [course.name for course in courses if "place" in course.matched_by]
    for names, what in (
        (still, "never changed"),
        (partly, "not in every checkpoint"),
        (placed, "renamed; found again by size and place"),
    ):
        if names:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            notes.append(f"{what}: {shown}")
    return notes
