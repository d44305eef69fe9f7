"""A track as one self-contained HTML page: transitions, lines over time, phase strips, and every layer in numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from onnxspec.report._plain import word
from onnxspec.report.glossary import Glossary
from onnxspec.report.numbers import MISSING, counted, fixed, short
from onnxspec.report.numbers import value as value_text
from onnxspec.report.page import MAX_NAME, chart, fill, markup, signs
from onnxspec.report.svg.courses import Line, courses, phase_strips
from onnxspec.report.svg.scatter import SIGNS, group_styles, group_symbols
from onnxspec.report.track_words import change, evidence, heading
from onnxspec.results.tracking import Course, Track, Transition

__all__ = ["render"]

DRAWN = ("entropy", "stable_rank", "mp_softrank", "alpha", "spikes")
SHOWN = (
    *(("entropy", 4), ("stable_rank", 1), ("stable_rank_ratio", 2), ("mp_softrank", 3), ("alpha", 2)),
    *(("spikes", 0), ("log_norm", 3), ("rank_loss", 0)),
)
"""Numbers of the tables, each with its decimals."""

TOGETHER = len(SIGNS)
"""Layers that one chart tells apart; of more the first stand in it, and each has charts of its own."""

MOST_TOLD, MOST_CHANGES, MOST_ROWS, MOST_LAYERS, MOST_STRIPS = 20, 500, 200, 1000, 60


def render(track: Track) -> str:
    """Give the track as HTML; the same track gives the same bytes.

    Parameters
    ----------
    track : Track
        Of any source; names in it may be anything.

    Returns
    -------
    str
    """
    labels = [checkpoint.label for checkpoint in track.checkpoints]
    together = [course for course in track.layers if any(_has(course, name) for name in DRAWN)][:TOGETHER]
    phases = [phase for course in track.layers for phase in course.phases]
    strips = phase_strips([(course.name, course.phases) for course in track.layers[:MOST_STRIPS]], labels)
    shown = signs(phases)
    changes: dict[str, list[Transition]] = defaultdict(list)
    for transition in track.transitions:
        changes[transition.layer].append(transition)
    count = max(len(together), 1)
    return fill(
        "track.html",
        title=word(PurePath(track.source.replace("\\", "/")).name or f"{len(labels)} checkpoints", MAX_NAME),
        track=track,
        headline=_headline(track),
        sentences=[f"{heading(course)}." for course in track.layers[:TOGETHER]],
        notes=[*track.notes, *(c.problem for c in track.checkpoints if c.problem is not None)],
        transitions=[_transition(track, t) for t in track.transitions[:MOST_CHANGES]],
        left=len(track.transitions) - MOST_CHANGES,
        together=[(course.name, f"g{k}") for k, course in enumerate(together)],
        charts=_charts(together, labels),
        strips=None if strips is None else chart(strips),
        phases=sorted({phase for phase in phases if phase}),
        layers=[
            _layer(track, course, labels, k, changes[course.name])
            for k, course in enumerate(track.layers[:MOST_LAYERS])
        ],
        more_layers=len(track.layers) - MOST_LAYERS,
        columns=[name for name, _ in SHOWN],
        most_rows=MOST_ROWS,
        glossary=Glossary(),
        style=f"{shown['style']}{group_styles(count)}",
        symbols=markup(f"{shown['symbols']}{group_symbols(count)}"),
    )


def _headline(track: Track) -> str:
    """Say in one sentence what was followed, and how much changed."""
    usable = sum(checkpoint.problem is None for checkpoint in track.checkpoints)
    of = f" of {len(track.checkpoints)}" if usable < len(track.checkpoints) else ""
    changed = len(track.transitions)
    told = "no transition" if not changed else counted(changed, "transition")
    return f"{usable}{of} {'checkpoint' if len(track.checkpoints) == 1 else 'checkpoints'}, " + (
        f"{counted(len(track.layers), 'layer')}, {told}."
    )


def _has(course: Course, name: str) -> bool:
    return any(value is not None for value in course.values.get(name, ()))


def _charts(courses_: list[Course], labels: list[str]) -> list[tuple[str, Any]]:
    """Give the charts of several layers together, one a metric."""
    drawn = []
    for name in DRAWN:
        lines = [Line(c.name, c.values.get(name, ()), k) for k, c in enumerate(courses_) if _has(c, name)]
        found = courses(lines, labels, name) if lines else None
        if found is not None:
            drawn.append((name, chart(found)))
    return drawn


def _layer(
    track: Track, course: Course, labels: list[str], number: int, changes: Sequence[Transition]
) -> dict[str, Any]:
    """Give the charts and the table of one layer."""
    places = [k for k, way in enumerate(course.matched_by) if way is not None]
    sign = number if number < TOGETHER else 0
    drawn = []
    for name in DRAWN:
        found = courses([Line(course.name, course.values.get(name, ()), sign)], labels, name)
        if found is not None and len(track.layers) > 1:
            drawn.append((name, chart(found)))
    return {
        "course": course,
        "heading": heading(course),
        "charts": drawn,
        "ways": sorted({way for way in course.matched_by if way not in (None, "first")}),
        "changes": [change(track, t) for t in changes[:MOST_TOLD]],
        "number": len(changes),
        "rows": [_row(track, course, place) for place in places[:MOST_ROWS]],
        "left": len(places) - MOST_ROWS,
    }


def _row(track: Track, course: Course, place: int) -> dict[str, Any]:
    """Give the cells of one checkpoint of a layer."""
    cells = [fixed(course.values[name][place], digits) if name in course.values else MISSING for name, digits in SHOWN]
    p = course.values.get("trained_p", ())
    return {
        "label": track.checkpoints[place].label,
        "cells": cells,
        "phase": course.phases[place],
        "reason": course.reasons[place],
        "verdict": course.verdicts[place],
        "p": short(p[place], 2) if p else MISSING,
    }


def _transition(track: Track, transition: Transition) -> dict[str, Any]:
    """Give one transition as the table shows it."""
    ends = [v if isinstance(v, str) else value_text(v) for v in (transition.from_value, transition.to_value)]
    labels = [track.checkpoints[k].label for k in (transition.before, transition.after)]
    return {"transition": transition, "labels": labels, "ends": ends, "numbers": ", ".join(evidence(transition))}
