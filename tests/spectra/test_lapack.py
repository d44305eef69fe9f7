"""LAPACK's eigenvalue solvers against NumPy's, and the way around them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from onnxspec.spectra import lapack
from onnxspec.spectra.eigen import spectrum
from onnxspec.spectra.lapack import symmetric_eigenvalues


def gram(n: int, rank: int | None = None) -> np.ndarray:
    random = np.random.default_rng(n)
    w = random.standard_normal((n, rank or 2 * n)) * random.pareto(2.0, (n, 1))
    return w @ w.T


def needs(symbol: str) -> None:
    if lapack._routine(symbol) is None:
        pytest.skip("NumPy's BLAS is not the OpenBLAS of its wheels")


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    needs(lapack._IN_TWO_STAGES)
    monkeypatch.setattr(lapack, "SIDE", 2)
    monkeypatch.setattr(lapack, "TWO_STAGE", 2)


SIZES = [(1, None), (2, None), (65, None), (384, None), (300, 20)]


def usual(monkeypatch: pytest.MonkeyPatch, matrix: np.ndarray) -> np.ndarray:
    """Solve by the usual reduction, whatever the size, and not by NumPy."""
    needs(lapack._REDUCE)
    monkeypatch.setattr(lapack, "SIDE", 1)
    monkeypatch.setattr(np.linalg, "eigvalsh", None)
    found = symmetric_eigenvalues(matrix.copy())
    monkeypatch.undo()
    return found


@pytest.mark.parametrize(("n", "rank"), SIZES)
def test_the_usual_reduction_in_wide_panels_gives_numpys_bits(
    monkeypatch: pytest.MonkeyPatch, n: int, rank: int | None
) -> None:
    monkeypatch.setattr(lapack, "WIDE", 1)
    matrix = gram(n, rank)
    np.testing.assert_array_equal(usual(monkeypatch, matrix), np.linalg.eigvalsh(matrix))


@pytest.mark.parametrize("scale", [2.0**-900, 1.0, 2.0**900])
@pytest.mark.parametrize(("n", "rank"), SIZES)
def test_narrow_panels_agree_with_numpy(
    monkeypatch: pytest.MonkeyPatch, n: int, rank: int | None, scale: float
) -> None:
    matrix = gram(n, rank) * scale
    expected = np.linalg.eigvalsh(matrix)
    found = usual(monkeypatch, matrix)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * expected[-1])
    assert np.all(np.diff(found) >= 0)


def test_a_call_that_lapack_refuses_is_an_error() -> None:
    needs(lapack._REDUCE)
    reduce = lapack._routine(lapack._REDUCE)
    work = np.empty((4, 3))
    with pytest.raises(np.linalg.LinAlgError, match="dsytrd ended with -2"):
        lapack._call(reduce, b"L", -1, np.eye(3), 3, work[0], work[1], work[2], work[3], 3)


def test_other_threads_go_on_while_lapack_works() -> None:
    needs(lapack._REDUCE)
    matrix = gram(450)
    ticks: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            time.sleep(0)  # gives the GIL away, and needs it again
            ticks.append(time.perf_counter())

    watcher = threading.Thread(target=watch)
    watcher.start()
    while not ticks:
        time.sleep(0)
    began = time.perf_counter()
    symmetric_eigenvalues(matrix)
    ended = time.perf_counter()
    done.set()
    watcher.join()
    assert sum(began < tick < ended for tick in ticks) > 20


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(("n", "rank"), [(2, None), (3, None), (65, None), (300, None), (300, 20)])
def test_it_agrees_with_numpy(n: int, rank: int | None) -> None:
    matrix = gram(n, rank)
    expected = np.linalg.eigvalsh(matrix)
    found = symmetric_eigenvalues(matrix.copy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * expected[-1])
    assert np.all(np.diff(found) >= 0)


@pytest.mark.usefixtures("_small")
def test_zero_and_diagonal_matrices() -> None:
    assert symmetric_eigenvalues(np.zeros((40, 40))).tolist() == [0.0] * 40
    np.testing.assert_allclose(symmetric_eigenvalues(np.diag(np.arange(50.0, 0.0, -1.0))), np.arange(1.0, 51.0))


@pytest.mark.usefixtures("_small")
def test_stacks_and_views_are_numpys() -> None:
    stack = np.stack([gram(20), gram(20) + 1.0])
    np.testing.assert_array_equal(symmetric_eigenvalues(stack), np.linalg.eigvalsh(stack))
    view = gram(40)[::2, ::2]
    np.testing.assert_array_equal(symmetric_eigenvalues(view), np.linalg.eigvalsh(view))


@pytest.mark.usefixtures("_small")
def test_a_power_of_two_changes_no_bit_of_a_spectrum() -> None:
    w = np.random.default_rng(1).standard_normal((300, 200)).astype(np.float32)
    plain, scaled = spectrum(w), spectrum(w * np.float32(2.0**30))
    np.testing.assert_array_equal(scaled.singular_values, plain.singular_values * 2.0**30)


def test_without_the_routine_numpy_solves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapack, "TWO_STAGE", 2)
    monkeypatch.setattr(lapack, "SIDE", 2)
    monkeypatch.setattr(lapack, "_routine", lambda symbol: None)
    matrix = gram(50)
    np.testing.assert_array_equal(symmetric_eigenvalues(matrix.copy()), np.linalg.eigvalsh(matrix))
