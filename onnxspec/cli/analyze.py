"""``onnxspec analyze``: spectra, fits and verdicts of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxspec.cli.exit_codes import ExitCode, of_error, of_report, worst
from onnxspec.cli.stored import HELP as STORE
from onnxspec.cli.stored import opened_store
from onnxspec.errors import InputError, UsageError

if TYPE_CHECKING:
    from onnxspec.cli.fleet import Fleet
    from onnxspec.engine import Job
    from onnxspec.results import Report
    from onnxspec.settings import Settings

__all__ = ["analyze", "reports_of"]


INCLUDE = "Layers (id, name, tensor, slot) that are weights, whatever they look like; repeatable."
EXCLUDE = "Layers to leave out; repeatable."
ROLE = "Role of layers, such as 'stft*=fixed_basis'; repeatable."
BASE = "Analyse the differences of the layers to their counterparts in this model."
REQUIRE = (
    "Exit 1 where less than this share of what is or may be a weight was analysed "
    "(by slots or by parameters, whichever is lower)."
)


DASK = "Let dask workers analyse: tcp://HOST:PORT, or local, or local:N."
WHERE = "Show only layers such as 'alpha>6', 'trained=noise' or 'mp.sigma_mp<1'; repeatable."
SORT = "Sort the layers shown by a field, '-FIELD' largest first."
TOP = "Show so many layers at most."


def analyze(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Files, folders, globs, or - for stdin.")],
    format_name: Annotated[
        str | None, typer.Option("--format", "-f", metavar="FORMAT", help="table, json, csv, html or markdown.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="GLOB", help="Only layers of this id, name or tensor.")
    ] = None,
    where: Annotated[list[str] | None, typer.Option("--where", metavar="CONDITION", help=WHERE)] = None,
    sort: Annotated[str | None, typer.Option("--sort", metavar="FIELD", help=SORT)] = None,
    top: Annotated[int | None, typer.Option("--top", metavar="N", help=TOP, min=1)] = None,
    effort: Annotated[str, typer.Option(help="fast, standard or full.", envvar="ONNXSPEC_EFFORT")] = "standard",
    conv: Annotated[
        str, typer.Option(help="Matrices of a convolution: pooled, slices, unfold.", envvar="ONNXSPEC_CONV")
    ] = "pooled",
    ks: Annotated[str, typer.Option(help="KS distance: grid, two_sided, seed2018.", envvar="ONNXSPEC_KS")] = "grid",
    min_evals: Annotated[int, typer.Option(help="Fewest eigenvalues for a fit.", envvar="ONNXSPEC_MIN_EVALS")] = 50,
    min_tail: Annotated[
        int | None,
        typer.Option(help="Fewest eigenvalues in a tail (default: 10 or 2 %).", envvar="ONNXSPEC_MIN_TAIL"),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Singular values by SVD.")] = False,
    stochastic_above: Annotated[
        int | None,
        typer.Option(
            help="Estimate norms and top eigenvalues of matrices with a longer shorter side; no alpha there.",
            envvar="ONNXSPEC_STOCHASTIC_ABOVE",
            min=1,
        ),
    ] = None,
    spectra: Annotated[bool, typer.Option("--spectra", help="Put all eigenvalues into the JSON.")] = False,
    gates: Annotated[bool, typer.Option("--gates", help="One matrix for each gate of LSTM and GRU.")] = False,
    include: Annotated[list[str] | None, typer.Option("--include", metavar="GLOB", help=INCLUDE)] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="GLOB", help=EXCLUDE)] = None,
    role: Annotated[list[str] | None, typer.Option("--role", metavar="GLOB=ROLE", help=ROLE)] = None,
    require_coverage: Annotated[
        float | None, typer.Option(help=REQUIRE, envvar="ONNXSPEC_REQUIRE_COVERAGE", min=0.0, max=1.0)
    ] = None,
    cross_check: Annotated[
        bool, typer.Option("--cross-check", help="Fit every tail with the powerlaw package too.")
    ] = False,
    base: Annotated[str | None, typer.Option(metavar="MODEL", help=BASE)] = None,
    compat: Annotated[
        str | None, typer.Option(help="weightwatcher: its columns and conventions, as CSV.", metavar="TOOL")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Layers at the same time (default: the cores).", envvar="ONNXSPEC_JOBS", min=1)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds for one model; no layer is started that would pass it.", min=0.0)
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Memory that layers at work may take, such as 1G; larger ones are skipped.",
            envvar="ONNXSPEC_MAX_MEMORY",
        ),
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="Largest model file, such as 500M or 4G.", envvar="ONNXSPEC_MAX_BYTES")
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="PATH", help=STORE, envvar="ONNXSPEC_STORE")] = None,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help=DASK, envvar="ONNXSPEC_DASK")] = None,
    no_runtime_folding: Annotated[
        bool, typer.Option("--no-runtime-folding", help="Do not evaluate constant sub-graphs by onnxruntime.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what came from the store.")] = False,
) -> None:
    """Say how well each layer of ONNX models was trained, from the weights alone."""
    from dataclasses import replace

    from onnxspec.cli.fleet import Fleet, workers
    from onnxspec.cli.output import targets
    from onnxspec.engine import Job
    from onnxspec.report.view import View
    from onnxspec.settings import Settings

    settings = Settings(
        effort=effort,  # type: ignore[arg-type]
        conv=conv,  # type: ignore[arg-type]
        ks=ks,  # type: ignore[arg-type]
        min_evals=min_evals,
        min_tail=min_tail,
        exact=exact,
        stochastic_above=stochastic_above,
        spectra=spectra,
        cross_check=cross_check,
        **selection(gates=gates, include=include, exclude=exclude, role=role),
    )
    job = Job(
        jobs=jobs,
        max_memory=None if max_memory is None else bytes_of(max_memory, "--max-memory"),
        timeout=timeout,
        limits=limits_of(max_bytes),
        runtime_folding=not no_runtime_folding,
    )
    if compat is not None:
        raise typer.Exit(_weightwatcher(compat, models, format_name, output or [], job, base))
    wanted, shown = targets(format_name, output or []), View(tuple(where or ()), sort, top)
    fleet = Fleet(wanted, shown)
    with opened_store(store, quiet=quiet, verbose=verbose) as results, workers(dask) as executor:
        how = replace(job, store=results, executor=executor)
        _, codes = reports_of(
            models, settings, how, layer or None, quiet=quiet, required=require_coverage, base=base, fleet=fleet
        )
    fleet.finish()
    raise typer.Exit(worst(codes))


def selection(
    *, gates: bool, include: list[str] | None, exclude: list[str] | None, role: list[str] | None
) -> dict[str, Any]:
    """Give the options that say which matrices are wanted, as fields of the settings."""
    roles = []
    for text in role or ():
        glob, equals, name = text.rpartition("=")
        if not equals or not glob:
            raise UsageError(f"--role is {text!r}; it must be GLOB=ROLE.")
        roles.append((glob, name))
    return {
        "gates": gates,
        "include": tuple(include or ()),
        "exclude": tuple(exclude or ()),
        "roles": tuple(roles),
    }


def limits_of(max_bytes: str | None) -> Any:
    """Give the limits with the byte cap that was asked for."""
    from dataclasses import replace

    from onnxspec.limits import DEFAULT_LIMITS

    if max_bytes is None:
        return DEFAULT_LIMITS
    return replace(DEFAULT_LIMITS, file_bytes=bytes_of(max_bytes, "--max-bytes"))


def bytes_of(given: str, option: str) -> int:
    """Read a number of bytes, with or without a unit."""
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    text = given.strip().upper().removesuffix("B").removesuffix("I")
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "")
    try:
        size = int(float(number) * units[unit])
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise UsageError(f"{option} is {given!r}; give bytes, or a number with K, M, G or T.")
    return size


def reports_of(
    models: list[str],
    settings: Settings | None,
    job: Job,
    layer: list[str] | None,
    *,
    quiet: bool,
    required: float | None = None,
    wanted: Mapping[str, Any] | None = None,
    base: str | None = None,
    fleet: Fleet | None = None,
) -> tuple[list[Report], list[ExitCode]]:
    """Analyse (or, without settings, inspect) each model; a rejected one costs only itself."""
    from contextlib import closing

    from onnxspec import engine
    from onnxspec.cli.fleet import Analyst
    from onnxspec.cli.inputs import expand, opened
    from onnxspec.cli.output import note, progress_of_models

    reports: list[Report] = []
    codes: list[ExitCode] = []
    paths = list(expand(models))
    if fleet is not None:
        fleet.expect([path for path in paths if isinstance(path, str)])
    analyst = Analyst(paths, settings, job, layer, base)
    with progress_of_models(len(paths), quiet=quiet) as bar, closing(analyst):
        for path in paths:
            report = None
            try:
                if isinstance(path, InputError):
                    raise path
                if settings is None:
                    report = engine.inspect(opened(path, job.limits), job=job, **(wanted or {}))
                else:
                    with bar(path) as progress:
                        report = analyst.report(path, progress)
                reports.append(report)
                found = _judged(report, path, layer, required)
            except InputError as error:
                note(f"onnxspec: {error}")
                found = [of_error(error)]
            codes += found
            if fleet is not None:
                fleet.add(path if isinstance(path, str) else str(path).partition(":")[0], worst(found), report)
    return reports, codes


def _judged(report: Report, path: str, layer: list[str] | None, required: float | None) -> list[ExitCode]:
    """Give the exit codes of one report, and say why they are not 0."""
    from onnxspec.cli.output import note
    from onnxspec.layers.summary import coverage_share
    from onnxspec.results.share import percent

    codes = [of_report(report)]
    share = coverage_share(report.coverage)
    if required is not None and share < required:
        codes.append(ExitCode.FAILED)
        note(f"onnxspec: {report.model.path}: coverage {percent(share)} is below the required {100 * required:g} %")
    if layer is not None and not any(x.reason != "not_selected" for x in report.layers):
        raise UsageError(f"{path}: no layer matches {', '.join(layer)}; `onnxspec inspect` lists the names.")
    _explain(report, codes[0])
    return codes


def _explain(report: Report, code: ExitCode) -> None:
    """Say on standard error why the exit code is not 0."""
    from onnxspec.cli.output import note

    if code is ExitCode.OK:
        return
    failed = [layer for layer in report.layers if layer.status == "failed"]
    by_reason: dict[tuple[str | None, str], list[str]] = {}
    for layer in failed:
        by_reason.setdefault((layer.reason, layer.warnings[0]), []).append(layer.name)
    for (reason, detail), names in list(by_reason.items())[:5]:
        whose = names[0] if len(names) == 1 else f"{len(names)} layers"
        note(f"onnxspec: {report.model.path}: {whose}: {reason}: {detail}")
    if len(by_reason) > 5:
        note(f"onnxspec: {report.model.path}: and {len(by_reason) - 5} more; the report lists them")
    if not failed:
        problems = [d for d in report.diagnostics if d.severity == "error"]
        for diagnostic in problems[:5]:
            note(f"onnxspec: {report.model.path}: {diagnostic.code}: {diagnostic.message}")
        stopped = [layer for layer in report.layers if layer.reason in ("time_limit", "memory_limit")]
        if stopped:
            note(
                f"onnxspec: {report.model.path}: {len(stopped)} layers were left out ({stopped[0].reason}); "
                "raise the limit or select layers with --layer"
            )


def _weightwatcher(
    tool: str, models: list[str], format_name: str | None, output: list[str], job: Job, base: str | None
) -> ExitCode:
    """Print WeightWatcher's table of one model, as the CSV that its users know."""
    from onnxspec.cli.inputs import opened
    from onnxspec.cli.output import write_text
    from onnxspec.engine import weightwatcher_rows
    from onnxspec.weightwatcher import to_csv

    if tool != "weightwatcher":
        raise UsageError(f"--compat is {tool!r}; it must be weightwatcher.")
    if format_name not in (None, "csv"):
        raise UsageError("--compat weightwatcher writes CSV alone; leave --format out.")
    if len(models) != 1 or len(output) > 1:
        raise UsageError("--compat weightwatcher takes one model and one output.")
    less = None if base is None else opened(base, job.limits)
    rows = weightwatcher_rows(opened(models[0], job.limits), base=less, job=job)
    write_text(to_csv(rows), output[0].removeprefix("csv=") if output else None)
    return ExitCode.INCOMPLETE if any(row["norm"] is None for row in rows) else ExitCode.OK
