"""The shape of a spectrum in the height of a line of text."""

from __future__ import annotations

import math

from onnxspec.results import Layer
from onnxspec.results.drawable import histogram_of

__all__ = ["sparkline"]

BARS, WIDTH, HEIGHT = 16, 64, 16


def sparkline(layer: Layer) -> str:
    """Draw the histogram of the logarithms of the eigenvalues, heights on a log scale; empty without a spectrum."""
    shape = histogram_of(layer)
    if shape is None:
        return ""
    each = max(1, len(shape.counts) // BARS)
    bars = [sum(shape.counts[k : k + each]) for k in range(0, len(shape.counts), each)]
    top = math.log1p(max(bars))
    step = max(1, WIDTH // len(bars))
    path, level = [f"M0 {HEIGHT}"], 0
    for bar in bars:
        height = max(round(HEIGHT * math.log1p(bar) / top), 1 if bar else 0)
        path.append((f"v{level - height}" if height != level else "") + f"h{step}")
        level = height
    return (
        f'<svg class="p" aria-hidden="true" viewBox="0 0 {step * len(bars)} {HEIGHT}">'
        f'<path d="{"".join(path)}V{HEIGHT}z"/></svg>'
    )
