"""``onnxspec render``: any format from saved JSON reports, without the models."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxspec.cli.analyze import SORT, TOP, WHERE
from onnxspec.cli.exit_codes import ExitCode, of_error, worst
from onnxspec.errors import InputError

__all__ = ["render"]


def render(
    reports: Annotated[
        list[str], typer.Argument(metavar="REPORT.json...", help="Reports that analyze saved, or - for stdin.")
    ],
    format_name: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="table, json, csv, html or markdown."),
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="GLOB", help="Show only layers of this id, name or tensor.")
    ] = None,
    where: Annotated[list[str] | None, typer.Option("--where", metavar="CONDITION", help=WHERE)] = None,
    sort: Annotated[str | None, typer.Option("--sort", metavar="FIELD", help=SORT)] = None,
    top: Annotated[int | None, typer.Option("--top", metavar="N", help=TOP, min=1)] = None,
) -> None:
    """Show saved JSON reports in another format."""
    from onnxspec.cli.exit_codes import of_report
    from onnxspec.cli.fleet import Fleet
    from onnxspec.cli.output import note, targets
    from onnxspec.cli.saved import load_reports
    from onnxspec.report.view import View

    wanted = targets(format_name, output or [])
    shown = View(tuple(where or ()), sort, top, tuple(layer or ()))
    found = []
    codes = [ExitCode.OK]
    for path in reports:
        try:
            found += load_reports(path)
        except InputError as error:
            note(f"onnxspec: {error}")
            codes.append(of_error(error))
    fleet = Fleet(wanted, shown)
    fleet.expect([report.model.path for report in found])
    for report in found:
        fleet.add(report.model.path, of_report(report), report)
    fleet.finish()
    raise typer.Exit(worst(codes))
