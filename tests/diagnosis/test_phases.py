from __future__ import annotations

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from onnxspec.diagnosis.phases import classify
from onnxspec.laws import marchenko_pastur
from onnxspec.laws.spiked import haar
from onnxspec.spectra.eigen import spectrum
from tests.oracle.phase_generators import GENERATORS, UNSEEN, phase_of

SEED = 424242  # drawn after the thresholds were frozen


def evals_of(W: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.eigvalsh(W.T @ W)[::-1], 0.0) / W.shape[0]


def test_generators_are_told_apart() -> None:
    rng = np.random.default_rng(SEED)
    counts: dict[str, Counter[str]] = {}
    for name, generate in GENERATORS.items():
        labels = [phase_of(generate(rng, N, M)).label for N, M in ((300, 150), (200, 200)) for _ in range(12)]
        counts[name] = Counter(labels)
    right = {name: row[name] / 24 for name, row in counts.items()}
    assert right["rank_collapse"] == 1.0
    assert min(right.values()) >= 0.75, counts
    assert sum(right.values()) / 6 >= 0.92, counts


@pytest.mark.parametrize(
    "name", ["below_threshold", "pruned", "block_sparse", "shifted_mean", "inverse_wishart", "dead_columns"]
)
def test_generators_that_no_threshold_has_seen(name: str) -> None:
    truth, generate = UNSEEN[name]
    rng = np.random.default_rng([SEED, 1])
    labels = [phase_of(generate(rng, 300, 150)).label for _ in range(8)]
    assert labels.count(truth) >= 7, labels


@pytest.mark.parametrize(("N", "M"), [(300, 300), (600, 300), (2000, 200)])
def test_the_law_itself_is_random_like(N: int, M: int) -> None:
    p = (np.arange(M) + 0.5) / M
    phase = classify(marchenko_pastur.quantile(p, N / M)[::-1], N, M)
    assert phase.label == "random_like"
    assert phase.features is not None
    assert phase.features.spikes == 0
    assert phase.features.stretch == pytest.approx(0.0, abs=0.03)


def test_one_eigenvalue_beyond_the_edge() -> None:
    p = (np.arange(300) + 0.5) / 300
    evals = marchenko_pastur.quantile(p, 2.0)[::-1].copy()
    plus = marchenko_pastur.edges(2.0)[1]
    for ratio, label in ((1.2, "bleeding_out"), (1.4, "bulk_spikes")):
        evals[0] = ratio * plus
        phase = classify(evals, 600, 300)
        assert phase.label == label
        assert "tikhonov_like" in phase.labels
        assert phase.margins["edge_ratio"] * (ratio - 1.3) > 0.0


def test_isometric_and_undecided() -> None:
    rng = np.random.default_rng(0)
    assert classify(np.full(60, 3.0), 60, 60).label == "isometric"
    assert phase_of(haar(rng, 128, 64)).label == "isometric"
    cases = [
        (np.zeros(64), 0, "zero_matrix"),
        (np.ones(40) + np.arange(40)[::-1], 0, "too_small"),
        (np.r_[5.0, np.zeros(63)], 63, "rank_one"),
        (np.r_[np.inf, np.ones(63)], 0, "non_finite"),
    ]
    for evals, zeros, reason in cases:
        phase = classify(evals, 64, evals.size, zeros=zeros)
        assert (phase.label, phase.reason, phase.confidence) == ("undecided", reason, None)


def test_the_part_that_has_not_collapsed() -> None:
    rng = np.random.default_rng(5)
    W = np.hstack([rng.standard_normal((400, 100)), np.zeros((400, 40))])
    phase = phase_of(W)
    assert phase.label == "rank_collapse"
    assert phase.features is not None
    assert phase.features.zero_share == pytest.approx(40 / 140)
    # 100 columns of pure noise are left, and they know it
    assert classify(evals_of(W), 400, 140).labels == ("no_bulk", "rest_random_like")


def test_a_spectrum_that_runs_below_the_precision_is_no_collapse() -> None:
    rng = np.random.default_rng(6)
    sv = (1.0 - (np.arange(200) + 0.5) / 200) ** (-0.5 / 0.28)  # power law, alpha 1.28; tolerance 1.6 of 1 to 44,000
    s = spectrum((haar(rng, 300, 200) * sv) @ haar(rng, 200, 200).T, dtype="float32")
    assert 0.1 < 1.0 - s.rank / s.M < 0.5
    assert classify(s.evals, 300, 200, zeros=s.M - s.rank).label == "heavy_tailed"


@pytest.mark.parametrize("scale", [2.0**-40, 1e-12, 7.0, 1e20])
def test_the_unit_does_not_matter(scale: float) -> None:
    rng = np.random.default_rng(7)
    for generate in GENERATORS.values():
        evals = evals_of(generate(rng, 200, 100))
        assert classify(evals * scale, 200, 100).label == classify(evals, 200, 100).label


def test_confidence_falls_near_a_threshold() -> None:
    p = (np.arange(300) + 0.5) / 300
    evals = marchenko_pastur.quantile(p, 2.0)[::-1].copy()
    plus = marchenko_pastur.edges(2.0)[1]
    values = []
    for ratio in (1.301, 1.35, 1.5):
        evals[0] = ratio * plus
        values.append(classify(evals, 600, 300).confidence)
    assert values[0] == pytest.approx(0.5, abs=0.1)
    assert sorted(values) == values
    assert values[2] > 0.9


def test_every_result_is_plain() -> None:
    rng = np.random.default_rng(9)
    for generate in GENERATORS.values():
        phase = phase_of(generate(rng, 200, 100))
        assert phase.confidence is not None
        assert 0.5 <= phase.confidence <= 1.0
        assert json.loads(json.dumps(dataclasses.asdict(phase), allow_nan=False))["label"] == phase.label


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="belong"):
        classify(np.ones(10), 20, 12)
