"""Alpha by depth with its intervals: the correlation flow of a model."""

from __future__ import annotations

from collections.abc import Sequence

from onnxspec.report._plain import word
from onnxspec.report.numbers import interval
from onnxspec.report.svg.canvas import Scale, frame, svg, text
from onnxspec.report.svg.signs import use
from onnxspec.results import Layer

__all__ = ["alpha_by_depth"]

TOP = 12.0
LOWEST = 1.0
NARROW, WIDE = 520, 1180
HEIGHT = 340
BAND = (2.0, 6.0)
MAX_NAME = 48
LEFT = 36


def alpha_by_depth(layers: Sequence[Layer]) -> str | None:
    """Draw alpha of every fitted layer over its number in graph order.

    Parameters
    ----------
    layers : sequence of Layer
        All layers of a report. Those that the means leave out are hollow; an alpha above 12 stands at the upper
        edge with its value.

    Returns
    -------
    str or None
        SVG, or ``None`` where no layer has an alpha.
    """
    found = [(place + 1, layer, layer.alpha) for place, layer in enumerate(layers) if (layer.alpha or 0.0) > LOWEST]
    known = [(place, layer, alpha) for place, layer, alpha in found if alpha is not None]
    if not known:
        return None
    top = min(TOP, 1.08 * max(4.0, *(_reach(layer, alpha) for _, layer, alpha in known)))
    width = max(NARROW, min(WIDE, 80 + 26 * len(layers)), 60 + 7 * len(layers))
    x = Scale(0.4, len(layers) + 0.6, LEFT, width - 10)
    y = Scale(LOWEST, top, HEIGHT - 44, 34)
    low, high = (y(min(level, top)) for level in BAND)
    body = [
        f'<path class="band" d="M{x.start} {low}H{x.end}V{high}H{x.start}z"/>',
        frame(x, y, "layer, in graph order", "alpha", em=13, rows=6, columns=min(len(layers) + 1, width // 60)),
    ]
    body += [_point(x(place), y, layer, alpha, top, f"{place}") for place, layer, alpha in known]
    about = (
        f"{len(known)} layers with an alpha, from {min(a for *_, a in known):.2f} to {max(a for *_, a in known):.2f}."
    )
    return svg("Alpha by depth", about, "".join(body), width=width, height=HEIGHT, kind="flow")


def _reach(layer: Layer, alpha: float) -> float:
    """Give what the axis should reach for one layer."""
    return max(alpha, min(layer.alpha_ci[1], 2.0 * alpha)) if layer.alpha_ci else alpha


def _point(at: int, y: Scale, layer: Layer, alpha: float, top: float, place: str) -> str:
    """Draw the interval and the sign of one layer."""
    label = f"{place} {word(layer.name, MAX_NAME)}: alpha {alpha:.2f}"
    line = ""
    if layer.alpha_ci is not None:
        low, high = layer.alpha_ci
        label += f" ({interval((low, high))})"
        line = f'<path class="i" d="M{at} {y(max(min(low, alpha), LOWEST))}V{y(min(max(high, alpha), top))}"/>'
    label += f", {word(layer.phase)}" if layer.phase else ""
    mark = use(layer.phase, at, y(min(alpha, top)), label, "" if layer.averaged else "h")
    over = text(at, y(top) - 12, f"{alpha:.0f}", "n") if alpha > top else ""
    return line + mark + over
