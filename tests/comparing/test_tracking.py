"""Layers over checkpoints: which is which, and what changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import onnxspec
from onnxspec.comparing.checkpoints.courses import follow
from onnxspec.results import Layer, Layers, Report
from onnxspec.results.tracking import Checkpoint, Track

LARGE = {"shape": (99, 32), "N": 99}


@pytest.fixture(scope="module")
def base(fixtures: Path) -> Report:
    return onnxspec.analyze(fixtures / "models" / "conv2d.onnx", effort="fast")


def a_layer(own: str, **changes: Any) -> Layer:
    values = {
        "id": own,
        "name": own,
        "op_type": "Gemm",
        "role": "dense",
        "tensor": f"{own}.weight",
        "used_by": (f"/{own}/Gemm:1",),
        "shape": (64, 32),
        "dtype": "float32",
        "parameters": 2048,
        "averaged": True,
        "N": 64,
        "M": 32,
        "value_hash": f"hash of {own}",
        "entropy": 0.9,
        "lambda_max": 1.0,
        "spikes": 0,
        "rank_loss": 0,
        "phase": "random_like",
        "trained": {"verdict": "noise", "p_value": 0.4},
        "mp": {"mp_softrank": 1.0},
    }
    return Layer(**{**values, **changes})


def tracked(base: Report, *checkpoints: list[Layer] | None) -> Track:
    pairs = []
    for number, layers in enumerate(checkpoints):
        report = None if layers is None else replace(base, layers=Layers(layers))
        problem = "broken" if layers is None else None
        pairs.append((Checkpoint(str(number), f"{number}.onnx", problem=problem), report))
    return follow(pairs)


def test_layers_are_found_by_tensor_then_name_then_values_then_place(base: Report) -> None:
    track = tracked(
        base,
        [a_layer("a"), a_layer("b"), a_layer("c", **LARGE)],
        [a_layer("b", name="moved"), a_layer("a"), a_layer("c", tensor="other", **LARGE)],
        [a_layer("x1"), a_layer("x2", value_hash="hash of b"), a_layer("x3", **LARGE)],
    )
    assert [course.name for course in track.layers] == ["a", "b", "c"]
    assert [course.matched_by for course in track.layers] == [
        ("first", "tensor", "place"),
        ("first", "tensor", "values"),
        ("first", "name", "place"),
    ]
    assert "renamed; found again by size and place: a, c" in track.notes


def test_another_shape_is_another_layer(base: Report) -> None:
    track = tracked(base, [a_layer("a")], [a_layer("a", **LARGE)], [a_layer("a")])
    assert [course.matched_by for course in track.layers] == [("first", None, "tensor"), (None, "first", None)]
    assert "not in every checkpoint: a, a" in track.notes


def test_a_broken_checkpoint_leaves_a_gap(base: Report) -> None:
    grown = a_layer("a", phase="bulk_spikes", spikes=3)
    track = tracked(base, [a_layer("a")], None, [grown])
    assert track.layers[0].phases == ("random_like", None, "bulk_spikes")
    assert [(t.kind, t.before, t.after) for t in track.transitions] == [("phase", 0, 2), ("spikes", 0, 2)]
    assert len(track.rows()) == 2


def test_layers_that_never_change_are_told(base: Report) -> None:
    track = tracked(base, [a_layer("a"), a_layer("b")], [a_layer("a"), a_layer("b", value_hash="new")])
    assert track.notes == ("never changed: a",)


def test_transitions_carry_their_numbers(base: Report) -> None:
    after = a_layer(
        "a",
        entropy=0.7,
        phase="heavy_tailed",
        spikes=4,
        rank_loss=3,
        trained={"verdict": "structured", "p_value": 1e-9, "p_adjusted": 3e-9},
        mp={"mp_softrank": 0.2},
    )
    track = tracked(base, [a_layer("a")], [a_layer("a", phase="undecided")], [after])
    found = {t.kind: t for t in track.transitions}
    assert set(found) == {"phase", "trained", "spikes", "rank_loss"}
    phase = found["phase"]
    assert (phase.before, phase.after, phase.from_value, phase.to_value) == (0, 2, "random_like", "heavy_tailed")
    assert phase.numbers["mp_softrank_before"] == 1.0
    assert phase.numbers["mp_softrank_after"] == 0.2
    assert found["trained"].numbers == {"trained_p_before": 0.4, "trained_p_after": 3e-9}
    assert (found["spikes"].from_value, found["spikes"].to_value) == (0.0, 4.0)


@pytest.mark.parametrize(("values", "flagged"), [((1, 20), ["a"]), ((20, 1), ["a"]), ((1, 9), [])])
def test_a_jump_of_scale_is_more_than_a_decade(base: Report, values: tuple[float, float], flagged: list[str]) -> None:
    first, second = ([a_layer("a", lambda_max=v)] for v in values)
    track = tracked(base, first, second)
    assert [t.layer for t in track.transitions if t.kind == "scale_jump"] == flagged


def test_a_jump_counts_against_what_the_others_do(base: Report) -> None:
    names = "abcde"
    first = [a_layer(name) for name in names]
    together = tracked(base, first, [a_layer(name, lambda_max=30.0) for name in names])
    assert not together.transitions
    alone = tracked(base, first, [a_layer(name, lambda_max=1.0 if name == "c" else 30.0) for name in names])
    (jump,) = alone.transitions
    assert (jump.layer, jump.kind) == ("c", "scale_jump")
    assert jump.numbers["decades"] == 0.0
    assert jump.numbers["median_layer"] == pytest.approx(1.4771, abs=1e-4)


def test_a_little_rank_is_lost_by_chance(base: Report) -> None:
    wide = {"shape": (512, 512), "N": 512, "M": 512}
    track = tracked(base, [a_layer("a", **wide)], [a_layer("a", rank_loss=1, **wide)])
    assert not track.transitions


def test_failed_layers_have_a_reason_and_no_numbers(base: Report) -> None:
    failed = a_layer("a", status="failed", reason="non_finite", phase=None, trained=None, value_hash=None)
    track = tracked(base, [a_layer("a")], [failed])
    course = track.course("a.weight")
    assert course.reasons == (None, "non_finite")
    assert course.values["entropy"] == (0.9, None)
    assert not track.transitions
    with pytest.raises(KeyError):
        track.course("b")
