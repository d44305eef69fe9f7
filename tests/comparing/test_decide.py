"""What happened to a matrix: every kind of change by its name, whatever its strength."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxspec.comparing.decide import decide
from onnxspec.comparing.facts import Facts


def wide(values: Any) -> Any:
    return np.asarray(values, np.float64)


@pytest.mark.parametrize(("rows", "columns", "positions"), [(96, 64, 1), (32, 32, 1), (24, 72, 9), (20, 16, 1)])
def test_every_kind_is_named(kinds: Any, rows: int, columns: int, positions: int) -> None:
    rng = np.random.default_rng(rows)
    a = kinds.structured((rows, columns), rng)
    wrong = []
    for name, b, expected in kinds.every_kind(a, rng, positions):
        found = decide(wide(a), wide(b), Facts(positions=positions)).changes
        if found[0].kind != expected:
            wrong.append((name, expected, [change.what for change in found]))
    assert not wrong


def test_equal_values_are_identical(kinds: Any) -> None:
    a = wide(kinds.structured((30, 20), np.random.default_rng(0)))
    assert [change.kind for change in decide(a, a.copy(), Facts()).changes] == ["identical"]


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_rank_of_an_update_is_counted(kinds: Any, rank: int) -> None:
    rng = np.random.default_rng(rank)
    a = kinds.structured((64, 48), rng)
    (change,) = decide(wide(a), wide(kinds.merged_lora(a, rng, rank, 0.1)), Facts()).changes
    assert (change.kind, change.evidence["rank"]) == ("low_rank_update", rank)
    assert change.evidence["energy"] > 0.999
    assert change.background["energy"] < 0.6  # the same directions once the elements are shuffled


@pytest.mark.parametrize(
    ("axis", "block", "granularity", "along"),
    [
        (None, None, "tensor", None),
        (1, None, "channel", "outputs"),
        (0, None, "channel", "inputs"),
        (1, 16, "block", "inputs"),
    ],
)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_bits_and_granularity_are_named(
    kinds: Any, axis: int | None, block: int | None, granularity: str, along: str | None, bits: int
) -> None:
    a = kinds.structured((40, 64), np.random.default_rng(bits))
    (change,) = decide(wide(a), wide(kinds.round_trip(a, bits, axis, block)), Facts()).changes
    assert change.kind == "rounding"
    assert (change.evidence["bits"], change.evidence["granularity"], change.evidence["axis"]) == (
        bits,
        granularity,
        along,
    )
    assert change.evidence["block"] == block
    assert change.evidence["share_within_half_step"] == 1.0
    assert change.background["share_within_half_step"] < 1.0


def test_what_is_rounded_last_is_named_last(kinds: Any) -> None:
    rng = np.random.default_rng(1)
    a = kinds.structured((64, 64), rng)
    changed = kinds.merged_lora(a, rng, 4, 0.3)
    for b, last in ((kinds.round_trip(changed, 8), "rounding"), (changed.astype(np.float16), "cast")):
        assert [change.kind for change in decide(wide(a), wide(b), Facts()).changes] == ["low_rank_update", last]


def test_direction_is_told(kinds: Any) -> None:
    a = kinds.structured((64, 64), np.random.default_rng(2))
    for b in (kinds.round_trip(a, 8), a.astype(np.float16), kinds.pruned(a, 0.5)):
        assert not decide(wide(a), wide(b), Facts()).reversed
        assert decide(wide(b), wide(a), Facts()).reversed


def test_an_update_of_some_rows_is_seen_in_those_rows(kinds: Any) -> None:
    rng = np.random.default_rng(3)
    a = kinds.structured((96, 48), rng)
    b = a.copy()
    b[:32] = kinds.merged_lora(a[:32], rng, 2, 0.2)
    (change,) = decide(wide(a), wide(b), Facts()).changes
    assert (change.kind, change.evidence["rank"], change.evidence["outputs_changed"]) == ("low_rank_update", 2, 32)


def test_a_folded_batch_norm_needs_one_in_the_other_graph(kinds: Any) -> None:
    rng = np.random.default_rng(4)
    a = kinds.structured((32, 72), rng)
    b = kinds.single(a * rng.uniform(0.2, 3.0, (32, 1)))
    folded = Facts(positions=9, batch_norm_a=True, batch_norm_b=False, convolution=True)
    neither = Facts(positions=9, batch_norm_a=False, batch_norm_b=False, convolution=True)
    assert decide(wide(a), wide(b), folded).changes[0].kind == "batch_norm_folded"
    assert decide(wide(a), wide(b), neither).changes[0].kind == "channels_scaled"


def test_nan_does_not_hide_what_else_happened(kinds: Any) -> None:
    a = kinds.structured((64, 64), np.random.default_rng(5))
    b = kinds.round_trip(a, 8)
    b[3, 3] = np.nan
    found = decide(wide(a), wide(b), Facts()).changes
    assert [change.kind for change in found] == ["not_finite", "rounding"]
    assert found[0].evidence["bad_b"] == 1


def test_a_tail_of_directions_is_no_permutation(kinds: Any) -> None:
    """Two matrices ruled by one direction agree well in the best order of each other, and are strangers still."""
    rng = np.random.default_rng(6)
    a, b = (
        (rng.standard_normal((64, 1)) @ rng.standard_normal((1, 64))) + 0.3 * rng.standard_normal((64, 64))
        for _ in "ab"
    )
    assert decide(a, b, Facts()).changes[0].kind in ("unrelated", "undecided")


def test_strangers_of_few_directions_are_no_low_rank_update(kinds: Any) -> None:
    """Tables of which few rows are used, stored in few bits: their difference has few directions above the noise."""
    rng = np.random.default_rng(7)
    a, b = (0.01 * rng.standard_normal((200, 64)) for _ in "ab")
    for table in (a, b):
        table[:20] += rng.standard_normal((20, 64))
    (first, *_) = decide(wide(kinds.round_trip(a, 8, None)), wide(kinds.round_trip(b, 8, None)), Facts()).changes
    assert first.kind in ("unrelated", "undecided")


def test_one_changed_value_is_seen_in_any_storage(kinds: Any) -> None:
    a = kinds.structured((64, 64), np.random.default_rng(10))
    for stored in (a, kinds.single(a.astype(np.float16)), kinds.round_trip(a, 8)):
        b = stored.copy()
        b[5, 5] = stored.max() if stored[5, 5] < 0 else stored.min()
        assert [change.kind for change in decide(wide(stored), wide(b), Facts()).changes] == ["sparse_update"]


def test_a_stranger_on_a_coarse_grid_is_no_rounding(kinds: Any) -> None:
    rng = np.random.default_rng(8)
    a = 1e-3 * rng.standard_normal((100, 100))
    b = np.zeros((100, 100))
    b.flat[rng.permutation(10_000)[:9]] = 0.5
    assert decide(a, b, Facts()).changes[0].kind != "rounding"


def test_two_bits_for_a_heavy_tail_are_a_rounding(kinds: Any) -> None:
    rng = np.random.default_rng(9)
    a = rng.standard_t(3, (128, 64))
    (change,) = decide(a, wide(kinds.round_trip(a, 2, None)), Facts()).changes
    assert (change.kind, change.evidence["bits"]) == ("rounding", 2)


def test_zero_matrices_are_not_judged() -> None:
    a = np.zeros((16, 16))
    b = np.random.default_rng(0).standard_normal((16, 16))
    assert decide(a, b, Facts()).changes[0].kind in ("undecided", "pruned")
