"""A track as Markdown: what changed, and one table a layer."""

from __future__ import annotations

from collections.abc import Iterator

from onnxspec.report.markdown import code
from onnxspec.report.track_words import HEADER, cells, change, heading, places
from onnxspec.results.tracking import Track

__all__ = ["render"]

MOST_LAYERS, MOST_CHANGES = 50, 100


def render(track: Track) -> str:
    """Give the track as GitHub-flavoured Markdown."""
    return "\n".join(_lines(track)) + "\n"


def _lines(track: Track) -> Iterator[str]:
    yield f"## Layers over checkpoints{f': {code(track.source)}' if track.source else ''}"
    yield ""
    yield f"{len(track.checkpoints)} checkpoints, {len(track.layers)} layers."
    yield ""
    yield "### Transitions"
    yield ""
    if not track.transitions:
        yield "None of phase, trained verdict, first spikes, rank or scale."
    yield from (f"- {code(change(track, transition), 400)}" for transition in track.transitions[:MOST_CHANGES])
    if len(track.transitions) > MOST_CHANGES:
        yield f"- and {len(track.transitions) - MOST_CHANGES} more in the JSON"
    for course in track.layers[:MOST_LAYERS]:
        yield ""
        yield f"### {code(heading(course), 200)}"
        yield ""
        yield f"| {' | '.join(HEADER)} |"
        yield "|:--|--:|--:|--:|--:|--:|--:|:--|--:|"
        for place in places(track, course):
            label, *numbers, phase, p = cells(track, course, place)
            yield f"| {' | '.join((code(label), *numbers, code(phase) if phase != '-' else '', p))} |"
    if len(track.layers) > MOST_LAYERS:
        yield ""
        yield f"{len(track.layers) - MOST_LAYERS} more layers are in the JSON."
    problems = [checkpoint.problem for checkpoint in track.checkpoints if checkpoint.problem is not None]
    for note in (*track.notes, *problems):
        yield ""
        yield f"- {code(note, 400)}"
