"""The JSON Schema and real reports hold together."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import onnxspec
from onnxspec.errors import ReportError
from onnxspec.results.schema import comparison_schema, report_schema, series_schema, track_schema

VALIDATOR = jsonschema.Draft202012Validator(report_schema())
MODELS = Path(__file__).resolve().parents[1] / "fixtures" / "models"
SMALL = [path for path in sorted(MODELS.glob("*.onnx")) if path.stat().st_size < 200_000]


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_real_reports_are_valid(path: Path) -> None:
    for report in (onnxspec.analyze(path, effort="fast", spectra=True), onnxspec.inspect(path)):
        VALIDATOR.validate(json.loads(report.to_json()))


@pytest.mark.parametrize(
    "options", [{"effort": "standard"}, {"effort": "full"}, {"effort": "fast", "conv": "slices"}], ids=str
)
def test_reports_of_every_effort_are_valid(options: dict[str, Any]) -> None:
    for name in ("unhealthy", "conv2d"):
        VALIDATOR.validate(json.loads(onnxspec.analyze(MODELS / f"{name}.onnx", **options).to_json()))


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(onnxspec.analyze(MODELS / "unhealthy.onnx", effort="fast").to_json())
    return report


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("schema_version",), "2"),
        (("surprise",), 1),
        (("layers", 0, "alpha"), "2.5"),
        (("layers", 0, "status"), "fine"),
        (("layers", 0, "n_tail"), 2.5),
        (("layers", 0, "surprise"), None),
        (("layers", 0, "alpha_ci"), [1.0]),
        (("layers", 0, "alpha_ci"), [1.0, 2.0, 3.0]),
        (("layers", 0, "used_by"), [1]),
        (("coverage", "by_reason"), {"too_small": "1"}),
        (("summary", "alpha_mean"), True),
        (("diagnostics",), [{"code": "x", "severity": "fatal", "message": "m"}]),
        (("model", "bytes"), None),
    ],
    ids=str,
)
def test_schema_and_reader_refuse_the_same(data: dict[str, Any], where: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(data)
    place: Any = broken
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    assert not VALIDATOR.is_valid(broken)
    with pytest.raises(ReportError):
        onnxspec.Report.from_json(json.dumps(broken))


@pytest.mark.parametrize("key", ["schema_version", "tool", "settings", "model", "coverage", "layers", "summary"])
def test_a_report_without_a_key_is_refused_by_both(data: dict[str, Any], key: str) -> None:
    broken = {name: value for name, value in data.items() if name != key}
    assert not VALIDATOR.is_valid(broken)
    with pytest.raises(ReportError):
        onnxspec.Report.from_json(json.dumps(broken))


def test_comparisons_follow_their_schema(fixtures: Path) -> None:
    model = fixtures / "models" / "lenet5.onnx"
    found = onnxspec.compare(model, fixtures / "models" / "linear_gemm.onnx", jobs=1)
    same = onnxspec.compare(model, model, jobs=1)
    validator = jsonschema.Draft202012Validator(comparison_schema())
    for comparison in (found, same):
        validator.validate(json.loads(comparison.to_json()))
    assert not validator.is_valid({**json.loads(same.to_json()), "surprise": 1})


def test_series_and_tracks_are_valid() -> None:
    fixtures = MODELS.parent
    series = onnxspec.series(fixtures / "series" / "natcomm_cv.csv")
    validator = jsonschema.Draft202012Validator(series_schema())
    data = json.loads(series.to_json())
    validator.validate(data)
    data["relations"][0]["kendall_tau"]["value"] = "-0.7"
    assert not validator.is_valid(data)
    track = onnxspec.track([MODELS / "linear_gemm.onnx", MODELS / "conv2d.onnx"])
    validator = jsonschema.Draft202012Validator(track_schema())
    data = json.loads(track.to_json())
    assert data["transitions"] or data["layers"]
    validator.validate(data)
    data["layers"][0]["phases"] = "random_like"
    assert not validator.is_valid(data)
