"""``onnxspec track``: layers over the checkpoints of a training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from onnxspec.cli.exit_codes import ExitCode
from onnxspec.cli.stored import HELP as STORE
from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxspec.results.tracking import Track

__all__ = ["track"]


def track(
    checkpoints: Annotated[
        list[str],
        typer.Argument(metavar="DIR|LIST.csv|MODEL...", help="A folder, a CSV file with a column model, or models."),
    ],
    format_name: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="table, json, csv, markdown or html (default: table)."),
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="GLOB", help="Only layers of this name or tensor.")
    ] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Curves, as .png, .svg or .pdf.")] = None,
    scree: Annotated[
        str | None, typer.Option(metavar="FILE", help="Scree plots of the first and last checkpoint.")
    ] = None,
    effort: Annotated[str, typer.Option(help="fast, standard or full.", envvar="ONNXSPEC_EFFORT")] = "standard",
    conv: Annotated[
        str, typer.Option(help="Matrices of a convolution: pooled, slices, unfold.", envvar="ONNXSPEC_CONV")
    ] = "pooled",
    min_evals: Annotated[int, typer.Option(help="Fewest eigenvalues for a fit.", envvar="ONNXSPEC_MIN_EVALS")] = 50,
    store: Annotated[str | None, typer.Option(metavar="PATH", help=STORE, envvar="ONNXSPEC_STORE")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Layers at the same time (default: the cores).", envvar="ONNXSPEC_JOBS", min=1)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Follow entropy, stable rank, alpha, spikes and phase of every layer over checkpoints, and flag transitions."""
    from onnxspec import plots
    from onnxspec.cli.output import check_figure, note, progress_bar, targets_of, write_text
    from onnxspec.cli.stored import opened_store
    from onnxspec.engine import Job
    from onnxspec.report.study_formats import TRACK_FORMATS, study_formatter
    from onnxspec.settings import Settings
    from onnxspec.studies import track as follow

    wanted = targets_of(format_name, output or [], TRACK_FORMATS)
    for name, _ in wanted:
        study_formatter(name, TRACK_FORMATS)
    check_figure("--plot", plot)
    check_figure("--scree", scree)
    settings = Settings(effort=effort, conv=conv, min_evals=min_evals, spectra=True)  # type: ignore[arg-type]
    source = checkpoints[0] if len(checkpoints) == 1 else checkpoints
    with (
        opened_store(store, quiet=quiet, verbose=False) as results,
        progress_bar("checkpoints", quiet=quiet) as progress,
    ):
        found = follow(source, settings=settings, job=Job(jobs=jobs, store=results), progress=progress)
    found = _selected(found, layer)
    for name, path in wanted:
        write_text(study_formatter(name, TRACK_FORMATS)(found), path)
    names = None if layer is None else [course.name for course in found.layers]
    for option, place, draw in (("--plot", plot, plots.track_curves), ("--scree", scree, plots.track_scree)):
        if place is not None:
            _draw(option, found, names, place, draw)
            if not quiet:
                note(f"wrote {place}")
    problems = [checkpoint.problem for checkpoint in found.checkpoints if checkpoint.problem is not None]
    for problem in problems[:5]:
        note(f"onnxspec: {problem}")
    raise typer.Exit(ExitCode.INCOMPLETE if problems else ExitCode.OK)


def _selected(found: Track, patterns: list[str] | None) -> Track:
    """Keep the layers that were asked for."""
    from fnmatch import fnmatchcase

    if patterns is None:
        return found
    kept = tuple(
        course
        for course in found.layers
        if any(fnmatchcase(name, p) or name == p for name in (course.name, course.tensor) for p in patterns)
    )
    if not kept:
        raise UsageError(f"no layer matches {', '.join(patterns)}.")
    names = {course.name for course in kept}
    return replace(found, layers=kept, transitions=tuple(t for t in found.transitions if t.layer in names))


def _draw(
    option: str,
    found: Track,
    names: Sequence[str] | None,
    path: str,
    draw: Callable[[Track, Sequence[str] | None], object],
) -> None:
    from onnxspec import plots

    try:
        figure = draw(found, names)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    plots.save(figure, path)  # type: ignore[arg-type]
