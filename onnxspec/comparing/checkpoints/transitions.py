"""What changed in a layer between two checkpoints, with the numbers that say so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log10
from statistics import median

from onnxspec.results.tracking import Course, Transition

__all__ = ["DECADE", "transitions"]

DECADE = 1.0
"""Jump of log10 lambda_max, beyond the median layer's, that counts as a scale jump."""
RANK_SHARE = 0.01
"""Share of the rank whose loss counts: the smallest singular value of a square matrix may vanish by chance."""
PHASE_NUMBERS = ("entropy", "stable_rank", "mp_softrank", "alpha", "spikes")
FEWEST_LAYERS = 3


def transitions(courses: Sequence[Course]) -> list[Transition]:
    """List the transitions of all layers, in the order of the checkpoints.

    Parameters
    ----------
    courses : sequence of Course
        Layers over the checkpoints.

    Returns
    -------
    list of Transition
        ``phase``: another phase, ``undecided`` aside. ``trained``: told from noise, or not any longer.
        ``spikes``: the first eigenvalues beyond the bulk. ``rank_loss``: more than 1 % of the rank is
        lost. ``scale_jump``: lambda_max changes by more than a decade beyond what the median layer
        does in the same step (of three layers or more), the scale collapse of arXiv 2002.06716.
    """
    found: list[Transition] = []
    for course in courses:
        found += _phases(course)
        found += _verdicts(course)
        found += _first(course, "spikes", 0.0)
        found += _first(course, "rank_loss", RANK_SHARE * (course.M or 0))
    found += _jumps(courses)
    return sorted(found, key=lambda one: (one.after, one.before))


def _steps(values: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Give the places of neighbouring values that exist."""
    there = [k for k, value in enumerate(values) if value is not None]
    yield from pairwise(there)


def _phases(course: Course) -> Iterator[Transition]:
    phases = [None if phase == "undecided" else phase for phase in course.phases]
    for before, after in _steps(phases):
        old, new = phases[before], phases[after]
        if old is not None and new is not None and old != new:
            numbers = _before_and_after(course, PHASE_NUMBERS, before, after)
            yield Transition(course.name, "phase", before, after, old, new, numbers)


def _verdicts(course: Course) -> Iterator[Transition]:
    for before, after in _steps(course.verdicts):
        old, new = course.verdicts[before], course.verdicts[after]
        if old is not None and new is not None and old != new:
            numbers = _before_and_after(course, ("trained_p",), before, after)
            yield Transition(course.name, "trained", before, after, old, new, numbers)


def _first(course: Course, name: str, floor: float) -> Iterator[Transition]:
    """Give the steps from `floor` or below to above it."""
    values = course.values.get(name, ())
    for before, after in _steps(values):
        old, new = values[before], values[after]
        if old is not None and new is not None and old <= floor < new:
            yield Transition(course.name, name, before, after, old, new)


def _before_and_after(course: Course, names: Sequence[str], before: int, after: int) -> dict[str, float]:
    """Give numbers at both ends, where both exist."""
    numbers: dict[str, float] = {}
    for name in names:
        values = course.values.get(name, ())
        ends = (values[before], values[after]) if values else (None, None)
        if ends[0] is not None and ends[1] is not None:
            numbers |= {f"{name}_before": ends[0], f"{name}_after": ends[1]}
    return numbers


def _jumps(courses: Sequence[Course]) -> Iterator[Transition]:
    """Give the steps of lambda_max that leave those of the other layers behind."""
    by_step: dict[tuple[int, int], list[tuple[Course, float]]] = {}
    for course in courses:
        values = [value if value is not None and value > 0.0 else None for value in course.values["lambda_max"]]
        for before, after in _steps(values):
            old, new = values[before], values[after]
            if old is not None and new is not None:
                by_step.setdefault((before, after), []).append((course, log10(new) - log10(old)))
    for (before, after), steps in by_step.items():
        usual = median(step for _, step in steps) if len(steps) >= FEWEST_LAYERS else 0.0
        for course, step in steps:
            if abs(step - usual) > DECADE:
                old, new = course.values["lambda_max"][before], course.values["lambda_max"][after]
                if old is not None and new is not None:
                    numbers = {"decades": step, "median_layer": usual}
                    yield Transition(course.name, "scale_jump", before, after, old, new, numbers)
