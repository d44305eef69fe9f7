"""Saved reports: read back as they were, refused where they are not what they claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import onnxspec
from onnxspec.errors import ReportError
from onnxspec.results.codec import to_json


@pytest.fixture(scope="module")
def text() -> str:
    path = Path(__file__).parent.parent / "fixtures/models/linear_gemm.onnx"
    return onnxspec.inspect(path).to_json()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(schema_version="9"), "schema version"),
        (lambda d: d.pop("schema_version"), "no onnxspec report"),
        (lambda d: d.update(surprise=1), "unknown key"),
        (lambda d: d["coverage"].update(slots="many"), "expected an integer"),
        (lambda d: d["layers"][0].update(alpha="2"), "expected a number"),
        (lambda d: d["layers"][0].update(status="fine"), "expected one of"),
        (lambda d: d["layers"][0].pop("id"), "lacks the key"),
        (lambda d: d.update(layers={}), "expected an array"),
    ],
)
def test_reports_that_are_not_what_they_claim_are_refused(change, says: str, text: str) -> None:
    data = json.loads(text)
    change(data)
    with pytest.raises(ReportError, match=says):
        onnxspec.Report.from_json(json.dumps(data))


@pytest.mark.parametrize("bad", ["", "{", "[" * 100_000, '{"schema_version": NaN}', "null", "[]"])
def test_what_is_no_report_is_refused(bad: str) -> None:
    with pytest.raises(ReportError):
        onnxspec.Report.from_json(bad)


def test_json_holds_no_nan(text: str) -> None:
    assert "NaN" not in text
    assert "Infinity" not in text


def test_the_text_is_that_of_the_standard_encoder() -> None:
    values: list[object] = [
        {"a": [], "b": {}, "c": [1, 2.5, None, True, "x\u00e9\n\"'"], "d": {"e": [[1], []], "f": 1e-300}, "g": -0.0},
        [[[]], {"k": {}}, "", 1],
        "text",
        [],
        {},
        None,
        [{"a": 1}, {"b": [{"c": "d"}]}],
    ]
    for value in values:
        assert to_json(value) == json.dumps(value, indent=1, ensure_ascii=True) + "\n"
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": [float("nan")]})
