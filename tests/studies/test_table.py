"""The CSV file of a series, which anybody may have written."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxspec.errors import LimitError, ReportError, UsageError
from onnxspec.limits import Limits
from onnxspec.studies.table import read_table, table_of


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "series.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_are_told_apart(tmp_path: Path) -> None:
    text = "\ufeffmodel,accuracy,group,label,x,width,note\na/b.onnx,91.5,1,,0.5,16,fine\n\nc.onnx,92,2,big,,32,\n"
    table = read_table(write(tmp_path, text))
    assert table.numbers == ("x", "width")
    assert table.texts == ("group", "label", "note")
    assert [row.label for row in table.rows] == ["b.onnx", "big"]
    assert [row.accuracy for row in table.rows] == [91.5, 92.0]
    assert table.rows[1].cells["x"] is None
    assert table.groups("group") == ["1", "2"]
    assert table.groups("width") == ["16", "32"]
    assert table.groups(None) == [None, None]
    with pytest.raises(UsageError, match="no column 'depth'"):
        table.groups("depth")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there are no models"),
        ("model,accuracy\n", "there are no models"),
        ("name,accuracy\na,1\n", "no column model"),
        ("model,acc\na,1\n", "no column accuracy"),
        ("model;accuracy\na;1\n", "no column model"),
        ("model,accuracy,x,x\na,1,2,3\n", "same name"),
        ("model,accuracy,\na,1,2\n", "none"),
        ("model,accuracy\na,1,2\n", "3 cells"),
        ("model,accuracy\na\n", "1 cells"),
        ("model,accuracy\n,1\n", "no path or name"),
        ("model,accuracy\na,\n", "no accuracy"),
        ("model,accuracy\na,high\n", "must be a number"),
        ("model,accuracy\na,nan\n", "finite"),
        ("model,accuracy\na,1e999\n", "finite"),
        ("model,accuracy,x\na,1,inf\n", "finite"),
        ("model,accuracy,x\na,1,3\nb,2,three\n", "column x is 'three'"),
        ("model,accuracy\n\x1b[31ma,1\n", "control characters"),
        ("model,accuracy\n\u202ea,1\n", "control characters"),
        ('model,accuracy\n"a,1\n', "no CSV"),
        (b"model,accuracy\n\xff\xfe,1\n", "no UTF-8"),
        (b"\x00" * 40, "there are no models"),
        ("model,accuracy\n" + "a" * 5000 + ",1\n", "more than"),
        ("model,accuracy\n" + "a" * 200_000 + ",1\n", "no CSV"),
    ],
)
def test_what_is_no_series_is_refused_in_one_sentence(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ReportError, match=says) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_sizes_are_limited(tmp_path: Path) -> None:
    path = write(tmp_path, "model,accuracy,x\n" + "a,1,2\n" * 9)
    for limits, says in (
        (Limits(series_models=8), "more than 8 models"),
        (Limits(series_columns=2), "more than 2 columns"),
        (Limits(series_bytes=20), "larger than 20 bytes"),
    ):
        with pytest.raises(LimitError, match=says):
            read_table(path, limits)
    with pytest.raises(ReportError, match="cannot be read"):
        read_table(tmp_path)
    with pytest.raises(ReportError, match="cannot be read"):
        read_table(tmp_path / "missing.csv")


def test_rows_from_python_are_checked_alike() -> None:
    table = table_of([{"model": "a", "accuracy": 1, "x": 0.5}, {"model": "b", "accuracy": "2"}])
    assert table.numbers == ("x",)
    assert [row.cells["x"] for row in table.rows] == [0.5, None]
    with pytest.raises(ReportError, match="no models"):
        table_of([])
    with pytest.raises(ReportError, match="finite"):
        table_of([{"model": "a", "accuracy": float("nan")}])
