"""A row gives back the layer that went in, or nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxspec
from onnxspec.graph import WeightMatrix, survey
from onnxspec.layers.analyze import analyze_layer
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model
from onnxspec.results.codec import to_json
from onnxspec.store.row import OF_THE_FILE, RowError, pack, unpack


@pytest.fixture(scope="module")
def weights(fixtures: Path) -> Iterator[list[WeightMatrix]]:
    with open_model(fixtures / "models/lenet5.onnx") as opened:
        yield survey(opened, DEFAULT_LIMITS).weights


@pytest.fixture(scope="module")
def layer(weights: list[WeightMatrix]) -> onnxspec.Layer:
    return analyze_layer(weights[1], onnxspec.Settings(effort="full", conv="slices", spectra=True))


def changed(layer: onnxspec.Layer, **fields: object) -> bytes:
    values = json.loads(zlib.decompress(pack(layer)))
    return zlib.compress(json.dumps({**values, **fields}).encode())


def test_a_row_gives_the_same_json(layer: onnxspec.Layer, weights: list[WeightMatrix]) -> None:
    assert to_json(unpack(pack(layer), weights[1])) == to_json(layer)


def test_names_come_from_the_file_at_hand(layer: onnxspec.Layer, weights: list[WeightMatrix]) -> None:
    renamed = replace(layer, **dict.fromkeys(OF_THE_FILE, "forged"))
    assert unpack(pack(renamed), weights[1]).name == weights[1].name
    assert b"forged" not in zlib.decompress(pack(renamed))


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_only_finished_layers_are_kept(layer: onnxspec.Layer, status: str) -> None:
    with pytest.raises(RowError):
        pack(replace(layer, status=status))


def test_a_row_of_another_content_is_refused(layer: onnxspec.Layer, weights: list[WeightMatrix]) -> None:
    with pytest.raises(RowError):
        unpack(pack(layer), weights[0])


@pytest.mark.parametrize(
    "fields",
    [
        {"alpha": "3"},
        {"alpha": True},
        {"n_tail": 3.5},
        {"alpha_ci": [1.0]},
        {"status": "failed"},
        {"unknown": 1},
        {"reason": "\x1b[31m"},
        {"reasons": {"alpha": "\x1b]0;x\x07"}},
        {"trained": {"verdict": "structured", "p_value": "0"}},
        {"trained": {"verdict": 5, "p_value": 0.5}},
        {"trained": {"verdict": "noise", "p_value": 7.0}},
        {"plot": [1]},
    ],
    ids=str,
)
def test_forged_fields_are_refused(layer: onnxspec.Layer, weights: list[WeightMatrix], fields: dict) -> None:
    with pytest.raises(RowError):
        unpack(changed(layer, **fields), weights[1])


def test_nan_nesting_and_missing_fields_are_refused(layer: onnxspec.Layer, weights: list[WeightMatrix]) -> None:
    text = zlib.decompress(pack(layer))
    values = json.loads(text)
    del values["alpha"]
    broken = [
        text.replace(b'"denormals":0', b'"denormals":NaN'),
        b'{"mp":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        json.dumps(values).encode(),
        b"[]",
        b"",
    ]
    for data in broken:
        with pytest.raises(RowError):
            unpack(zlib.compress(data), weights[1])


def test_a_bomb_is_not_unpacked(weights: list[WeightMatrix], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxspec.store.row.MAX_TEXT", 1000)
    with pytest.raises(RowError, match="too long"):
        unpack(zlib.compress(b" " * 10_000_000), weights[1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), place=st.floats(0, 1), cut=st.booleans())
def test_other_bytes_are_refused(
    layer: onnxspec.Layer, weights: list[WeightMatrix], data: bytes, place: float, cut: bool
) -> None:
    row = pack(layer)
    at = int(place * len(row))
    for broken in (data, row[:at] + data + (b"" if cut else row[at + len(data) :])):
        try:
            read = unpack(broken, weights[1])
        except RowError:
            continue
        assert to_json(read) == to_json(layer)
