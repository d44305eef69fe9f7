"""Do capacity metrics rank the models of a series by accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec.comparing.series.capacity import CAPACITY, capacity
from onnxspec.comparing.series.ranking import rank
from onnxspec.engine import Job
from onnxspec.errors import InputError, UsageError
from onnxspec.layers.summary import coverage_share
from onnxspec.results.series import Member, Series
from onnxspec.results.share import percent
from onnxspec.settings import Settings
from onnxspec.studies.gather import is_report, report_of, sliced
from onnxspec.studies.table import Row, Table, read_table, table_of

if TYPE_CHECKING:
    from onnxspec.results import Report

__all__ = ["series"]

COMPUTED = frozenset(metric.name for metric in CAPACITY)
COMPARABLE = ("conv", "ks", "min_evals", "min_tail", "exact", "gates", "include", "exclude", "roles")
"""Settings that change a capacity metric."""


def series(
    source: str | Path | Iterable[Mapping[str, Any]],
    *,
    by: str | None = "group",
    metrics: Sequence[str] | None = None,
    settings: Settings | None = None,
    job: Job | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Series:
    """Relate the capacity metrics of models to their accuracies.

    Parameters
    ----------
    source : str, Path or iterable of mappings
        A CSV file with the columns model and accuracy, or such rows. ``model`` is the path of a
        model or saved report, relative to the file; in rows it may be a `Report`. Columns group and
        label are optional; every other column of numbers is a metric of its own. Where there are
        such columns, a model that is no file is only a name.
    by : str or None
        Column that makes the groups; without a column ``group`` there are none.
    metrics : sequence of str, optional
        Only these metrics.
    settings : Settings, optional
        Of the analysis; by default the fast one, which has every capacity metric of the theory.
    job : Job, optional
        How the analysis runs.
    progress : callable, optional
        Told the label, the models done and the models in all.

    Returns
    -------
    Series
        Models that could not be analysed are among its members with their problem.

    Raises
    ------
    InputError
        The file was rejected, or none of its models could be analysed.
    UsageError
        A column or metric does not exist.

    Notes
    -----
    Martin and Mahoney, Universality and Capacity Metrics (draft), and Nature Communications 12,
    4122 (2021), who rank published models by them.
    """
    folder = Path(source).parent if isinstance(source, (str, Path)) else Path()
    table = read_table(Path(source)) if isinstance(source, (str, Path)) else table_of(source)
    chosen = settings or Settings(effort="fast")
    how = job or Job()
    column = None if by == "group" and "group" not in (*table.texts, *table.numbers) else by
    groups = table.groups(column)
    own = [name for name in table.numbers if name != column]
    looked_at = [_is_model(row, folder) for row in table.rows]
    twice = sorted(COMPUTED.intersection(own)) if any(looked_at) else []
    if twice:
        raise UsageError(f"the column {twice[0]} is computed from the models too; rename it or leave it out.")
    members, reports = [], []
    for number, (row, group, is_model) in enumerate(zip(table.rows, groups, looked_at)):
        member, report = _member(row, folder, chosen, how, own, read=is_model or not own)
        members.append(replace(member, group=group))
        if report is not None:
            reports.append(report)
        if progress is not None:
            progress(member.label, number + 1, len(table.rows))
    problems = [member.problem for member in members if member.problem is not None]
    if len(problems) == len(members):
        raise InputError(f"no model of the series could be analysed; the first: {problems[0]}")
    names = _names(metrics, members)
    return rank(
        members,
        source=str(source) if isinstance(source, (str, Path)) else "",
        by=column,
        metrics=names,
        settings=chosen.canonical() if reports else {},
        notes=_notes(table, reports, members, own, column),
    )


def _is_model(row: Row, folder: Path) -> bool:
    """Say whether a row names a file, or is a report."""
    try:
        return hasattr(row.model, "layers") or (folder / str(row.model)).is_file()
    except (OSError, ValueError):
        return False


def _member(
    row: Row, folder: Path, settings: Settings, job: Job, own: Sequence[str], *, read: bool
) -> tuple[Member, Report | None]:
    """Give one model with its metrics: those of its columns, and those of its weights."""
    given = {name: value for name in own if isinstance(value := row.cells.get(name), float)}
    reason = "not_given"
    reasons = {name: reason for name in own if name not in given}
    member = Member(row.label, row.accuracy, metrics=given, reasons=reasons)
    if not read:
        return member, None
    if hasattr(row.model, "layers"):
        report, again = row.model, None
    else:
        path = folder / str(row.model)
        member = replace(member, model=str(row.model))
        try:
            report = report_of(path, settings, job)
            several = any((layer.num_matrices or 1) > 1 for layer in report.layers)
            wanted = several and settings.conv != "slices" and not is_report(path)
            again = sliced(path, settings, job) if wanted else None
        except InputError as error:
            return replace(member, problem=str(error)), None
    found, missing = capacity(report, again)
    if not report.summary.layers_averaged:
        return replace(member, problem=f"{row.label}: no layer of it could be analysed."), report
    return replace(
        member,
        sha256=report.model.sha256,
        metrics=given | found,
        reasons=reasons | missing,
        notes=_caveats(report),
    ), report


def _caveats(report: Report) -> tuple[str, ...]:
    """Say what of a model was not looked at."""
    notes = []
    share = coverage_share(report.coverage)
    if share < 1.0:
        notes.append(f"{percent(share)} of its weights were analysed")
    summary = report.summary
    if summary.layers_fitted < summary.layers_averaged:
        notes.append(f"{summary.layers_fitted} of {summary.layers_averaged} layers have an alpha")
    return tuple(notes)


def _names(wanted: Sequence[str] | None, members: Sequence[Member]) -> list[str] | None:
    """Check the metrics that were asked for."""
    if not wanted:
        return None
    known = dict.fromkeys(name for member in members for name in (*member.metrics, *member.reasons))
    for name in wanted:
        if name not in known:
            raise UsageError(f"there is no metric {name[:60]!r} in this series; there are: {', '.join(known)}.")
    return list(dict.fromkeys(wanted))


def _notes(
    table: Table, reports: Sequence[Report], members: Sequence[Member], own: Sequence[str], by: str | None
) -> list[str]:
    """Say what is to be known of the series as a whole."""
    notes = []
    settings = {repr([report.settings.get(name) for name in COMPARABLE]) for report in reports}
    if len(settings) > 1:
        notes.append("the saved reports were made with different settings: their metrics are not comparable")
    if own and reports and len(reports) < len(members):
        notes.append("some models are no files: only the columns of the CSV are known of them")
    left_out = [name for name in table.texts if name not in ("group", "label", by)]
    if left_out:
        notes.append(f"columns of text, used by nothing: {', '.join(left_out)}")
    return notes
