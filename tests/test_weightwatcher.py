"""WeightWatcher's conventions: its stored answers, a slow oracle, and what is deliberately not copied."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.weightwatcher import COLUMNS, Cell, Kind, details, to_csv
from tests.oracle import naive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MUST_AGREE = (
    "alpha", "D", "sigma", "xmin", "num_pl_spikes", "log_norm", "log_spectral_norm", "log_alpha_norm",
    "alpha_weighted", "stable_rank", "lambda_max", "norm", "entropy", "Q", "N", "M", "num_evals",
)  # fmt: skip
AGREE_TOO = ("matrix_rank", "rank_loss", "weak_rank_loss", "rf", "spectral_norm", "sv_max", "sv_min", "xmax")
NORMS = ("norm", "spectral_norm", "lambda_max", "num_evals", "N", "M", "Q", "matrix_rank", "rank_loss")
FIT = ("alpha", "D", "sigma", "xmin", "xmax", "num_pl_spikes", "alpha_weighted", "log_alpha_norm")

Row = dict[str, Cell]


@pytest.fixture(scope="module")
def reference(shared: Path) -> Path:
    return shared / "reference" / "weightwatcher"


@pytest.fixture(scope="module")
def weights(reference: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(reference / "weights.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def ours(weights: dict[str, NDArray[np.float32]]) -> dict[str, Row]:
    return {name: details(array, kind=kind_of(name, array)) for name, array in weights.items()}


def kind_of(name: str, array: NDArray[np.float32]) -> Kind:
    if array.ndim > 2:
        return "conv"
    return "embedding" if name.startswith("emb") else "dense"


def theirs(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def match(row: dict[str, str], ours: dict[str, Row]) -> Row:
    """Find the one row of ours with the same N, M and norm."""
    found = [
        mine
        for mine in ours.values()
        if (mine["N"], mine["M"]) == (int(row["N"]), int(row["M"]))
        and mine["norm"] == pytest.approx(float(row["norm"]), rel=1e-6)
    ]
    assert len(found) == 1, row["name"]
    return found[0]


def number(row: Row, column: str) -> float:
    value = row[column]
    assert isinstance(value, (int, float))
    return value


def fitted_with_20(row: dict[str, str]) -> bool:
    return row["status"] == "success" and int(row["num_evals"]) >= 20


def assert_agrees(mine: Row, row: dict[str, str], columns: tuple[str, ...], rel: float) -> None:
    for column in columns:
        assert mine[column] == pytest.approx(float(row[column]), rel=rel, abs=0.0), (row["name"], column)


def test_columns_are_weightwatchers(reference: Path) -> None:
    with (reference / "details_onnx_default.csv").open(newline="") as handle:
        assert list(COLUMNS) == next(csv.reader(handle))


@pytest.mark.parametrize("stored", ["details_onnx_default.csv", "details_default.csv", "details_min_evals_50.csv"])
def test_layers_that_weightwatcher_fitted(reference: Path, ours: dict[str, Row], stored: str) -> None:
    rows = [row for row in theirs(reference / stored) if fitted_with_20(row)]
    assert len(rows) == (19 if "min_evals" not in stored else 17)
    for row in rows:
        mine = match(row, ours)
        assert_agrees(mine, row, MUST_AGREE, rel=1e-6)
        assert_agrees(mine, row, AGREE_TOO, rel=1e-6)
        assert (mine["status"], mine["warning"]) == ("success", row["warning"])


def test_layers_that_weightwatcher_did_not_fit_or_too_small(reference: Path, ours: dict[str, Row]) -> None:
    rows = [row for row in theirs(reference / "details_default.csv") if not fitted_with_20(row)]
    assert len(rows) == 4
    for row in rows:
        mine = match(row, ours)
        assert_agrees(mine, row, NORMS, rel=1e-6)
        assert [mine[column] for column in FIT] == [None] * len(FIT)
        assert (mine["status"], mine["warning"]) == (
            "failed",
            "zero_matrix" if row["name"] == "zeros_64x64" else "too_small",
        )


def test_without_the_conv_factor(reference: Path, weights: dict[str, NDArray[np.float32]]) -> None:
    rows = [row for row in theirs(reference / "details_conv2d_norm_false.csv") if row["layer_type"] == "conv2d"]
    assert len(rows) == 8
    for row in rows:
        mine = details(weights[row["name"]] * np.float64(np.sqrt(2.0)), kind="conv")
        assert_agrees(mine, row, MUST_AGREE if fitted_with_20(row) else NORMS, rel=1e-6)


def test_unpooled_slices_are_matrices_scaled_by_the_kernel(
    reference: Path, weights: dict[str, NDArray[np.float32]]
) -> None:
    rows = [row for row in theirs(reference / "details_pool_false.csv") if row["layer_type"] == "conv2d"]
    assert len(rows) == 269
    columns = ("norm", "log_norm", "lambda_max", "stable_rank", "entropy", "matrix_rank", "sv_max", "sv_min")
    for row in rows:
        array = weights[row["name"]].astype(np.float64)
        slices = array.reshape(*array.shape[:2], -1)
        one = slices[:, :, int(row["slice_id"])] * math.sqrt(slices.shape[2] / 2.0)
        assert_agrees(details(one, kind="dense"), row, columns, rel=1e-6)


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_convolutions_against_the_slow_oracle(shape: tuple[int, int, int, int], seed: int) -> None:
    array = np.random.default_rng(seed).standard_t(2.5, size=shape)
    row = details(array, kind="conv")
    evals = [
        float(sv) ** 2 / 2.0
        for i in range(shape[2])
        for j in range(shape[3])
        for sv in np.linalg.svd(array[:, :, i, j], compute_uv=False)
    ]
    assert (row["N"], row["M"]) == naive.weightwatcher_shape(shape)
    assert row["rf"] == shape[2] * shape[3]
    assert row["num_evals"] == len(evals)
    assert row["norm"] == pytest.approx(float(np.sum(array**2)) / 2.0, rel=1e-12)
    if len(evals) > 1:
        assert row["entropy"] == pytest.approx(naive.weightwatcher_entropy(evals, len(evals)), rel=1e-9)
    if len(evals) < 20:
        assert (row["alpha"], row["warning"]) == (None, "too_small" if len(evals) > 1 else "rank_one")
        return
    alpha, distance, xmin, tail = naive.weightwatcher_fit(evals)
    assert row["D"] == pytest.approx(distance, rel=1e-9)
    assert row["alpha"] == pytest.approx(alpha, rel=1e-9)
    assert row["xmin"] == pytest.approx(xmin, rel=1e-9)
    assert row["num_pl_spikes"] == tail
    assert row["sigma"] == pytest.approx((alpha - 1.0) / math.sqrt(tail), rel=1e-9)
    assert row["alpha_weighted"] == pytest.approx(alpha * math.log10(max(evals)), rel=1e-9)
    log_alpha_norm = math.log10(math.fsum(value**alpha for value in evals))
    assert row["log_alpha_norm"] == pytest.approx(log_alpha_norm, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "printed"),
    [
        ((16, 32, 3, 3), (32, 16)),
        ((16, 32, 4, 4), (16, 32)),
        ((32, 16, 4, 4), (32, 16)),
        ((16, 32, 2, 3), (16, 32)),
        ((8, 16, 15, 15), (8, 16)),
    ],
)
def test_n_and_m_are_swapped_for_an_even_number_of_kernel_positions(
    shape: tuple[int, ...], printed: tuple[int, int]
) -> None:
    row = details(np.random.default_rng(0).normal(size=shape), kind="conv")
    assert (row["N"], row["M"]) == printed
    assert row["Q"] == printed[0] / printed[1]


def test_the_cut_is_absolute_so_scaling_moves_alpha() -> None:
    evals = np.random.default_rng(1).pareto(1.0, size=200) + 1.0
    array = np.diag(np.sqrt(evals))
    scaled = array * 2.0**-9
    kept = (evals * 2.0**-18)[evals * 2.0**-18 > 1e-5]
    assert 20 < kept.size < 100
    row = details(scaled, kind="dense")
    alpha, _, xmin, _ = naive.weightwatcher_fit(kept.tolist())
    assert row["alpha"] == pytest.approx(alpha, rel=1e-9)
    assert row["xmin"] == pytest.approx(xmin, rel=1e-9)
    assert row["num_evals"] == 200
    assert abs(number(details(array, kind="dense"), "alpha") - alpha) > 0.01


def test_rank_is_float64s_even_of_float32_data() -> None:
    generator = np.random.default_rng(2)
    product = (generator.normal(size=(64, 5)) @ generator.normal(size=(5, 40))).astype(np.float32)
    exact = np.round(generator.normal(size=(64, 5)) * 8) @ np.round(generator.normal(size=(5, 40)) * 8)
    assert details(product, kind="dense")["matrix_rank"] == 40  # rounding to float32 fills the rank
    row = details(exact, kind="dense")
    assert (row["matrix_rank"], row["rank_loss"], row["weak_rank_loss"]) == (5, 35, 35)


def test_sv_min_is_the_largest_of_the_smallest() -> None:
    array = np.zeros((2, 2, 1, 2))
    array[:, :, 0, 0], array[:, :, 0, 1] = np.diag([4.0, 1.0]), np.diag([8.0, 2.0])
    row = details(array, kind="conv")
    assert row["sv_min"] == pytest.approx(2.0 / math.sqrt(2.0))
    assert row["sv_max"] == pytest.approx(8.0 / math.sqrt(2.0))


def test_transposing_moves_nothing_and_a_stack_is_pooled() -> None:
    array = np.random.default_rng(3).normal(size=(60, 40))
    row = details(array, kind="dense")
    for other in (array.T, np.asfortranarray(array), array[None]):
        for column, value in details(other, kind="dense").items():
            close = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert row[column] == close, column
    pooled = details(np.stack([array, array[::-1]]), kind="dense")
    assert (pooled["num_evals"], pooled["N"], pooled["M"]) == (80, 60, 40)
    assert pooled["norm"] == pytest.approx(2.0 * number(row, "norm"))


def test_no_fit_leaves_empty_numbers_and_a_reason() -> None:
    generator = np.random.default_rng(4)
    whole = np.outer(np.arange(1.0, 41.0), np.arange(1.0, 31.0))
    cases = {
        "too_small": generator.normal(size=(40, 19)),
        "zero_matrix": np.zeros((40, 30)),
        "rank_one": whole,
        "flat_spectrum": np.eye(32),
    }
    for reason, array in cases.items():
        row = details(array, kind="dense")
        assert (row["status"], row["warning"]) == ("failed", reason)
        assert [row[column] for column in FIT] == [None] * len(FIT)
        assert row["norm"] == pytest.approx(float(np.sum(array**2)))
    tiny = details(generator.normal(size=(60, 40)) * 1e-6, kind="dense")
    assert (tiny["warning"], tiny["alpha"], tiny["weak_rank_loss"]) == ("too_small", None, 40)
    zero = details(np.zeros((40, 30)), kind="dense")
    assert [zero[column] for column in ("log_norm", "log_spectral_norm", "stable_rank", "entropy")] == [None] * 4
    assert (zero["norm"], zero["matrix_rank"], zero["rank_loss"]) == (0.0, 0, 30)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_numbers_are_finite_or_missing(bad: float) -> None:
    array = np.random.default_rng(5).normal(size=(60, 40))
    array[3, 4] = bad
    row = details(array, kind="dense")
    assert (row["status"], row["warning"], row["norm"], row["alpha"]) == ("failed", "non_finite", None, None)
    assert (row["N"], row["M"]) == (60, 40)
    assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))


def test_log_alpha_norm_survives_where_the_sum_overflows() -> None:
    array = np.random.default_rng(6).normal(size=(512, 512))
    unit, large = details(array, kind="dense"), details(array * 1e30, kind="dense")
    assert number(large, "log_alpha_norm") > 310.0
    expected = number(unit, "log_alpha_norm") + 60.0 * number(unit, "alpha")
    assert large["log_alpha_norm"] == pytest.approx(expected, rel=1e-6)


def test_what_is_no_matrix_is_refused() -> None:
    for shape in ((5,), (0, 4), ()):
        with pytest.raises(ValueError, match="no matrix"):
            details(np.zeros(shape), kind="dense")


def labelled(name: str) -> Row:
    row = details(np.random.default_rng(7).normal(size=(40, 30)), kind="dense")
    return {"layer_id": 3, "name": name, "longname": name, **row}


def test_csv_gives_every_number_back() -> None:
    row = labelled("encoder.0.weight")
    row["D"] = None
    text = to_csv([row, row])
    assert text.splitlines()[0] == ",".join(COLUMNS)
    back = list(csv.DictReader(io.StringIO(text)))
    assert len(back) == 2
    assert (back[0]["layer_id"], back[0]["name"], back[0]["D"]) == ("3", "encoder.0.weight", "")
    for column, value in row.items():
        if isinstance(value, float):
            assert float(back[0][column]) == value


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ('a,"b"', 'a,"b"'),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("../x", "../x"),
        ("größe", "größe"),
    ],
)
def test_hostile_names_stay_text_of_one_line(name: str, cell: str) -> None:
    text = to_csv([labelled(name)])
    assert text.count("\n") == 2
    assert next(csv.DictReader(io.StringIO(text)))["name"] == cell


def test_csv_refuses_a_row_without_its_name() -> None:
    with pytest.raises(KeyError):
        to_csv([details(np.eye(3), kind="dense")])
