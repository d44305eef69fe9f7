"""Results of ranking a series of models: metrics against accuracy, over all and within groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxspec.results.codec import to_json
from onnxspec.results.report import Tool

__all__ = ["SERIES_SCHEMA_VERSION", "Member", "Paradox", "Relation", "Series", "Statistic"]

SERIES_SCHEMA_VERSION = "1"


@dataclass(frozen=True)
class Member:
    """One model of a series.

    Attributes
    ----------
    label : str
        What it is called.
    accuracy : float or None
        As given, in the unit that was given.
    group : str or None
        The part of the series that it belongs to.
    model : str or None
        Path of the model or saved report, as given.
    sha256 : str or None
        Hash of the model file, where one was looked at.
    problem : str or None
        Why the model has no metrics; it is left out of everything then.
    metrics : mapping of str to float
        Those that exist.
    reasons : mapping of str to str
        Why the others do not.
    notes : tuple of str
        Caveats about this model, such as a coverage below 100 %.
    """

    label: str
    accuracy: float | None
    group: str | None = None
    model: str | None = None
    sha256: str | None = None
    problem: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statistic:
    """A number with its p-value and interval, or the reason why it does not exist.

    Attributes
    ----------
    value : float or None
        The statistic.
    p_value : float or None
        Two-sided, by permutation of the accuracies.
    interval : (float, float) or None
        95 %, percentiles over resamples of the models.
    reason : str or None
        Why `value` does not exist.
    interval_reason : str or None
        Why `interval` does not exist although `value` does.
    """

    value: float | None
    p_value: float | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None
    interval_reason: str | None = None


@dataclass(frozen=True)
class Relation:
    """One metric against accuracy over one set of models.

    Attributes
    ----------
    metric : str
        Name of the metric.
    group : str or None
        The set: one group, or ``None`` for all models.
    n : int
        Models that have both numbers.
    left_out : tuple of str
        Labels of the models of the set that have not.
    expected_sign : int or None
        -1 where the theory says that a smaller value goes with a better accuracy.
    as_expected : bool or None
        Whether Kendall's tau has that sign; ``None`` for tau = 0 too.
    min_p : float or None
        The smallest p-value of Kendall's tau that this number of models, with these ties, can give.
    conclusive : bool
        Whether `min_p` is at most 0.05; if not, n is too small to conclude anything.
    permutations : int
        Permutations behind the p-values.
    exact : bool
        Whether those were all there are.
    kendall_tau, spearman, pearson : Statistic
        Correlations; tau is tau-b.
    r2, rmse : Statistic
        Of the line ``accuracy = intercept + slope * metric``; ``rmse`` divides by n.
    slope : Statistic
        Of that line.
    slope_stderr, intercept : float or None
        Standard error of the slope (n - 2 degrees of freedom), and the intercept.
    loo_rmse : float or None
        RMSE where each model is predicted from the line through the others.
    loo_reason : str or None
        Why there is none.
    """

    metric: str
    group: str | None
    n: int
    left_out: tuple[str, ...]
    expected_sign: int | None
    as_expected: bool | None
    min_p: float | None
    conclusive: bool
    permutations: int
    exact: bool
    kendall_tau: Statistic
    spearman: Statistic
    pearson: Statistic
    r2: Statistic
    rmse: Statistic
    slope: Statistic
    slope_stderr: float | None
    intercept: float | None
    loo_rmse: float | None
    loo_reason: str | None


@dataclass(frozen=True)
class Paradox:
    """Whether a metric tells one story over all models and another within the groups.

    Attributes
    ----------
    metric : str
        Name of the metric.
    flagged : bool
        The signs differ between all models and a group, or between two groups, and each tau exceeds
        `threshold` in size.
    pooled_tau : float or None
        Kendall's tau over all models.
    within_tau : mapping of str to float or None
        Kendall's tau of each group.
    stratified_tau, stratified_p : float or None
        Kendall's tau over the pairs within groups, and its p-value by permutation within groups.
    between_tau : float or None
        Kendall's tau over the groups' means.
    threshold : float
        Smallest size of a tau whose sign counts.
    evidence : tuple of str
        The pairs whose signs differ, in words.
    """

    metric: str
    flagged: bool
    pooled_tau: float | None
    within_tau: Mapping[str, float | None]
    stratified_tau: float | None
    stratified_p: float | None
    between_tau: float | None
    threshold: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """All that was found out about one series: frozen, picklable, plain data."""

    schema_version: str
    tool: Tool
    source: str
    by: str | None
    settings: Mapping[str, Any]
    members: tuple[Member, ...]
    relations: tuple[Relation, ...]
    paradoxes: tuple[Paradox, ...]
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in the order in which they occur."""
        return tuple(dict.fromkeys(member.group for member in self.members if member.group is not None))

    def relation(self, metric: str, group: str | None = None) -> Relation:
        """Find the relation of one metric over all models or within a group.

        Raises
        ------
        KeyError
            There is none.
        """
        for found in self.relations:
            if (found.metric, found.group) == (metric, group):
                return found
        raise KeyError((metric, group))

    def to_json(self) -> str:
        """Give the result as JSON text, ending in a newline."""
        return to_json(self)

    def rows(self) -> list[dict[str, Any]]:
        """Give one flat dictionary a relation."""
        return [_flat(relation) for relation in self.relations]


def _flat(relation: Relation) -> dict[str, Any]:
    """Spread the statistics of a relation over columns."""
    row: dict[str, Any] = {}
    for name, value in vars(relation).items():
        if isinstance(value, Statistic):
            low, high = value.interval or (None, None)
            row |= {name: value.value, f"{name}_p": value.p_value, f"{name}_low": low, f"{name}_high": high}
        elif name == "left_out":
            row["left_out"] = "; ".join(value)
        elif name != "loo_reason":
            row[name] = value
    row["reason"] = relation.kendall_tau.reason
    return row
