"""The `powerlaw` package agrees, says nothing, and its absence is survived."""

from __future__ import annotations

import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from onnxspec.fits.cross_check import cross_check
from onnxspec.fits.power_law import fit_power_law


def sample(alpha: float, n: int = 150, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tail = (1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0))
    return np.concatenate([np.sqrt(rng.random(n)), tail])


@pytest.mark.parametrize("alpha", [1.8, 2.5, 5.0])
@pytest.mark.parametrize("min_tail", [None, 2])
def test_agrees_and_is_silent(alpha: float, min_tail: int | None, capfd: pytest.CaptureFixture[str]) -> None:
    x = sample(alpha)
    fit = fit_power_law(x, min_tail=min_tail)
    filters = list(warnings.filters)
    found = cross_check(x, fit, min_tail=min_tail)
    assert found.agrees
    assert found.alpha == pytest.approx(fit.alpha, abs=1e-6)
    assert pytest.approx(fit.D, abs=1e-6) == found.D
    assert found.n_tail == fit.n_tail
    assert capfd.readouterr() == ("", "")
    assert warnings.filters == filters


def test_disagreement_is_said() -> None:
    x = sample(2.5)
    other = fit_power_law(x * 1.5)
    assert cross_check(x, other).agrees is False


def test_stored_samples(shared: Path) -> None:
    folder = shared / "reference" / "power_law"
    for name in ("body30_n512_a3.5_s0", "esd_minilm_L4_attention_self_value_weight", "mp_n512"):
        x = np.load(folder / f"{name}.npy")
        assert cross_check(x, fit_power_law(x)).agrees, name


def test_the_range_of_alpha_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyword that version 2 has for it is given to it, and not to version 1.5."""
    seen: list[dict[str, object]] = []

    class Old:
        def __init__(
            self, data: object, xmin: object = None, verbose: bool = True, parameter_range: object = None
        ) -> None:
            seen.append({"parameter_range": parameter_range})
            self.alpha, self.xmin, self.D = 2.0, 1.0, 0.1

    class New:
        def __init__(
            self, data: object, xmin: object = None, verbose: int = 1, parameter_ranges: object = None
        ) -> None:
            seen.append({"parameter_ranges": parameter_ranges})
            self.alpha, self.xmin, self.D = 2.0, 1.0, 0.1

    x = sample(2.5)
    for version in (Old, New):
        monkeypatch.setitem(sys.modules, "powerlaw", types.SimpleNamespace(Fit=version, __version__="0"))
        assert cross_check(x, fit_power_law(x)).agrees is False
    assert seen == [{"parameter_range": None}, {"parameter_ranges": {"alpha": (1.0, None)}}]


def test_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cross_check(np.ones(60), fit_power_law(np.ones(60))).reason == "flat_spectrum"
    few = np.repeat([1.0, 2.0, 3.0], 20)
    assert cross_check(few, fit_power_law(few)).reason == "too_small"
    monkeypatch.setitem(sys.modules, "powerlaw", None)
    assert cross_check(sample(2.5), fit_power_law(sample(2.5))).reason == "not_installed"
