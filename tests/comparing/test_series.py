"""A series against the published table, and the paradox where it is planted."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from onnxspec.comparing.series.paradox import simpson
from onnxspec.comparing.series.ranking import rank
from onnxspec.comparing.series.stratified import within_groups
from onnxspec.results.series import Member, Series

# Table 1 of Nature Communications 12, 4122 (2021): RMSE, R2, tau; and the leave-one-out errors of the same data
PUBLISHED = {
    "VGG": {
        "log_norm": (0.561, 0.884, -0.786, 0.709),
        "log_spectral_norm": (0.227, 0.981, -0.929, 0.338),
        "alpha": (0.404, 0.940, 0.857, 0.544),
        "alpha_hat": (0.479, 0.915, -0.929, 0.798),
        "log_alpha_norm": (0.337, 0.958, -0.929, 0.496),
    },
    "ResNet": {
        "log_norm": (0.897, 0.917, -1.0, 1.561),
        "log_spectral_norm": (0.965, 0.903, -1.0, 1.480),
        "alpha": (2.179, 0.508, -0.6, 3.322),
        "alpha_hat": (0.613, 0.961, -1.0, 0.905),
        "log_alpha_norm": (0.665, 0.954, -1.0, 1.032),
    },
    "DenseNet": {
        "log_norm": (0.303, 0.932, -1.0, 0.595),
        "log_spectral_norm": (0.115, 0.990, -1.0, 0.278),
        "alpha": (1.161, 0.005, 0.0, 3.264),
        "alpha_hat": (0.164, 0.980, -1.0, 0.370),
        "log_alpha_norm": (0.212, 0.967, -1.0, 0.474),
    },
}
SLOPES = [
    ("VGG", "log_spectral_norm", -11.53),
    ("VGG", "alpha", 9.04),
    ("VGG", "alpha_hat", -8.245),
    ("ResNet", "alpha_hat", -3.726),
    ("ResNet", "alpha", -8.4),
    ("DenseNet", "alpha_hat", -4.099),
    (None, "alpha", 2.9),
]


@pytest.fixture(scope="module")
def published(fixtures: Path) -> Series:
    with (fixtures / "series" / "natcomm_cv.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = ("model", "group", "accuracy")
    return rank(
        [
            Member(
                row["model"],
                float(row["accuracy"]),
                row["group"],
                metrics={name: float(value) for name, value in row.items() if name not in kept},
            )
            for row in rows
        ],
        by="group",
    )


@pytest.mark.parametrize("group", PUBLISHED)
def test_the_published_table_to_its_digits(published: Series, group: str) -> None:
    for metric, (rmse, r2, tau, loo) in PUBLISHED[group].items():
        found = published.relation(metric, group)
        assert found.rmse.value == pytest.approx(rmse, abs=5e-4), metric
        assert found.r2.value == pytest.approx(r2, abs=5e-4), metric
        assert found.kendall_tau.value == pytest.approx(tau, abs=5e-4), metric
        assert found.loo_rmse == pytest.approx(loo, abs=5e-4), metric


@pytest.mark.parametrize(("group", "metric", "slope"), SLOPES)
def test_published_slopes(published: Series, group: str | None, metric: str, slope: float) -> None:
    digits = len(str(slope).partition(".")[2])
    assert published.relation(metric, group).slope.value == pytest.approx(slope, abs=0.51 * 10.0**-digits)


def test_the_pooled_trend(published: Series) -> None:
    alpha = published.relation("alpha")
    assert alpha.n == 17
    assert alpha.kendall_tau.value == pytest.approx(0.426, abs=5e-4)
    assert alpha.r2.value == pytest.approx(0.279, abs=5e-4)
    assert alpha.kendall_tau.p_value == pytest.approx(0.017, abs=0.004)
    assert alpha.as_expected is False
    others = [r for r in published.relations if r.group is None and r.metric != "alpha"]
    assert all(r.kendall_tau.value == pytest.approx(-0.72, abs=0.02) and r.as_expected for r in others)


def test_mean_alpha_is_flagged_and_nothing_else(published: Series) -> None:
    flagged = {paradox.metric: paradox for paradox in published.paradoxes if paradox.flagged}
    assert list(flagged) == ["alpha"]
    evidence = flagged["alpha"].evidence
    assert evidence == (
        "all models +0.43 (p 0.016), ResNet -0.60 (p 0.23)",
        "VGG +0.86 (p 0.0017), ResNet -0.60 (p 0.23)",
    )
    assert flagged["alpha"].between_tau == 1.0


def test_four_models_conclude_nothing(published: Series) -> None:
    for relation in published.relations:
        assert relation.conclusive is (relation.group != "DenseNet")
        if relation.group == "DenseNet":
            assert relation.min_p == pytest.approx(2 / 24)
            assert relation.kendall_tau.interval is None
            assert relation.kendall_tau.interval_reason == "too_few_models"


def test_the_mechanism_of_the_paradox() -> None:
    """Depth raises both; within one depth more of the metric is worse (THEORY 9.4)."""
    rng = np.random.default_rng(1)
    groups: dict[str, list[tuple[float, float]]] = {}
    for depth in range(5):
        noise = rng.normal(0.0, 0.2, 8)
        groups[str(depth)] = [(depth + e, depth - 0.5 * e) for e in noise.tolist()]
    pooled = [point for points in groups.values() for point in points]
    found = simpson("x", groups, pooled)
    assert found.flagged
    assert found.pooled_tau is not None
    assert found.pooled_tau > 0.5
    assert all(tau is not None and tau == pytest.approx(-1.0) for tau in found.within_tau.values())
    assert found.between_tau == 1.0
    along = {name: [(x, x) for x, _ in points] for name, points in groups.items()}
    assert not simpson("x", along, [point for points in along.values() for point in points]).flagged


def test_weak_and_tiny_groups_have_no_say() -> None:
    strong = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]
    two = [(0.0, 1.0), (1.0, 0.0)]
    weak = [(0.0, 0.0), (1.0, 3.0), (2.0, 1.0), (3.0, -1.0), (4.0, 2.0)]
    found = simpson("x", {"a": strong, "b": two, "c": weak}, strong + two + weak)
    assert found.within_tau["b"] is None
    assert found.within_tau["c"] is not None
    assert abs(found.within_tau["c"]) <= 0.3
    assert not found.flagged


def test_models_without_a_metric_are_left_out_and_named() -> None:
    members = [Member(f"m{k}", float(k), metrics={"x": float(k * k)}, reasons={"y": "effort"}) for k in range(4)]
    members.append(Member("lacking", 3.5, reasons={"x": "not_given", "y": "effort"}))
    members.append(Member("broken", 9.0, problem="cannot be read"))
    found = rank(members)
    x = found.relation("x")
    assert (x.n, x.left_out) == (4, ("lacking",))
    y = found.relation("y")
    assert y.n == 0
    assert {s.reason for s in (y.kendall_tau, y.spearman, y.pearson, y.r2, y.rmse, y.slope)} == {"effort"}
    assert y.loo_reason == "effort"
    assert y.as_expected is None
    assert not y.conclusive
    with pytest.raises(KeyError):
        found.relation("z")


def test_the_trend_within_groups_is_that_of_their_pairs() -> None:
    """Seven groups of three in perfect order conclude what none of them could."""
    groups = [[(float(k), 10.0 * g + k) for k in range(3)] for g in range(7)]
    found = within_groups(groups)
    assert found.tau == 1.0
    assert found.pairs == 21
    assert found.p_value is not None
    assert found.p_value <= 2e-4  # 2 / 6**7, of 9,999 drawn
    assert within_groups([groups[0]]).p_value == pytest.approx(2 / 6, abs=0.03)
    assert within_groups([[(1.0, 2.0)], []]) == (None, None, 0)
    assert within_groups([[(1.0, 2.0), (1.0, 3.0)]]).tau is None


def test_the_trend_within_groups_sees_nothing_between_them() -> None:
    rng = np.random.default_rng(11)
    groups = [rng.normal(size=(5, 2)) + np.array([100.0 * g, 50.0 * g]) for g in range(6)]
    shifted = [group + np.array([7.0 * k, -3.0 * k]) for k, group in enumerate(reversed(groups))]
    first = within_groups([list(map(tuple, group.tolist())) for group in groups])
    second = within_groups([list(map(tuple, group.tolist())) for group in shifted])
    assert first.tau == second.tau
    signs = [np.sign((a - b)[0] * (a - b)[1]) for group in groups for k, a in enumerate(group) for b in group[:k]]
    assert first.tau == pytest.approx(np.mean(signs))


def test_p_values_within_groups_are_uniform_without_a_relation() -> None:
    rng = np.random.default_rng(12)
    p = []
    for _ in range(60):
        found = within_groups([list(map(tuple, rng.normal(size=(3, 2)).tolist())) for _ in range(5)])
        p.append(found.p_value or 0.0)
    assert 0.3 < np.mean(p) < 0.75
    assert np.mean(np.array(p) <= 0.1) <= 0.1 + 3.0 * np.sqrt(0.09 / 60)
