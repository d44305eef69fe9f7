"""Signs of the phases: a shape and a colour each, defined once in a page and used by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from onnxspec.palette import NO_PHASE, PHASES, Marker, Sign
from onnxspec.report.svg.canvas import axis_names

__all__ = ["NONE", "key", "name_of", "styles", "symbols", "use"]

NONE = "none"

SHAPES: dict[Marker, str] = {
    "circle": "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0z",
    "square": "M-6-6h12v12h-12z",
    "triangle_up": "M0-8l8 14h-16z",
    "diamond": "M0-8.5l8 8.5l-8 8.5l-8-8.5z",
    "triangle_down": "M0 8l8-14h-16z",
    "cross": "M-7-4l3-3l4 4l4-4l3 3l-4 4l4 4l-3 3l-4-4l-4 4l-3-3l4-4z",
    "plus": "M-2.5-8h5v5.5h5.5v5h-5.5v5.5h-5v-5.5h-5.5v-5h5.5z",
    "star": "M0-9l2.4 6h6.2l-5 3.9l1.9 6.3l-5.5-3.8l-5.5 3.8l1.9-6.3l-5-3.9h6.2z",
    "dot": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
}


def name_of(phase: str | None) -> str:
    """Give the name under which the sign of a phase is known in the page; a strange phase has the sign of none."""
    return phase if phase in PHASES else NONE


def symbols(phases: Iterable[str | None]) -> str:
    """Define the signs of some phases and the names of axes, in an element that is not shown."""
    found = _signs(phases)
    paths = "".join(f'<path id="s-{name}" class="s-{name}" d="{SHAPES[sign.marker]}"/>' for name, sign in found)
    return f'<svg class="defs" aria-hidden="true" width="0" height="0"><defs>{paths}{axis_names()}</defs></svg>'


def use(phase: str | None, x: int, y: int, label: str, kind: str = "") -> str:
    """Draw a sign at a place, with a label that the pointer shows."""
    style = f' class="{kind}"' if kind else ""
    return f'<use href="#s-{name_of(phase)}" x="{x}" y="{y}"{style}><title>{escape(label, quote=False)}</title></use>'


def key(phase: str | None) -> str:
    """Draw a sign for a line of text."""
    return f"<i class=k-{name_of(phase)}></i>"


def styles(phases: Iterable[str | None], *, dark: bool) -> str:
    """Give the rules of a style sheet that colour the signs, and on a light ground also those that shape them."""
    found = _signs(phases)
    rules = [f".s-{name},.k-{name}{{--c:{sign.dark if dark else sign.light}}}" for name, sign in found]
    if not dark:
        rules += [f'.k-{name}::before{{clip-path:path("{_shifted(SHAPES[sign.marker])}")}}' for name, sign in found]
    return "".join(rules)


def _shifted(path: str) -> str:
    """Move a path around the origin into a box of 18 by 18."""
    start = re.match(r"M(-?[\d.]+) ?(-?[\d.]+)", path)
    if start is None:
        raise ValueError("a sign begins with its starting point")
    return f"M{float(start[1]) + 9:g} {float(start[2]) + 9:g}{path[start.end() :]}"


def _signs(phases: Iterable[str | None]) -> list[tuple[str, Sign]]:
    """Give the signs of some phases, in the order of the palette."""
    wanted = {name_of(phase) for phase in phases}
    return [(name, sign) for name, sign in (*PHASES.items(), (NONE, NO_PHASE)) if name in wanted]
