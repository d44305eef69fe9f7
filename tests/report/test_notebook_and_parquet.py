"""Reports in notebooks and as Parquet, with the real libraries."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pandas
import polars
import pytest

import onnxspec
from onnxspec.report.notebook import MOST
from onnxspec.report.parquet import render_bytes
from onnxspec.results import Layer, Layers, Report
from tests.policy.reports import layer, report

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"
VOID = {"br", "img", "meta", "link", "input", "hr"}


class Balance(HTMLParser):
    """Collects tags and text, and fails where a tag is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs) -> None:
        self.seen.add(tag)
        assert all(name in ("style", "scope") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(html: str) -> Balance:
    parser = Balance()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def unhealthy() -> Report:
    return onnxspec.analyze(MODELS / "unhealthy.onnx")


def test_a_notebook_shows_coverage_verdict_and_layers(unhealthy: Report) -> None:
    page = parsed(unhealthy._repr_html_())
    text = " ".join(page.text)
    assert "Coverage: 4 of 5 weight slots" in text
    assert "Verdict: " in text
    assert "non_finite" in text
    assert all(x.name in text for x in unhealthy.layers)
    assert page.seen <= {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}


def test_a_notebook_runs_nothing_of_the_file() -> None:
    evil = "<script>alert(1)</script>\u202e\x1b[2J&\"'"
    made = report(layer(evil, role=evil, phase=evil, trained={"verdict": "noise"}))
    page = parsed(replace(made, model=replace(made.model, path=evil))._repr_html_())
    text = "".join(page.text)
    assert "script" not in page.seen
    assert "<script>alert(1)</script>" in text
    assert not {"\u202e", "\x1b"} & set(text)


def test_a_notebook_says_how_many_more_there_are() -> None:
    many = report(*(layer(str(n)) for n in range(MOST + 5)))
    html = many._repr_html_()
    assert html.count("<tr>") == MOST + 1
    assert "and 5 more layers" in html
    assert parsed(replace(report(), layers=Layers(()), settings={})._repr_html_())


def test_frames_of_both_libraries(unhealthy: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = unhealthy.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["name"]) == [x.name for x in unhealthy.layers]
    assert frame["alpha"].notna().sum() == unhealthy.summary.layers_fitted
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    other = unhealthy.to_frame()
    assert isinstance(other, polars.DataFrame)
    assert other["alpha"].drop_nulls().to_list() == [x.alpha for x in unhealthy.layers if x.alpha is not None]


def test_parquet_has_the_same_columns_for_every_model(unhealthy: Report) -> None:
    lenet = onnxspec.analyze(MODELS / "lenet5.onnx", effort="fast")
    one, two = (polars.read_parquet(io.BytesIO(render_bytes([made]))) for made in (unhealthy, lenet))
    assert one.schema == two.schema
    assert one.columns == ["model", *(f.name for f in fields(Layer) if f.name not in ("plot", "evals"))]
    both = polars.read_parquet(io.BytesIO(render_bytes([unhealthy, lenet])))
    assert both.height == len(unhealthy.layers) + len(lenet.layers)
    row = two.row(by_predicate=polars.col("name") == "fc1", named=True)
    assert row["alpha"] == lenet.layers["fc1"].alpha
    assert json.loads(row["shape"]) == list(lenet.layers["fc1"].shape)
    assert row["trained"] is None
    assert one.schema["n_tail"] == polars.Int64
    assert one.schema["averaged"] == polars.Boolean
    assert one.schema["role"] == polars.String
