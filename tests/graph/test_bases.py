"""Matrices that nobody trained are recognised by content, and trained or random ones never."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.graph.bases import recognise
from tests.graph.build import rng
from tests.graph.text import parsed, surveyed


def of(matrix: np.ndarray) -> str | None:
    found = recognise(np.asarray(matrix, dtype=np.float32)[None, :, :, None])
    return None if found is None else found.reason


def filters(matrix: np.ndarray) -> str | None:
    """Look at rows as the kernels of a convolution over one channel."""
    found = recognise(np.asarray(matrix, dtype=np.float32)[None, :, None, :])
    return None if found is None else found.reason


def fourier(size: int, window: np.ndarray, bins: int | None = None) -> np.ndarray:
    angles = 2 * np.pi * np.outer(np.arange(bins or size // 2 + 1), np.arange(size)) / size
    return np.concatenate([np.cos(angles), -np.sin(angles)]) * window


def hann(size: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def mel(filters: int, bins: int, *, slaney: bool) -> np.ndarray:
    """Give triangles on the mel scale, up to 8 kHz."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), filters + 2) / 2595) - 1)
    f = np.linspace(0, 8000, bins)[None]
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bank = np.maximum(0, np.minimum((f - low) / (mid - low), (high - f) / (high - mid)))
    return bank * (2 / (high - low)) if slaney else bank


def constant_q(kernels: int, per_octave: int, size: int) -> np.ndarray:
    rows = np.zeros((kernels, size))
    for number in range(kernels):
        frequency = 0.02 * 2 ** (number / per_octave)
        length = min(size, int(17 / frequency / 2))
        start = (size - length) // 2
        t = np.arange(length) - length / 2
        rows[number, start : start + length] = np.cos(2 * np.pi * frequency * t) * np.hanning(length) / length
    return rows


def positions(count: int, width: int, *, interleaved: bool = True, base: float = 10000.0) -> np.ndarray:
    angles = np.outer(np.arange(count), base ** (-np.arange(0, width, 2) / width))
    if interleaved:
        return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(count, width)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


BASES = {
    "stft_hann": filters(fourier(256, hann(256))),
    "stft_512_hamming": filters(fourier(512, np.hamming(512))),
    "stft_centred_window": filters(fourier(256, np.pad(hann(160), 48))),
    "stft_sqrt_hann": filters(fourier(320, np.sqrt(hann(320)))),
    "dft_bare": of(fourier(64, np.ones(64))),
    "stft_cosines_alone": filters(fourier(320, hann(320))[:161]),
    "stft_sines_alone": filters(fourier(320, hann(320))[161:]),
    "stft_first_bins": filters(fourier(512, hann(512), bins=80)),
    "stft_as_product": of(fourier(256, hann(256)).T),
    "dct": of(np.cos(np.pi * np.outer(np.arange(40), np.arange(80) + 0.5) / 80)),
    "mel_80": of(mel(80, 257, slaney=False)),
    "mel_slaney": of(mel(40, 201, slaney=True)),
    "mel_as_product": of(mel(64, 257, slaney=True).T),
    "mel_melspectrogram_32": of(mel(32, 257, slaney=False)),
    "constant_q": filters(constant_q(36, 12, 1024)),
}


@pytest.mark.parametrize("name", BASES)
def test_fixed_bases(name: str) -> None:
    assert BASES[name] == "fixed_basis"


TABLES = {
    "interleaved": of(positions(512, 64)),
    "halves": of(positions(200, 128, interleaved=False)),
    "short": of(positions(50, 32)),
    "rotary_cosines": of(np.cos(np.outer(np.arange(256), 10000.0 ** (-np.arange(0, 64, 2) / 64)))),
    "scaled": of(positions(512, 64) / 8),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_positions(name: str) -> None:
    assert TABLES[name] == "position_table"


def test_masks() -> None:
    causal = np.triu(np.full((32, 32), -np.inf), 1)
    assert of(causal) == "mask"
    assert of(np.where(np.isinf(causal), -65504.0, 0.0)) == "mask"
    assert of(np.tril(np.ones((32, 32)))) == "mask"
    assert of(rng(0).integers(0, 2, (32, 32))) == "mask"


def test_selections() -> None:
    assert of(np.eye(32)) == "selection"
    assert of(0.5 * np.eye(48)[rng(1).permutation(48)]) == "selection"
    assert of(np.eye(64)[::2]) == "selection"
    assert of(np.eye(10)[rng(2).integers(0, 10, 200)]) == "selection"


def test_grids() -> None:
    assert of(np.tile(np.arange(16.0), (20, 1))) == "grid"
    points = np.stack(np.meshgrid(np.arange(40.0) + 0.5, np.arange(40.0) + 0.5), axis=-1).reshape(-1, 2)
    assert of(points) == "grid"


def trained(kind: str, seed: int, rows: int, columns: int) -> np.ndarray:
    r = rng(seed)
    if kind == "gaussian":
        return r.standard_normal((rows, columns))
    if kind == "heavy":
        return r.standard_t(2, (rows, columns))
    if kind == "rank_one":
        return np.outer(r.random(rows), r.random(columns))
    if kind == "smooth":  # filters that vary slowly, as in first layers
        x = r.standard_normal((rows, columns))
        return np.cumsum(np.cumsum(x, axis=1), axis=1) / columns
    if kind == "rectified":
        return np.maximum(0, r.standard_normal((rows, columns)))
    if kind == "pruned":
        return r.standard_normal((rows, columns)) * (r.random((rows, columns)) < 0.1)
    if kind == "ternary":
        return r.integers(-1, 2, (rows, columns)) * 0.07
    if kind == "bipolar":
        return np.where(r.random((rows, columns)) < 0.5, -0.1, 0.1)
    if kind == "gabor":  # band-pass filters at frequencies that training chose
        t = np.arange(columns) - columns / 2
        f = r.uniform(0.02, 0.45, (rows, 1))
        width = r.uniform(columns / 16, columns / 4, (rows, 1))
        return np.cos(2 * np.pi * f * t) * np.exp(-((t / width) ** 2))
    basis = fourier(2 * (columns // 2), hann(2 * (columns // 2)))[: 2 * (rows // 2)]  # fine-tuned
    return basis + 0.05 * r.standard_normal(basis.shape)


KINDS = ["gaussian", "heavy", "rank_one", "smooth", "rectified", "pruned", "ternary", "bipolar", "gabor", "tuned"]


@given(st.sampled_from(KINDS), st.integers(0, 2**31), st.integers(8, 96), st.integers(16, 200))
@settings(max_examples=150, deadline=None)
def test_what_was_trained_or_drawn_is_never_recognised(kind: str, seed: int, rows: int, columns: int) -> None:
    matrix = trained(kind, seed, rows, columns)
    assert of(matrix) is None
    assert filters(matrix) is None


MODEL = """g (float[1, 1, 512] x) => (float[1, 40, n] y) {
    s = Conv (x, forward_basis)
    m = MatMul (bank, s)
    y = MatMul (layer, m)
}"""
ARRAYS = {
    "forward_basis": fourier(64, hann(64)).astype(np.float32)[:, None],
    "bank": np.pad(mel(16, 33, slaney=False), ((0, 0), (0, 33))).astype(np.float32),
    "layer": rng(3).standard_normal((40, 16)).astype(np.float32),
}


def test_bases_are_skipped_with_their_evidence(tmp_path: Path) -> None:
    found, _ = surveyed(parsed(MODEL, ARRAYS), tmp_path)
    assert [weight.tensor for weight in found.weights] == ["layer"]
    assert [(skip.tensor, skip.reason) for skip in found.skipped] == [
        ("forward_basis", "fixed_basis"),
        ("bank", "fixed_basis"),
    ]
    assert "sinusoids" in (found.skipped[0].detail or "")
    assert "triangular filters" in (found.skipped[1].detail or "")
    assert {a.tensor.name: a.reason for a in found.accounts if not a.weights} == {
        "forward_basis": "fixed_basis",
        "bank": "fixed_basis",
    }


def test_the_users_word_is_stronger(tmp_path: Path) -> None:
    model = parsed(MODEL, ARRAYS)
    found, _ = surveyed(model, tmp_path, include=("forward*",))
    assert [weight.tensor for weight in found.weights] == ["forward_basis", "layer"]
    found, _ = surveyed(model, tmp_path, include=("*",), exclude=("layer",))
    assert [weight.tensor for weight in found.weights] == ["forward_basis", "bank"]
    assert [(skip.tensor, skip.reason) for skip in found.skipped] == [("layer", "excluded")]
    found, _ = surveyed(model, tmp_path, roles=(("layer", "embedding"), ("bank", "dense"), ("MatMul_2:0", "mask")))
    assert [(weight.tensor, weight.role) for weight in found.weights] == [("bank", "dense")]
    found, _ = surveyed(model, tmp_path, exclude=("nothing*",))
    assert [d.code for d in found.diagnostics] == ["pattern_unused"]


def test_operands_that_multiply_nothing_say_what_they_are(tmp_path: Path) -> None:
    text = """g (float[1, n, 32] x, bool[32, 32] b) => (float[1, n, 32] y) {
        a = Add (x, table)
        c = Add (a, causal)
        y = Where (allowed, c, x)
    }"""
    arrays = {
        "table": positions(32, 32).astype(np.float32)[None],
        "causal": np.triu(np.full((32, 32), -np.inf, np.float32), 1),
        "allowed": np.tril(np.ones((32, 32), dtype=bool)),
    }
    found, _ = surveyed(parsed(text, arrays), tmp_path)
    assert [(skip.tensor, skip.reason) for skip in found.skipped] == [
        ("table", "position_table"),
        ("causal", "mask"),
        ("allowed", "mask"),
    ]
