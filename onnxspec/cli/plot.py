"""``onnxspec plot``: figures of a model or of a saved report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxspec.cli.exit_codes import ExitCode, worst
from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxspec.results import Layer, Report

__all__ = ["plot"]

KINDS = ("sheet", "esd", "esd_linear", "scree", "ks_curve", "hill")


def plot(
    source: Annotated[
        str, typer.Argument(metavar="MODEL|REPORT.json", help="A model, or a report that analyze saved as *.json.")
    ],
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="GLOB", help="Only layers of this id, name or tensor.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="STEM", help="Start of the file names (default: SOURCE's).")
    ] = None,
    format_name: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="png, svg or pdf.")] = "png",
    kind: Annotated[
        str, typer.Option(help="One figure a layer: sheet (all four), esd, esd_linear, scree, ks_curve, hill.")
    ] = "sheet",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Draw the spectra and fits of layers, and alpha by depth (left out with --layer)."""
    from onnxspec import plots
    from onnxspec.cli.output import note

    if kind not in KINDS:
        raise UsageError(f"--kind is {kind[:20]!r}; it must be one of {', '.join(KINDS)}.")
    if format_name not in plots.FORMATS:
        raise UsageError(f"--format is {format_name[:20]!r}; it must be one of {', '.join(plots.FORMATS)}.")
    reports, codes = _reports(source, layer, quiet=quiet)
    for place, report in enumerate(reports):
        stem = (output or _stem(source)) + (f"-{place + 1}" if len(reports) > 1 else "")
        written = 0
        for ending, figure in _figures(report, layer, kind):
            path = f"{stem}-{ending}.{format_name}"
            plots.save(figure, path)
            written += 1
            if not quiet:
                note(f"wrote {path}")
        if not written and _selected(report.layers, layer):
            note(f"onnxspec: {report.model.path}: no layer has a spectrum to draw")
            codes.append(ExitCode.INCOMPLETE)
    raise typer.Exit(worst(codes))


def _reports(source: str, layer: list[str] | None, *, quiet: bool) -> tuple[list[Report], list[ExitCode]]:
    """Read a saved report, or analyse a model and keep its eigenvalues."""
    from pathlib import Path

    from onnxspec.cli.saved import load_reports

    if Path(source).suffix.lower() == ".json":
        reports = load_reports(source)
        if layer is not None and not any(_selected(report.layers, layer) for report in reports):
            raise UsageError(f"{source}: no layer matches {', '.join(layer)}.")
        return reports, []
    from onnxspec.cli.analyze import reports_of
    from onnxspec.engine import Job
    from onnxspec.settings import Settings

    return reports_of([source], Settings(spectra=True), Job(), layer, quiet=quiet)


def _figures(report: Report, patterns: list[str] | None, kind: str) -> Iterator[tuple[str, Any]]:
    """Give the figures one by one, each with the end of its file's name."""
    from onnxspec import plots

    if patterns is None and any((layer.alpha or 0.0) > 1.0 for layer in report.layers):
        yield "alpha", plots.alpha_by_depth(report)
    draw = plots.layer_sheet if kind == "sheet" else getattr(plots, kind)
    ids = [layer.id for layer in report.layers]
    for layer in _selected(report.layers, patterns):
        if plots.drawable(layer):
            yield f"{ids.index(layer.id) + 1:03d}-{_safe(layer.name)}", draw(layer)


def _selected(layers: Sequence[Layer], patterns: list[str] | None) -> list[Layer]:
    """Choose layers as ``analyze --layer`` does."""
    from fnmatch import fnmatchcase

    if patterns is None:
        return list(layers)
    return [
        layer
        for layer in layers
        if any(fnmatchcase(name, p) or name == p for name in (layer.id, layer.name, layer.tensor) for p in patterns)
    ]


def _stem(source: str) -> str:
    """Name the files in the current folder after the model."""
    from pathlib import Path

    return _safe(Path(source).stem) if source != "-" else "model"


def _safe(name: str) -> str:
    """Give a name that is safe in a file name on any system: a layer may be called ``../x``."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept.strip(".")[-80:] or "layer"
