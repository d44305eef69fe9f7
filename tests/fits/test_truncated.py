"""The generalised exponential integral against mpmath and exact relations."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxspec.fits.truncated import log_expint

ORDERS = (
    -5.0,
    -2.5,
    -1.0,
    -0.3,
    0.0,
    0.2,
    0.49,
    0.5,
    0.9,
    0.9999,
    1 - 1e-9,
    1.0,
    1 + 1e-9,
    1.01,
    1.5,
    2.0,
    3.3,
    8.7,
    20.0,
)
ARGUMENTS = (1e-12, 1e-8, 1e-4, 0.01, 0.3, 0.999, 1.0, 1.001, 2.0, 10.0, 100.0, 1e4)


@pytest.mark.parametrize("s", ORDERS)
def test_against_mpmath(s: float) -> None:
    with mpmath.workdps(30):
        for z in ARGUMENTS:
            exact = mpmath.log(mpmath.expint(mpmath.mpf(s), mpmath.mpf(z)))
            assert log_expint(s, z) == pytest.approx(float(exact), rel=1e-12, abs=1e-12), z


@given(st.floats(-3.0, 15.0), st.floats(1e-6, 50.0))
def test_recurrence(s: float, z: float) -> None:
    """DLMF 8.19.12: ``s E_(s+1)(z) + z E_s(z) = e^-z``."""
    upper, lower = math.exp(log_expint(s + 1.0, z) + z), math.exp(log_expint(s, z) + z)
    assert s * upper + z * lower == pytest.approx(1.0, rel=1e-9, abs=1e-12 * (abs(s) * upper + z * lower))


@given(st.floats(0.5, 15.0), st.floats(1e-6, 1e3))
def test_bounds(s: float, z: float) -> None:
    """DLMF 8.19.21: ``1 / (s + z) < e^z E_s(z) <= 1 / (s + z - 1)`` where that is positive."""
    scaled = log_expint(s, z) + z
    assert scaled >= -math.log(s + z) - 1e-12
    if s + z > 1.0:
        assert scaled <= -math.log(s + z - 1.0) + 1e-12
