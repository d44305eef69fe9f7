"""A series as one self-contained HTML page: scatter plots, a table for each set of models, and the models."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from onnxspec.report._plain import word
from onnxspec.report.page import MAX_NAME, fill, markup
from onnxspec.report.series_words import by_set, chance, heading, missing, short, too_small, verdict
from onnxspec.report.svg.scatter import SIGNS, Line, Point, group_styles, group_symbols, scatter
from onnxspec.results.series import Member, Paradox, Relation, Series, Statistic

__all__ = ["render"]

COLUMNS = ("n", "tau", "95 %", "p", "rho", "p", "r", "p", "R2", "RMSE", "LOO", "slope")
MOST_CHARTS = 24


def render(series: Series) -> str:
    """Give the series as HTML; the same series gives the same bytes."""
    groups = series.groups
    shown = min(max(len(groups), 1), len(SIGNS))
    return fill(
        "series.html",
        script=False,
        style=group_styles(shown),
        symbols=markup(group_symbols(shown)),
        title=word(PurePath(series.source.replace("\\", "/")).name or "series", MAX_NAME),
        headline=_headline(series),
        sentences=_sentences(series),
        groups=[(name, f"g{k % len(SIGNS)}") for k, name in enumerate(groups)],
        charts=_charts(series),
        columns=COLUMNS,
        sets=[_set(series, group, relations) for group, relations in by_set(series)],
        within=[_within(paradox) for paradox in series.paradoxes if paradox.stratified_tau is not None],
        members=series.members,
    )


def _headline(series: Series) -> str:
    usable = sum(member.problem is None for member in series.members)
    of = f" of {len(series.members)}" if usable < len(series.members) else ""
    groups = f" in {len(series.groups)} groups (column {series.by})" if series.groups else ""
    return f"{usable}{of} models{groups}: metrics against accuracy"


def _sentences(series: Series) -> list[str]:
    """Say what is to be known first."""
    told = []
    for group, relations in by_set(series):
        warning = too_small(relations)
        if warning:
            told.append(f"{heading(series, group)}, {warning}.")
    flagged = [paradox.metric for paradox in series.paradoxes if paradox.flagged]
    if flagged:
        told.append(f"Simpson's paradox, the sign depends on which models are compared: {', '.join(flagged)}.")
    against = [r.metric for r in series.relations if r.group is None and r.as_expected is False]
    if against:
        told.append(
            "Over all models the sign is against the theory's claim, that a smaller value goes with a better accuracy, "
            f"for {', '.join(against)}."
        )
    return told + [f"{note}." for note in (chance(series), *series.notes) if note]


def _charts(series: Series) -> list[tuple[str, Any]]:
    """Give the scatter plot of each metric that has numbers, with its caption."""
    charts: list[tuple[str, str]] = []
    members = [member for member in series.members if member.problem is None and member.accuracy is not None]
    for name in dict.fromkeys(relation.metric for relation in series.relations):
        some = [member for member in members if name in member.metrics]
        pooled = series.relation(name)
        tau = pooled.kendall_tau
        caption = f"{name}: no correlation ({tau.reason})" if tau.value is None else f"{name}: tau {tau.value:+.2f}"
        if tau.p_value is not None:
            caption += f", p {tau.p_value:.2g}" + ("" if pooled.conclusive else ", n too small to conclude")
        chart = scatter(_points(series, some, name), _lines(series, some, name), name, caption)
        if chart is not None and len(charts) < MOST_CHARTS:
            charts.append((caption, chart))
    return [(caption, markup(chart)) for caption, chart in charts]


def _points(series: Series, members: list[Member], name: str) -> list[Point]:
    places = {group: k for k, group in enumerate(series.groups)}
    return [
        Point(member.metrics[name], member.accuracy or 0.0, member.label, places.get(member.group or "", 0))
        for member in members
    ]


def _lines(series: Series, members: list[Member], name: str) -> list[Line]:
    """Give the lines through all models and, where there are several groups, through each."""
    sets: list[tuple[str | None, int | None]] = [(None, None)]
    if len(series.groups) > 1:
        sets += [(group, k) for k, group in enumerate(series.groups)]
    lines = []
    for group, place in sets:
        at = [member.metrics[name] for member in members if group in (None, member.group)]
        found = next((r for r in series.relations if (r.metric, r.group) == (name, group)), None)
        if found is not None and found.slope.value is not None and found.intercept is not None and at:
            lines.append(Line(found.slope.value, found.intercept, min(at), max(at), place))
    return lines


def _set(series: Series, group: str | None, relations: list[Relation]) -> dict[str, Any]:
    rows = [
        {"name": relation.metric, "cells": _cells(relation), "claim": verdict(relation)}
        for relation in relations
        if relation.kendall_tau.value is not None
    ]
    return {
        "name": heading(series, group),
        "warning": too_small(relations),
        "rows": rows,
        "missing": missing(relations),
    }


def _cells(relation: Relation) -> list[str]:
    """Give the cells in the order of `COLUMNS`."""
    tau, slope = relation.kendall_tau, relation.slope.value
    interval = "–" if tau.interval is None else f"{tau.interval[0]:.2f} to {tau.interval[1]:.2f}"
    error = "" if relation.slope_stderr is None else f" ± {relation.slope_stderr:.2g}"
    return [
        str(relation.n),
        _value(tau),
        interval,
        _p(tau.p_value),
        _value(relation.spearman),
        _p(relation.spearman.p_value),
        _value(relation.pearson),
        _p(relation.pearson.p_value),
        short(relation.r2.value),
        short(relation.rmse.value),
        short(relation.loo_rmse),
        "–" if slope is None else f"{slope:.4g}{error}",
    ]


def _within(paradox: Paradox) -> dict[str, Any]:
    taus = (paradox.stratified_tau, paradox.pooled_tau, paradox.between_tau)
    within, total, between = ("–" if value is None else f"{value:+.2f}" for value in taus)
    return {
        "name": paradox.metric,
        "cells": [within, _p(paradox.stratified_p), total, between],
        "evidence": "; ".join(paradox.evidence),
    }


def _value(statistic: Statistic) -> str:
    return "–" if statistic.value is None else f"{statistic.value:+.2f}"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
