"""``onnxspec inspect``: weights, roles, coverage and file facts, without numerics."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxspec.cli.analyze import EXCLUDE, INCLUDE, REQUIRE, ROLE
from onnxspec.cli.exit_codes import worst

__all__ = ["inspect"]


def inspect(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Files, folders, globs, or - for stdin.")],
    format_name: Annotated[
        str | None, typer.Option("--format", "-f", metavar="FORMAT", help="table, json, csv, html or markdown.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    gates: Annotated[bool, typer.Option("--gates", help="One matrix for each gate of LSTM and GRU.")] = False,
    include: Annotated[list[str] | None, typer.Option("--include", metavar="GLOB", help=INCLUDE)] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="GLOB", help=EXCLUDE)] = None,
    role: Annotated[list[str] | None, typer.Option("--role", metavar="GLOB=ROLE", help=ROLE)] = None,
    require_coverage: Annotated[
        float | None, typer.Option(help=REQUIRE, envvar="ONNXSPEC_REQUIRE_COVERAGE", min=0.0, max=1.0)
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="Largest model file, such as 500M or 4G.", envvar="ONNXSPEC_MAX_BYTES")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes.")] = False,
) -> None:
    """List the weights of ONNX models and how much of each file they are."""
    from onnxspec.cli.analyze import limits_of, reports_of, selection
    from onnxspec.cli.fleet import Fleet
    from onnxspec.cli.output import targets
    from onnxspec.engine import Job

    wanted = targets(format_name, output or [])
    asked = selection(gates=gates, include=include, exclude=exclude, role=role)
    job = Job(limits=limits_of(max_bytes))
    fleet = Fleet(wanted, lines=False)
    _, codes = reports_of(models, None, job, None, quiet=quiet, required=require_coverage, wanted=asked, fleet=fleet)
    fleet.finish()
    raise typer.Exit(worst(codes))
