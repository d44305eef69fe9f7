"""The verdict of a report in plain English, with the numbers that led to it; every format says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnxspec.report._plain import plain
from onnxspec.report.numbers import counted
from onnxspec.results import Layer, Report

__all__ = ["Verdict", "verdict"]

Quote = Callable[[str], str]
"""Makes text that comes from a file harmless in a format."""

NAMED = 3
"""Layers that are named; of more only the count is given."""

LOW, HIGH = 2.0, 6.0
"""Where WeightWatcher's informal reading of alpha changes."""


@dataclass(frozen=True)
class Verdict:
    """What a report says of a model.

    Attributes
    ----------
    headline : str
        One sentence: how many layers are told from noise.
    details : tuple of str
        One sentence each: alpha against 2 and 6 with its intervals, phases, what is missing.
    """

    headline: str
    details: tuple[str, ...] = ()


def verdict(report: Report, quote: Quote = plain) -> Verdict | None:
    """Say in plain English what a report found.

    Parameters
    ----------
    report : Report
        Of `analyze`, or a saved one.
    quote : callable
        Makes a layer's name, which comes from the file, harmless in the format.

    Returns
    -------
    Verdict or None
        ``None`` for a report of `inspect`, which computes no numbers.
    """
    if not report.settings:
        return None
    analysed = [layer for layer in report.layers if layer.status == "ok"]
    if not analysed:
        return Verdict("none: no layer was analysed.", tuple(_missing(report, quote)))
    details = [*_alpha(analysed), *_phases(analysed, quote), *_missing(report, quote)]
    return Verdict(_headline(report, analysed, quote), tuple(details))


def _headline(report: Report, analysed: Sequence[Layer], quote: Quote) -> str:
    """Count the layers that are told from noise."""
    tested = {quote(layer.name): str(v) for layer in analysed if layer.trained and (v := layer.trained.get("verdict"))}
    if not tested:
        if report.settings.get("effort") == "fast":
            return "none on training: --effort fast does not test for noise."
        return "none on training: no layer could be tested for noise."
    noise = [name for name, value in tested.items() if value == "noise"]
    isometric = [name for name, value in tested.items() if value == "isometric"]
    told = len(tested) - len(noise) - len(isometric)
    if not noise and not isometric:
        return f"{_all(len(tested))} told from noise of its own entries."
    parts = [f"{told} of {counted(len(tested), 'tested layer')} told from noise"]
    if noise:
        parts.append(f"{len(noise)} not{_named(noise)}")
    if isometric:
        parts.append(f"{len(isometric)} isometric, as orthogonal initialisation is{_named(isometric)}")
    start = "most layers look like noise: " if 2 * len(noise) > len(tested) else ""
    return f"{start}{', '.join(parts)}."


def _alpha(analysed: Sequence[Layer]) -> list[str]:
    """Say where the exponents lie, by their whole intervals."""
    fitted = [layer for layer in analysed if layer.alpha is not None and layer.averaged]
    if not fitted:
        return ["alpha: no layer that is averaged has a power-law fit"]
    exponents = sorted(layer.alpha for layer in fitted if layer.alpha is not None)
    half = len(exponents) // 2
    median = exponents[half] if len(exponents) % 2 else 0.5 * (exponents[half - 1] + exponents[half])
    text = f"alpha: median {median:.2f} over {counted(len(fitted), 'fitted layer')}"
    intervals = [(min(layer.alpha_ci), max(layer.alpha_ci)) for layer in fitted if layer.alpha_ci is not None]
    if not intervals:
        return [text]
    places = Counter(_place(*interval) for interval in intervals)
    order = (f"below {LOW:g}", f"from {LOW:g} to {HIGH:g}", f"above {HIGH:g}", f"across {LOW:g} or {HIGH:g}")
    found = ", ".join(f"{place} in {places[place]}" for place in order if places[place])
    return [f"{text}; 95 % intervals {found}"]


def _place(low: float, high: float) -> str:
    """Name the range that holds a whole interval."""
    if high < LOW:
        return f"below {LOW:g}"
    if low > HIGH:
        return f"above {HIGH:g}"
    return f"from {LOW:g} to {HIGH:g}" if low >= LOW and high <= HIGH else f"across {LOW:g} or {HIGH:g}"


def _phases(analysed: Sequence[Layer], quote: Quote) -> list[str]:
    counts = Counter(layer.phase for layer in analysed if layer.phase is not None)
    return [f"phases: {_counted(counts, quote)}"] if counts else []


def _missing(report: Report, quote: Quote) -> list[str]:
    """Say what has no fit and what failed, and why."""
    without = Counter(x.reason for x in report.layers if x.status == "ok" and x.reason is not None)
    failed = Counter(x.reason for x in report.layers if x.status == "failed" and x.reason is not None)
    left = Counter(x.reason for x in report.layers if x.status == "skipped" and x.reason is not None)
    return [
        f"{label}: {_counted(counts, quote)}"
        for label, counts in (("norms only", without), ("failed", failed), ("left out", left))
        if counts
    ]


def _counted(counts: Counter[str], quote: Quote) -> str:
    return ", ".join(f"{quote(name)} {n}" for name, n in counts.most_common())


def _all(number: int) -> str:
    return "the one tested layer is" if number == 1 else f"each of the {number} tested layers is"


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if len(names) <= NAMED else ""
