"""The distribution of one metric over the layers of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from onnxspec.report.numbers import short
from onnxspec.report.svg.canvas import Scale, frame, steps, svg, vertical

__all__ = ["distribution"]

MOST_BINS = 24


def distribution(values: Sequence[float], name: str) -> str | None:
    """Draw a histogram of one metric, with its median and its mean.

    Parameters
    ----------
    values : sequence of float
        Finite numbers, one a layer.
    name : str
        Of the metric.

    Returns
    -------
    str or None
        SVG, or ``None`` without values.
    """
    if not values:
        return None
    low, high = min(values), max(values)
    if not math.isfinite(high - low):
        return None
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        pad = max(abs(low), 1.0) * 0.05
        low, high = low - pad, high + pad
    bins = min(MOST_BINS, max(5, math.ceil(1.5 * math.sqrt(len(values)))))
    width = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int((value - low) / width)))] += 1
    x = Scale.across(low - 0.5 * width, high + 0.5 * width)
    top = max(counts)
    y = Scale.up(0.0, top * 1.1)
    middle, mean = median(values), fmean(values)
    body = [
        frame(x, y, name, "layers", rows=min(4, max(2, top))),
        steps(x, y, [low + k * width for k in range(bins + 1)], [float(count) for count in counts]),
        vertical(x, y, [middle], "x"),
        vertical(x, y, [mean], "o"),
    ]
    about = f"{len(values)} layers, median {short(middle, 3)}, mean {short(mean, 3)}."
    return svg(f"Distribution of {name}", about, "".join(body))
