"""What the table and Markdown of a track say in the same words."""

from __future__ import annotations

from onnxspec.results.tracking import Course, Track, Transition

__all__ = ["cells", "change", "evidence", "heading", "places"]

HEADER = ("checkpoint", "entropy", "stable", "ratio", "softrank", "alpha", "spikes", "phase", "trained p")
MOST_ROWS = 12


def heading(course: Course) -> str:
    """Name a layer, its size, and how far it went."""
    size = f"{course.N} x {course.M}" if course.N and course.M else "x".join(map(str, course.shape))
    told = []
    for name, digits in (("entropy", 4), ("stable_rank", 1)):
        values = [value for value in course.values.get(name, ()) if value is not None]
        if len(values) > 1:
            told.append(f"{name} {values[0]:.{digits}f} to {values[-1]:.{digits}f}")
    return f"{course.name} ({size}){': ' if told else ''}{', '.join(told)}"


def places(track: Track, course: Course) -> list[int]:
    """Choose the checkpoints of a layer to show: the ends, both sides of its transitions, and some between."""
    there = [k for k, way in enumerate(course.matched_by) if way is not None]
    if len(there) <= MOST_ROWS:
        return there
    kept = {there[0], there[-1]}
    for transition in track.transitions:
        if transition.layer == course.name and len(kept) + 2 <= MOST_ROWS:
            kept |= {transition.before, transition.after}
    rest = [place for place in there if place not in kept]
    room = max(0, MOST_ROWS - len(kept))
    kept |= {rest[int((k + 0.5) * len(rest) / room)] for k in range(room)}
    return sorted(kept)


def cells(track: Track, course: Course, place: int) -> tuple[str, ...]:
    """Give one checkpoint of a layer as text, in the order of `HEADER`."""
    value = {name: values[place] for name, values in course.values.items()}
    return (
        track.checkpoints[place].label,
        _number(value.get("entropy"), 4),
        _number(value.get("stable_rank"), 1),
        _number(value.get("stable_rank_ratio"), 2),
        _number(value.get("mp_softrank"), 3),
        _number(value.get("alpha"), 2),
        _number(value.get("spikes"), 0),
        course.phases[place] or course.reasons[place] or "-",
        "-" if value.get("trained_p") is None else f"{value['trained_p']:.2g}",
    )


def change(track: Track, transition: Transition) -> str:
    """Say in one line what changed, and the numbers behind it."""
    labels = [track.checkpoints[k].label for k in (transition.before, transition.after)]
    ends = [_value(v) for v in (transition.from_value, transition.to_value)]
    told = evidence(transition)
    why = f" ({', '.join(told)})" if told else ""
    return f"{labels[0]} to {labels[1]}: {transition.layer}: {transition.kind} {ends[0]} to {ends[1]}{why}"


def evidence(transition: Transition) -> list[str]:
    """Give the numbers that a transition rests on."""
    told = []
    for name, value in transition.numbers.items():
        if name.endswith("_before"):
            stem = name.removesuffix("_before")
            told.append(f"{stem} {_value(value)} to {_value(transition.numbers[f'{stem}_after'])}")
        elif not name.endswith("_after"):
            told.append(f"{name} {value:+.2f}")
    return told


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
