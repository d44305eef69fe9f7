"""What a notebook shows of a report: coverage, verdict and a table that fits under a cell."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from onnxspec.report._plain import plain, shortened
from onnxspec.report.verdict import verdict
from onnxspec.results import Layer, Report

__all__ = ["render"]

MOST = 60
_HEAD = ("layer", "role", "N x M", "alpha", "95 %", "tail", "stable rank", "phase", "trained")
_CELL = "padding:2px 8px;text-align:{};white-space:nowrap"
_RIGHT = frozenset({"alpha", "95 %", "tail", "stable rank"})


def render(report: Report) -> str:
    """Give a report as an HTML fragment without scripts, styles of its own or links.

    Parameters
    ----------
    report : Report
        Any; everything that comes from the file is escaped.

    Returns
    -------
    str
        At most 60 layers; it says how many there are.
    """
    coverage = report.coverage
    parts = [
        f"<strong>{_safe(report.model.path)}</strong>",
        f"Coverage: {coverage.slots_analyzed} of {coverage.slots} weight slots, "
        f"{coverage.parameters_analyzed:,} of {coverage.parameters_total:,} parameters analysed",
    ]
    found = verdict(report, _safe)
    if found is not None:
        parts.append(f"Verdict: {found.headline}")
        parts += list(found.details)
    lines = "".join(f"<div>{part}</div>" for part in parts)
    head = "".join(f'<th scope="col" style="{_style(name)}">{name}</th>' for name in _HEAD)
    rows = "".join(_row(layer) for layer in report.layers[:MOST])
    rest = len(report.layers) - MOST
    more = f"<div>and {rest} more layers; report.to_frame() has them all</div>" if rest > 0 else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    return f"<div>{lines}{table}{more}</div>"


def _row(layer: Layer) -> str:
    interval = "" if layer.alpha_ci is None else f"{layer.alpha_ci[0]:.2f} to {layer.alpha_ci[1]:.2f}"
    shape = "x".join(map(str, layer.shape if layer.N is None else (layer.N, layer.M)))
    missing = layer.reason or ""
    values = (
        shortened(layer.name, 60),
        layer.role,
        shape,
        missing if layer.alpha is None else f"{layer.alpha:.3f}",
        interval,
        "" if layer.n_tail is None else str(layer.n_tail),
        "" if layer.stable_rank is None else f"{layer.stable_rank:.2f}",
        layer.phase or layer.reasons.get("phase", ""),
        str((layer.trained or {}).get("verdict") or ""),
    )
    return f"<tr>{''.join(_cells(values))}</tr>"


def _cells(values: Iterable[str]) -> Iterable[str]:
    for name, value in zip(_HEAD, values):
        yield f'<td style="{_style(name)}">{_safe(value)}</td>'


def _style(name: str) -> str:
    return _CELL.format("right" if name in _RIGHT else "left")


def _safe(text: str) -> str:
    return escape(plain(text))
