"""Simpson's paradox: a metric that tells one story over all models and another within their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean

from onnxspec.comparing.series.correlations import FEWEST, kendall_tau, tidy
from onnxspec.comparing.series.stratified import within_groups
from onnxspec.results.series import Paradox

__all__ = ["THRESHOLD", "simpson"]

THRESHOLD = 0.3
"""Smallest size of a Kendall's tau whose sign counts."""

Points = Sequence[tuple[float, float]]


def simpson(
    metric: str, groups: Mapping[str, Points], pooled: Points, p_values: Mapping[str | None, float] | None = None
) -> Paradox:
    """Compare the trend over all models with the trends within groups.

    Parameters
    ----------
    metric : str
        Name of the metric.
    groups : mapping of str to sequence of (float, float)
        Metric and accuracy of the models of each group.
    pooled : sequence of (float, float)
        The same of all models, those without a group too.
    p_values : mapping of str or None to float, optional
        Of tau in each group, and under ``None`` over all models: quoted beside each tau.

    Returns
    -------
    Paradox
        Flagged where the sign over all models differs from that of a group, or two groups
        differ, and both taus exceed 0.3 in size. Groups of fewer than three models have no
        trend. Why it matters: Martin and Mahoney, arXiv 2106.00734.
    """
    within = {name: _tau(points) for name, points in groups.items()}
    means = [(fmean(x for x, _ in points), fmean(y for _, y in points)) for points in groups.values() if points]
    total = _tau(pooled)
    strong = {name: tau for name, tau in within.items() if tau is not None and abs(tau) > THRESHOLD}

    def told(name: str | None, tau: float) -> str:
        p = (p_values or {}).get(name)
        return f"{name or 'all models'} {tau:+.2f}" + ("" if p is None else f" (p {p:.2g})")

    evidence = []
    if total is not None and abs(total) > THRESHOLD:
        evidence += [f"{told(None, total)}, {told(name, tau)}" for name, tau in strong.items() if tau * total < 0.0]
    evidence += [
        f"{told(one, tau)}, {told(other, against)}"
        for (one, tau), (other, against) in combinations(strong.items(), 2)
        if tau * against < 0.0
    ]
    inside = within_groups(list(groups.values()))
    return Paradox(
        metric=metric,
        flagged=bool(evidence),
        pooled_tau=total,
        within_tau=within,
        stratified_tau=inside.tau,
        stratified_p=inside.p_value,
        between_tau=_tau(means),
        threshold=THRESHOLD,
        evidence=tuple(evidence),
    )


def _tau(points: Points) -> float | None:
    if len(points) < FEWEST:
        return None
    return kendall_tau([tidy(x) for x, _ in points], [tidy(y) for _, y in points])
