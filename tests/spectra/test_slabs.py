"""A matrix read in slabs gives what it gives in one piece, wherever its values come from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from onnxspec.diagnosis.exchangeability import clip_tails, correlation_score, entry_sums
from onnxspec.diagnosis.noise_parts import eigenvalues
from onnxspec.diagnosis.trained import trained_verdict
from onnxspec.graph import layouts, values
from onnxspec.graph.constants import Constant
from onnxspec.graph.values import Held, InFile, in_file
from onnxspec.layers.verdicts import excess_kurtosis
from onnxspec.reading import StoredTensor
from onnxspec.spectra import slabs as slabs_module
from onnxspec.spectra.eigen import spectrum
from onnxspec.spectra.slabs import Slabs, gram, slab_rows


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs_module, "SLAB_ELEMENTS", 500)
    monkeypatch.setattr(values, "IN_FILE", 1000)


def heavy(n: int, m: int) -> np.ndarray:
    random = np.random.default_rng(n)
    return (random.standard_t(3, (n, m)) * random.pareto(3.0, (n, 1)) + 0.2).astype(np.float32)


SHAPES = [(300, 40), (40, 300), (64, 64), (1201, 11)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_sum_over_slabs_is_that_over_the_matrix(shape: tuple[int, int]) -> None:
    w = heavy(*shape)
    whole, parts = w.astype(np.float64), Slabs(Held(w))
    assert len(parts.starts()) == -(-max(shape) // slab_rows(min(shape)))
    np.testing.assert_array_equal(parts.whole(), whole)
    assert parts.largest() == np.abs(whole).max()
    assert parts.mean() == pytest.approx(whole.mean())
    vector = np.arange(shape[1], dtype=float)
    np.testing.assert_allclose(parts.dot(vector), whole @ vector)
    np.testing.assert_allclose(eigenvalues(parts), eigenvalues(whole), atol=1e-12 * eigenvalues(whole)[0])
    assert excess_kurtosis(parts) == pytest.approx(excess_kurtosis(whole))
    mine, theirs = entry_sums(parts), entry_sums(whole)
    assert mine is not None
    assert theirs is not None
    for name in ("row_sums", "col_sums", "row_squares", "col_squares", "moments"):
        np.testing.assert_allclose(getattr(mine, name), getattr(theirs, name), rtol=1e-9, atol=1e-9)
    clipped, expected = clip_tails(parts, mine.mean), clip_tails(whole, theirs.mean)
    assert isinstance(clipped, Slabs)
    np.testing.assert_allclose(clipped.whole(), expected, rtol=1e-9, atol=1e-12)
    shifted = replace(clipped, shift=0.5).whole()
    np.testing.assert_allclose(shifted, np.asarray(expected) - 0.5, rtol=1e-9, atol=1e-12)
    score = correlation_score(mine, parts, float(np.sum(eigenvalues(whole) ** 2)) * max(shape) ** 2)
    assert score == pytest.approx(
        correlation_score(theirs, whole, float(np.sum(eigenvalues(whole) ** 2)) * max(shape) ** 2)
    )


@pytest.mark.parametrize("scale", [1.0, 2.0**-100])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_trained_verdict_is_the_same(shape: tuple[int, int], scale: float) -> None:
    w = (heavy(*shape) * np.float32(scale)).astype(np.float32)
    mine, theirs = trained_verdict(Slabs(Held(w))), trained_verdict(w.astype(np.float64))
    assert mine.verdict == theirs.verdict
    assert mine.p_value == pytest.approx(theirs.p_value, rel=1e-6)
    for a, b in zip(mine.parts, theirs.parts, strict=True):
        assert a.score == (None if b.score is None else pytest.approx(b.score, rel=1e-6))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_spectrum_against_an_svd(shape: tuple[int, int]) -> None:
    w = heavy(*shape)
    expected = np.linalg.svd(w.astype(np.float64), compute_uv=False)
    found = spectrum(Slabs(Held(w)))
    np.testing.assert_allclose(found.singular_values, expected, rtol=1e-9, atol=1e-7 * expected[0])
    np.testing.assert_allclose(spectrum(Slabs(Held(w)), exact=True).singular_values, expected, rtol=1e-12)
    assert sorted(shape) == [found.M, found.N]


def test_slabs_are_added_in_their_order_whoever_computes_them() -> None:
    w = heavy(300, 40)

    def backwards(function, items):  # type: ignore[no-untyped-def]
        results = [function(item) for item in reversed(list(items))]
        return iter(results[::-1])

    np.testing.assert_array_equal(gram(Slabs(Held(w), mapper=backwards), 3), gram(Slabs(Held(w)), 3))


@pytest.mark.parametrize("scale", [1.0, 2.0**-140, 2.0**100])
def test_dividing_the_product_of_float32_is_dividing_its_factors(scale: float) -> None:
    single = heavy(300, 40) * np.float32(scale)
    exponent = math.frexp(float(np.abs(single).max()))[1]
    double = Slabs(Held(single.astype(np.float64)))
    np.testing.assert_array_equal(gram(Slabs(Held(single)), exponent), gram(double, exponent))
    assert gram(double, exponent).max() > 0.0


@pytest.mark.parametrize("layout", [layouts.outputs_first, layouts.inputs_first, layouts.table(0), layouts.table(1)])
@pytest.mark.parametrize("shape", [(300, 40), (40, 300)])
def test_lines_from_the_file_are_those_of_the_canonical_form(
    layout: layouts.Layout, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    w = heavy(*shape)
    tensor = StoredTensor.from_array("w", w)
    monkeypatch.setattr(StoredTensor, "sliceable", True)
    file = in_file(Constant(0, tensor.shape, tensor.dtype, stored=tensor), layout)
    assert isinstance(file, InFile)
    canonical = layout(w)[0, :, :, 0]
    assert file.shape == canonical.shape
    np.testing.assert_array_equal(file.lines(0, 3, 17), canonical[3:17])
    np.testing.assert_array_equal(file.lines(1, 5, 30), canonical[:, 5:30].T)
    evals = [spectrum(Slabs(lines)).evals for lines in (file, Held(canonical))]
    np.testing.assert_array_equal(evals[0], evals[1])


@pytest.mark.parametrize(
    ("layout", "positions", "left"),
    [
        (layouts.conv(1), 400, True),
        (layouts.conv(1), 9, False),
        (layouts.conv(2), 400, False),
        (layouts.conv_transpose(1), 400, False),
    ],
)
def test_which_convolutions_are_left_in_the_file(
    layout: layouts.Layout, positions: int, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many kernel positions, one group, values in the order of the canonical form."""
    monkeypatch.setattr(StoredTensor, "sliceable", True)
    monkeypatch.setattr(values, "LARGE", 1000)
    monkeypatch.setattr(values, "SHORT", 256)
    w = heavy(32, 32 * positions).reshape(32, 32, positions)
    file = in_file(Constant(0, w.shape, "float32", stored=StoredTensor.from_array("w", w)), layout)
    assert (file is not None) == left
    if file is not None:
        read = values.Values((1, 32, 32, positions), None, file)
        np.testing.assert_array_equal(read.positions(3, 300), np.moveaxis(w, 2, 0)[3:300])
        np.testing.assert_array_equal(read.canonical()[0], w)
        np.testing.assert_array_equal(file.lines(1, 5, 7000), w.reshape(32, -1)[:, 5:7000].T)
