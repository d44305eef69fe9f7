"""Whole models: pairs by content, saved reports, and the scale change of seed 002's figure 4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxspec
from onnxspec.comparing.align import Candidate, align

Write = Callable[..., Path]


def layers(kinds: Any, seed: int = 0, number: int = 5, shape: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {f"layer{i}": kinds.structured(shape, rng) for i in range(number)}


def test_a_copy_is_identical_under_any_names_and_order(kinds: Any, write: Write) -> None:
    a = layers(kinds)
    b = {f"t{i}": a[name] for i, name in enumerate(reversed(a))}
    found = onnxspec.compare(write("a", a), write("b", b), jobs=1)
    assert found.verdicts == {"identical": 5}
    assert {(pair.name_a, pair.name_b) for pair in found.pairs} == {(f"layer{i}", f"t{4 - i}") for i in range(5)}
    assert onnxspec.Comparison.from_json(found.to_json()) == found


def test_changed_layers_find_their_counterparts_under_other_names(kinds: Any, write: Write) -> None:
    rng = np.random.default_rng(1)
    a = layers(kinds, number=6)
    changed = {
        "layer0": kinds.round_trip(a["layer0"], 4),
        "layer1": kinds.merged_lora(a["layer1"], rng, 2, 0.2),
        "layer2": a["layer2"][rng.permutation(64)],
        "layer3": kinds.fine_tune(a["layer3"], rng, 0.1),
        "layer4": kinds.reinitialised(a["layer4"], rng),
    }
    order = rng.permutation(6)
    b = {f"t{i}": (a | changed)[f"layer{n}"] for i, n in enumerate(order)}
    found = onnxspec.compare(write("a", a), write("b", b), jobs=1)
    partner = {f"layer{n}": f"t{i}" for i, n in enumerate(order)}
    verdicts = {pair.name_a: pair.verdict for pair in found.pairs}
    assert all(partner[pair.name_a] == pair.name_b for pair in found.pairs)
    assert verdicts == {
        "layer0": "rounding",
        "layer1": "low_rank_update",
        "layer2": "permuted",
        "layer3": "dense_fine_tune",
        "layer4": "reinitialised",
        "layer5": "identical",
    }
    rounded = next(pair for pair in found.pairs if pair.name_a == "layer0")
    assert rounded.audit is not None
    assert rounded.audit["bits"] == 4
    assert 2.5 < rounded.audit["effective_bits_min"] <= rounded.audit["effective_bits_median"] < 4.1


def test_hidden_neurons_move_in_two_layers(kinds: Any, write: Write) -> None:
    rng = np.random.default_rng(2)
    first, second = kinds.structured((32, 96), rng), kinds.structured((96, 32), rng)  # inputs x outputs
    order = rng.permutation(96)
    a = {"up": first, "down": second}
    b = {"up": first[:, order], "down": second[order]}
    found = onnxspec.compare(write("a", a), write("b", b), jobs=1)
    assert found.verdicts == {"permuted": 2}
    assert [pair.changes[0].evidence["same_order_in"] for pair in found.pairs] == [["down"], ["up"]]
    assert all(abs(m.delta) < 1e-6 for pair in found.pairs for m in pair.measures if m.delta is not None)


def test_layers_without_counterpart_are_listed(kinds: Any, write: Write) -> None:
    a = layers(kinds, number=3)
    b = {"layer0": a["layer0"], "layer2": a["layer2"], "new": kinds.structured((20, 30), np.random.default_rng(3))}
    found = onnxspec.compare(write("a", a), write("b", b), jobs=1)
    assert found.verdicts == {"identical": 2}
    assert [(row.name, row.reason) for row in found.unmatched_a] == [("layer1", "no_layer_left")]
    assert [(row.name, row.reason) for row in found.unmatched_b] == [("new", "no_layer_of_shape")]


def test_the_scale_change_of_seed_002_figure_4(kinds: Any, write: Write) -> None:
    """THEORY.md 13.3: layers 3 and 5 of the baseline are scaled down; fine-tuning brings lambda_max back."""
    rng = np.random.default_rng(4)
    tuned = {f"conv{i}": kinds.structured((64, 64 * 9), rng).reshape(64, 64, 3, 3) for i in range(1, 6)}
    factors = {"conv3": np.sqrt(0.25 / 1.25), "conv5": np.sqrt(0.1 / 0.85)}
    baseline = {name: kinds.single(values * factors.get(name, 1.0)) for name, values in tuned.items()}
    paths = write("baseline", baseline), write("tuned", tuned)
    by_models = onnxspec.compare(*paths, jobs=1)
    by_reports = onnxspec.compare(*(onnxspec.analyze(path, effort="fast", jobs=1) for path in paths))
    assert by_reports.from_reports
    for found in (by_models, by_reports):
        assert found.verdicts == {"identical": 3, "scale_change_only": 2}
        moved = {
            pair.name_a: {m.name: m.delta for m in pair.measures} for pair in found.pairs if pair.verdict != "identical"
        }
        assert moved["conv3"]["log_spectral_norm"] == pytest.approx(np.log10(5.0), abs=1e-5)
        assert moved["conv5"]["log_spectral_norm"] == pytest.approx(np.log10(8.5), abs=1e-5)
        assert all(abs(deltas["alpha"]) < 1e-4 for deltas in moved.values())


def test_saved_reports_say_what_they_do_not_hold(kinds: Any, write: Write) -> None:
    rng = np.random.default_rng(5)
    a = layers(kinds, number=2)
    b = a | {"layer1": kinds.fine_tune(a["layer1"], rng, 0.3)}
    reports = [onnxspec.analyze(write(n, w), effort="fast", jobs=1) for n, w in (("a", a), ("b", b))]
    found = onnxspec.compare(reports[0], reports[1])
    assert [(pair.verdict, pair.reason) for pair in found.pairs] == [("identical", None), ("undecided", "needs_models")]
    assert "needs_models" in {note.code for note in found.diagnostics}


def test_assignment_prefers_content_to_names() -> None:
    rng = np.random.default_rng(6)
    values = rng.standard_normal((3, 4096))
    a = [Candidate(str(i), f"n{i}", (8, 8), sketch=v) for i, v in enumerate(values)]
    b = [
        Candidate(str(i), f"n{i}", (8, 8), sketch=values[(i + 1) % 3] + 0.5 * rng.standard_normal(4096))
        for i in range(3)
    ]
    assert {(m.a, m.b) for m in align(a, b).matches} == {(1, 0), (2, 1), (0, 2)}
    assert {m.matched_by for m in align(a, b).matches} == {"content"}


def test_without_content_names_and_then_places_decide() -> None:
    rng = np.random.default_rng(7)
    a = [Candidate(str(i), f"n{i}", (8, 8), sketch=rng.standard_normal(4096)) for i in range(4)]
    b = [
        Candidate(str(i), name, (8, 8), sketch=rng.standard_normal(4096))
        for i, name in enumerate(("x", "n0", "y", "n1"))
    ]
    found = {m.a: (m.b, m.matched_by) for m in align(a, b).matches}
    assert found == {0: (1, "name"), 1: (3, "name"), 2: (0, "place"), 3: (2, "place")}
