"""A track as plain text of 80 columns: one block a layer, then what changed."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from onnxspec.report._plain import plain, shortened
from onnxspec.report.track_words import HEADER, cells, change, heading, places
from onnxspec.results.tracking import Track

__all__ = ["render"]

WIDTH = 80
WIDTHS = (11, 7, 7, 5, 8, 6, 6, 13, 9)
LEFT = {0, 7}
MOST_LAYERS, MOST_CHANGES, MOST_PROBLEMS = 100, 40, 20


def render(track: Track) -> str:
    """Give the track as plain text."""
    return "\n".join(_lines(track)) + "\n"


def _lines(track: Track) -> Iterator[str]:
    usable = sum(checkpoint.problem is None for checkpoint in track.checkpoints)
    number = f"{usable} of {len(track.checkpoints)}" if usable < len(track.checkpoints) else f"{usable}"
    start = f"{track.source}: " if track.source else ""
    yield from _wrapped(f"{start}{number} checkpoints, {len(track.layers)} layers")
    for course in track.layers[:MOST_LAYERS]:
        yield ""
        yield shortened(plain(heading(course)), WIDTH)
        yield _row(HEADER)
        shown = places(track, course)
        yield from (_row(cells(track, course, place)) for place in shown)
        there = sum(way is not None for way in course.matched_by)
        if len(shown) < there:
            yield f"{len(shown)} of {there} checkpoints shown; -f csv has all"
    if len(track.layers) > MOST_LAYERS:
        yield ""
        yield f"{len(track.layers) - MOST_LAYERS} more layers; -f csv has all"
    yield ""
    if not track.transitions:
        yield "Transitions: none of phase, trained verdict, first spikes, rank or scale"
    else:
        yield "Transitions"
    for transition in track.transitions[:MOST_CHANGES]:
        yield from _wrapped(f"- {change(track, transition)}", "  ")
    if len(track.transitions) > MOST_CHANGES:
        yield f"- and {len(track.transitions) - MOST_CHANGES} more; -f json lists them all"
    problems = [checkpoint.problem for checkpoint in track.checkpoints if checkpoint.problem is not None]
    notes = [*track.notes, *problems]
    if notes:
        yield ""
    for note in notes[:MOST_PROBLEMS]:
        yield from _wrapped(f"- {note}", "  ")
    if len(notes) > MOST_PROBLEMS:
        yield f"- and {len(notes) - MOST_PROBLEMS} more notes; -f json lists them all"


def _row(texts: tuple[str, ...]) -> str:
    """Give one line of a block."""
    parts = [shortened(plain(text), width) for text, width in zip(texts, WIDTHS)]
    padded = [
        f"{part:<{width}}" if k in LEFT else f"{part:>{width}}" for k, (part, width) in enumerate(zip(parts, WIDTHS))
    ]
    return " ".join(padded).rstrip()


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrap(plain(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False)
