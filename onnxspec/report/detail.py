"""One layer in full, for the terminal: its spectrum as a chart, and every number or why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from onnxspec.report._plain import plain
from onnxspec.results import Layer
from onnxspec.results.codec import encode

__all__ = ["chart", "detail_lines"]

ROWS = 6
BLOCKS = " ▁▂▃▄▅▆▇█"
HIDDEN = frozenset({"plot", "evals", "slices", "reasons", "warnings", "id", "name", "status", "reason"})
LONGEST = 6
"""Entries of a list that are shown."""


def detail_lines(layer: Layer) -> list[str]:
    """Give a layer as lines of text.

    Parameters
    ----------
    layer : Layer
        Any; names in it are made printable.

    Returns
    -------
    list of str
        Name and status, the chart, one line a field: nested fields follow indented, and
        what is missing stands with its reason.
    """
    lines = [plain(layer.name), f"  {layer.status}{f': {layer.reason}' if layer.reason else ''}"]
    lines += [f"  {plain(text)}" for text in layer.warnings]
    lines += chart(layer)
    for f in fields(Layer):
        if f.name not in HIDDEN:
            lines += _field(layer, f.name)
    return lines


def chart(layer: Layer) -> list[str]:
    """Draw the histogram of log10 eigenvalues, heights on a log scale, with xmin marked below."""
    plot = layer.plot
    if plot is None or not plot.esd_counts or plot.esd_min is None or plot.esd_max is None:
        return []
    top = math.log1p(max(plot.esd_counts))
    heights = [round(8 * ROWS * math.log1p(count) / top) if top else 0 for count in plot.esd_counts]
    lines = ["", f"  log-log ESD, {sum(plot.esd_counts)} eigenvalues of X"]
    for row in reversed(range(ROWS)):
        cells = "".join(BLOCKS[min(max(height - 8 * row, 0), 8)] for height in heights)
        lines.append(f"  {cells}")
    ends = f"{10**plot.esd_min:.3g}", f"{10**plot.esd_max:.3g}"
    lines.append(f"  {ends[0]}{ends[1]:>{max(1, len(heights) - len(ends[0]))}}")
    if layer.xmin is not None and layer.xmin > 0.0 and plot.esd_max > plot.esd_min:
        place = (math.log10(layer.xmin) - plot.esd_min) / (plot.esd_max - plot.esd_min) * len(heights)
        lines.append(f"  {'^':>{min(max(int(place), 0), len(heights) - 1) + 1}} xmin, the start of the tail")
    return [*lines, ""]


def _field(layer: Layer, name: str) -> Iterator[str]:
    value = encode(getattr(layer, name))
    if value is None:
        reason = layer.reasons.get(name)
        if reason is not None:
            yield f"  {name:<22} - ({reason})"
    elif isinstance(value, Mapping):
        yield f"  {name}"
        for key, part in value.items():
            if part is not None:
                yield f"    {plain(str(key)):<20} {_shown(part)}"
    elif value not in ([], ""):
        yield f"  {name:<22} {_shown(value)}"


def _shown(value: Any) -> str:
    """Write a value on one line, floats with six digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(str(key))} {_shown(part)}" for key, part in value.items() if part is not None)
    if isinstance(value, Sequence) and not isinstance(value, str):
        rest = f" and {len(value) - LONGEST} more" if len(value) > LONGEST else ""
        opened, closed = ("(", ")") if any(isinstance(part, Mapping) for part in value) else ("", "")
        return ", ".join(f"{opened}{_shown(part)}{closed}" for part in value[:LONGEST]) + rest
    return plain(str(value))
