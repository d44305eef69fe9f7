"""The committed results of the experiments bear out what docs/reproductions.md says of them."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "reproductions"
PAGE = (RESULTS.parent / "reproductions.md").read_text(encoding="utf-8")


def rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sweep(name: str, layer: str = "FC1") -> list[dict[str, str]]:
    return [r for r in rows("batch_size") if r["sweep"] == name and r["layer"] == layer and r["epoch"] != "0"]


def rho(found: list[dict[str, str]], metric: str) -> float:
    sizes = defaultdict(list)
    for row in found:
        sizes[int(row["batch"])].append(float(row[metric]))
    ordered = sorted(sizes)
    return float(spearmanr(ordered, [np.mean(sizes[size]) for size in ordered]).statistic)


@pytest.mark.parametrize(
    ("name", "layer", "entropy", "stable_rank"),
    [
        ("batch_size", "FC1", 0.992, 222.0),
        ("batch_size", "FC2", 0.9525, 66.0),
        ("mlp3_entropy", "FC1", 0.9196, 129.0),
        ("mlp3_entropy", "FC2", 0.9196, 128.0),
    ],
)
def test_initial_values_are_the_published_ones(name: str, layer: str, entropy: float, stable_rank: float) -> None:
    starts = {r["seed"]: r for r in rows(name) if r["epoch"] == "0" and r["layer"] == layer}
    assert len(starts) >= 3
    assert np.mean([float(r["entropy"]) for r in starts.values()]) == pytest.approx(entropy, rel=0.002)
    assert np.mean([float(r["stable_rank"]) for r in starts.values()]) == pytest.approx(stable_rank, rel=0.04)


@pytest.mark.parametrize("name", ["published", "cross_entropy"])
def test_small_batches_give_more_spikes_and_a_lower_soft_rank(name: str) -> None:
    found = sweep(name)
    assert {sum(row["batch"] == size for row in found) for size in {row["batch"] for row in found}} == {3}
    assert rho(found, "spikes") <= -0.8
    assert rho(found, "mp_softrank") >= 0.8


def test_batch_size_alone_reaches_four_phases_and_regularisation_the_others() -> None:
    by_size = {row["phase"] for name in ("published", "cross_entropy") for row in sweep(name)}
    assert by_size >= {"random_like", "bleeding_out", "bulk_spikes", "bulk_decay"}
    assert {row["phase"] for row in rows("regularisation")} >= {"heavy_tailed", "rank_collapse"}


def test_a_collapsed_layer_has_the_rank_of_its_images() -> None:
    collapsed = [row for row in rows("regularisation") if row["phase"] == "rank_collapse"]
    assert len(collapsed) >= 4
    assert {(row["layer"], row["rank"]) for row in collapsed} == {("FC1", "250")}


def test_a_lower_alpha_is_no_better_network() -> None:
    found = {row["variant"]: row for row in rows("regularisation") if row["layer"] == "FC1"}
    true, random = found["none"], found["label_noise_1"]
    assert float(random["alpha"]) < float(true["alpha"])
    assert float(random["test_accuracy"]) < 0.15 < float(true["test_accuracy"])


def test_the_whole_recipe_of_mlp3_ends_at_the_published_values() -> None:
    ends = {row["layer"]: row for row in rows("mlp3_entropy") if row["recipe"] == "published" and row["epoch"] == "44"}
    for layer, entropy, stable_rank in (("FC1", 0.9163, 98.0), ("FC2", 0.9074, 62.0)):
        assert float(ends[layer]["entropy"]) == pytest.approx(entropy, rel=0.002)
        assert float(ends[layer]["stable_rank"]) == pytest.approx(stable_rank, rel=0.04)


def test_spikes_follow_the_spiked_model() -> None:
    clear = [r for r in rows("lenet5_spikes") if float(r["theta_over_threshold"]) > 1.2]
    assert len(clear) >= 10
    errors = [abs(float(r["lambda_measured"]) / float(r["lambda_predicted"]) - 1) for r in clear]
    assert np.mean(errors) <= 0.08
    # the formula as it is printed, with |Delta|^2 / N for theta^2, is the same one
    for row in clear:
        assert float(row["lambda_seed_formula"]) == pytest.approx(float(row["lambda_predicted"]), rel=1e-4)


def test_every_file_is_shown_and_all_are_small() -> None:
    pages = PAGE + "".join(path.read_text(encoding="utf-8") for path in RESULTS.glob("*.md"))
    for path in RESULTS.iterdir():
        if path.suffix != ".csv":
            assert path.name in pages, path.name
    assert sum(path.stat().st_size for path in RESULTS.iterdir()) < 2_000_000
