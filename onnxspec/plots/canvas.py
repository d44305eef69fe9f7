"""What all figures share: the canvas, the colours, text from untrusted names, and files with fixed bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "PALETTE", "figure_of", "image", "legend", "log_axis", "plain", "save", "short"]

FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's colours, which colour-blind readers tell apart
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")

DPI = 150

_WITHOUT_CLOCK: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def figure_of(width: float, height: float) -> Figure:
    """Give an empty figure of a size in inches, unknown to pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def image(figure: Figure, kind: str = "png") -> bytes:
    """Give a figure as a file's bytes, without date or version: equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    kind : {"png", "svg", "pdf"}
        Format.

    Returns
    -------
    bytes

    Raises
    ------
    UsageError
        The format is unknown.

    Notes
    -----
    matplotlib's settings for SVG are changed while this runs and restored, so two
    threads should not write figures at the same time.
    """
    import matplotlib

    if kind not in FORMATS:
        raise UsageError(f"the format is {kind[:20]!r}; it must be one of {', '.join(FORMATS)}.")
    out = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "onnxspec", "svg.fonttype": "path"}):
        figure.savefig(out, format=kind, dpi=DPI, metadata=_WITHOUT_CLOCK[kind])
    return out.getvalue()


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure to a file, in the format of its ending (`image`).

    Raises
    ------
    UsageError
        The ending is no known format, or the file cannot be written.
    """
    target = Path(path)
    data = image(figure, target.suffix.lower().removeprefix("."))
    try:
        target.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror or error}.") from None


def legend(axes: Axes, loc: str = "best", notes: Sequence[str] = ()) -> None:
    """Add a small legend, under its notes, where there is something to say."""
    handles, labels = axes.get_legend_handles_labels()
    if notes and not handles:
        where: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top", "fontsize": "x-small"}
        axes.text(0.98, 0.97, "\n".join(notes), **where)
    elif handles:
        style: dict[str, Any] = {"fontsize": "x-small", "title_fontsize": "x-small", "framealpha": 0.85}
        axes.legend(handles, labels, loc=loc, title="\n".join(notes) or None, **style).set_alignment("left")  # type: ignore[call-overload]


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Make an axis logarithmic from low to high, with labels that do not run into each other."""
    from matplotlib import ticker

    name = "x" if axis is axis.axes.xaxis else "y"
    axis.axes.set(**{f"{name}scale": "log", f"{name}lim": (low, high)})
    decades = math.log10(high / low)
    if decades > 3.0:
        axis.set_major_locator(ticker.LogLocator(numticks=7))
        return
    steps = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if decades < 0.9 else (1.0, 2.0, 5.0) if decades < 2.0 else (1.0, 3.0)
    axis.set_major_locator(ticker.LogLocator(subs=steps, numticks=50))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: short(value, 2)))
    axis.set_minor_locator(ticker.NullLocator())


def plain(text: str, width: int = 60) -> str:
    """Give a name that can be drawn: one line, shortened in its middle, no markup, no glyph that the font lacks."""
    shown = "".join(c if c.isprintable() and _has_glyph(c) else "?" for c in text)
    if len(shown) > width:
        shown = f"{shown[: width // 2 - 1]}…{shown[-(width - width // 2) :]}"
    return shown.replace("$", r"\$")


def short(value: float | None, digits: int = 3) -> str:
    """Give a number in a few digits."""
    if value is None or not math.isfinite(value):
        return "-"
    if 1.0 <= abs(value) < 1e5:
        return f"{float(f'{value:.{digits}g}'):g}"
    mantissa, e, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


@lru_cache(maxsize=1)
def _font() -> Any:
    """Give the font that text is drawn with."""
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))


def _has_glyph(character: str) -> bool:
    return bool(_font().get_char_index(ord(character)))
