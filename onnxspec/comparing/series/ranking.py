"""From the members of a series to its result: every metric against accuracy, over all and within groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnxspec import __version__
from onnxspec.comparing.series.capacity import CAPACITY, expected_sign
from onnxspec.comparing.series.correlations import LEVEL, Correlations, correlate
from onnxspec.comparing.series.paradox import simpson
from onnxspec.results.report import Tool
from onnxspec.results.series import SERIES_SCHEMA_VERSION, Member, Relation, Series, Statistic

__all__ = ["rank", "relate"]

STATISTICS = ("kendall_tau", "spearman", "pearson", "r2", "rmse", "slope")


def rank(
    members: Sequence[Member],
    *,
    source: str = "",
    by: str | None = None,
    metrics: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Series:
    """Relate metrics of models to their accuracies.

    Parameters
    ----------
    members : sequence of Member
        The models; those with a problem are listed and left out.
    source : str
        Where the series comes from.
    by : str, optional
        What the groups are groups of.
    metrics : sequence of str, optional
        Only these, in this order; otherwise all that any member has.
    settings : mapping, optional
        Of the analysis behind the metrics.
    notes : sequence of str
        What is to be said of the whole series.

    Returns
    -------
    Series
    """
    usable = [member for member in members if member.problem is None and member.accuracy is not None]
    names = list(metrics) if metrics is not None else _names(usable)
    groups: dict[str, list[Member]] = {}
    for member in usable:
        if member.group is not None:
            groups.setdefault(member.group, []).append(member)
    relations, paradoxes = [], []
    for name in names:
        of_name = [relate(name, usable, None), *(relate(name, some, group) for group, some in groups.items())]
        relations += of_name
        if len(groups) > 1:
            points = {group: _points(name, some) for group, some in groups.items()}
            p_values = {r.group: p for r in of_name if (p := r.kendall_tau.p_value) is not None}
            paradoxes.append(simpson(name, points, _points(name, usable), p_values))
    return Series(
        schema_version=SERIES_SCHEMA_VERSION,
        tool=Tool("onnxspec", __version__),
        source=source,
        by=by,
        settings=dict(settings or {}),
        members=tuple(members),
        relations=tuple(relations),
        paradoxes=tuple(paradoxes),
        notes=tuple(notes),
    )


def relate(metric: str, members: Sequence[Member], group: str | None) -> Relation:
    """Relate one metric to accuracy over some models.

    Parameters
    ----------
    metric : str
        Its name.
    members : sequence of Member
        Models with an accuracy; those without the metric are left out and listed.
    group : str or None
        What the set is called.

    Returns
    -------
    Relation
    """
    points = _points(metric, members)
    found = correlate([x for x, _ in points], [y for _, y in points])
    reason = found.reason
    if not points and members:
        own = {member.reasons.get(metric, "not_given") for member in members}
        reason = own.pop() if len(own) == 1 else "not_given"
    sign = expected_sign(metric)
    tau = found.values.get("kendall_tau")
    line = found.line
    return Relation(
        metric=metric,
        group=group,
        n=len(points),
        left_out=tuple(member.label for member in members if metric not in member.metrics),
        expected_sign=sign,
        as_expected=None if sign is None or not tau else tau * sign > 0.0,
        min_p=found.min_p,
        conclusive=found.min_p is not None and found.min_p <= LEVEL,
        permutations=found.permutations,
        exact=found.exact,
        **{name: _statistic(name, found, reason) for name in STATISTICS},
        slope_stderr=line.slope_stderr if line else None,
        intercept=line.intercept if line else None,
        loo_rmse=line.loo_rmse if line else None,
        loo_reason=reason if line is None else "one_point_decides" if line.loo_rmse is None else None,
    )


def _statistic(name: str, found: Correlations, reason: str | None) -> Statistic:
    if name not in found.values:
        return Statistic(None, reason=reason)
    interval = found.intervals.get(name)
    return Statistic(
        found.values[name],
        found.p_values[name],
        interval,
        interval_reason=None if interval is not None else found.interval_reason or "degenerate_resamples",
    )


def _points(metric: str, members: Sequence[Member]) -> list[tuple[float, float]]:
    return [
        (member.metrics[metric], member.accuracy)
        for member in members
        if member.accuracy is not None and metric in member.metrics
    ]


def _names(members: Sequence[Member]) -> list[str]:
    """List the metrics that a member has, or could have: the known ones first, then as they occur."""
    seen = dict.fromkeys(name for member in members for name in (*member.metrics, *member.reasons))
    known = [metric.name for metric in CAPACITY if metric.name in seen]
    return known + [name for name in seen if name not in known]
