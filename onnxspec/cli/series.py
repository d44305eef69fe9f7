"""``onnxspec series``: do capacity metrics rank models by accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxspec.cli.exit_codes import ExitCode
from onnxspec.cli.stored import HELP as STORE
from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from onnxspec.results.series import Series

__all__ = ["series"]


def series(
    table: Annotated[
        str, typer.Argument(metavar="FILE.csv", help="Columns model and accuracy; group, label, metrics if wanted.")
    ],
    format_name: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="table, json, csv, markdown or html (default: table)."),
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="NAME", help="Only this metric; repeatable.")
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column that makes the groups, or none for no groups.")
    ] = "group",
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Scatter plots, as .png, .svg or .pdf.")] = None,
    effort: Annotated[
        str, typer.Option(help="fast, or standard for mp_softrank and spikes too.", envvar="ONNXSPEC_EFFORT")
    ] = "fast",
    conv: Annotated[
        str, typer.Option(help="Matrices of a convolution: pooled, slices, unfold.", envvar="ONNXSPEC_CONV")
    ] = "pooled",
    ks: Annotated[str, typer.Option(help="KS distance: grid, two_sided, seed2018.", envvar="ONNXSPEC_KS")] = "grid",
    min_evals: Annotated[int, typer.Option(help="Fewest eigenvalues for a fit.", envvar="ONNXSPEC_MIN_EVALS")] = 50,
    store: Annotated[str | None, typer.Option(metavar="PATH", help=STORE, envvar="ONNXSPEC_STORE")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Layers at the same time (default: the cores).", envvar="ONNXSPEC_JOBS", min=1)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Relate the capacity metrics of models to their accuracies: correlations, a line, Simpson's paradox."""
    from onnxspec.cli.output import check_figure, note, progress_bar, targets_of, write_text
    from onnxspec.cli.stored import opened_store
    from onnxspec.engine import Job
    from onnxspec.report.study_formats import SERIES_FORMATS, study_formatter
    from onnxspec.settings import Settings
    from onnxspec.studies import series as relate

    wanted = targets_of(format_name, output or [], SERIES_FORMATS)
    for name, _ in wanted:
        study_formatter(name, SERIES_FORMATS)
    check_figure("--plot", plot)
    settings = Settings(effort=effort, conv=conv, ks=ks, min_evals=min_evals)  # type: ignore[arg-type]
    with opened_store(store, quiet=quiet, verbose=False) as results, progress_bar(table, quiet=quiet) as progress:
        found = relate(
            Path(table),
            by=None if by == "none" else by,
            metrics=metric,
            settings=settings,
            job=Job(jobs=jobs, store=results),
            progress=progress,
        )
    for name, path in wanted:
        write_text(study_formatter(name, SERIES_FORMATS)(found), path)
    if plot is not None:
        _draw(found, metric, plot)
        if not quiet:
            note(f"wrote {plot}")
    problems = [member.problem for member in found.members if member.problem is not None]
    for problem in problems[:5]:
        note(f"onnxspec: {problem}")
    if len(problems) > 5:
        note(f"onnxspec: and {len(problems) - 5} more models without a result; -f json lists them")
    raise typer.Exit(ExitCode.INCOMPLETE if problems else ExitCode.OK)


def _draw(found: Series, metrics: list[str] | None, path: str) -> None:
    from onnxspec import plots

    try:
        figure = plots.series_scatter(found, metrics)
    except ValueError as error:
        raise UsageError(f"--plot: {error}") from None
    plots.save(figure, path)
