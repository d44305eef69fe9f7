"""The random stream against published words, and its independence of how it is read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxspec.fits.random_stream import splitmix, stream_key, uniforms


def test_words_of_splitmix64() -> None:
    """The words that splitmix64 implementations publish for the seed 1234567."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix(1234567, 0, 5).tolist() == published


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**40), st.integers(1, 50), st.integers(0, 49))
def test_any_stretch_can_be_read_alone(key: int, start: int, count: int, skip: int) -> None:
    whole = uniforms(key, start, count + skip)
    np.testing.assert_array_equal(uniforms(key, start + skip, count), whole[skip:])
    assert (whole >= 0.0).all()
    assert (whole < 1.0).all()


def test_uniforms_are_uniform() -> None:
    u = np.sort(uniforms(7, 0, 20_000))
    distance = np.abs(u - (np.arange(u.size) + 0.5) / u.size).max()
    assert distance < 1.95 / np.sqrt(u.size)  # KS at 0.1 %


def test_purposes_have_different_streams() -> None:
    keys = {stream_key(5, purpose) for purpose in range(100)} | {stream_key(6, purpose) for purpose in range(100)}
    assert len(keys) == 200
