"""Shares in per cent: 100 % is all, 0 % is nothing."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from onnxspec.results.share import percent

counts = st.integers(0, 10**30)


def test_known_shares() -> None:
    assert percent(4, 4) == "100.0 %"
    assert percent(1255500, 1256082) == "99.9 %"
    assert percent(10**30 - 1, 10**30) == "99.9 %"
    assert percent(1, 10**30) == "<0.1 %"
    assert percent(0, 3) == "0.0 %"
    assert percent(0, 0) == ""
    assert percent(0.3) == "30.0 %"
    assert percent(0.29) == "29.0 %"
    assert percent(1.0) == "100.0 %"
    assert percent(1.0 - 2**-53) == "99.9 %"
    assert percent(1e-300) == "<0.1 %"


@given(counts, counts)
def test_counts_are_rounded_down_exactly(part: int, rest: int) -> None:
    text = percent(part, part + rest)
    if not part + rest:
        assert text == ""
        return
    share = Fraction(100 * part, part + rest)
    assert (text == "100.0 %") == (rest == 0)
    assert (text == "0.0 %") == (part == 0)
    if text == "<0.1 %":
        assert 0 < share < Fraction(1, 10)
    else:
        shown = Fraction(text.removesuffix(" %"))
        assert shown <= share < shown + Fraction(1, 10)
