"""Differences to a base model: WeightWatcher's numbers, and what has no counterpart."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxspec
from onnxspec.engine import weightwatcher_rows

Write = Callable[..., Path]
COLUMNS = ("alpha", "D", "sigma", "xmin", "log_norm", "log_spectral_norm", "log_alpha_norm", "alpha_weighted")
NORMS = ("stable_rank", "lambda_max", "norm", "entropy", "Q")


def second_model(folder: Path, path: Path) -> Path:
    """Put the weights of the second model into the graph of the first."""
    model = onnx.load(folder / "model.onnx")
    with np.load(folder / "weights.npz") as first, np.load(folder / "weights_model2.npz") as second:
        for tensor in model.graph.initializer:
            own = numpy_helper.to_array(tensor)
            for name in first:
                for turned in (False, True):
                    candidate = first[name].T if turned else first[name]
                    if candidate.shape == own.shape and np.array_equal(candidate, own):
                        other = second[name].T if turned else second[name]
                        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(other), tensor.name))
    onnx.save(model, path)
    return path


def test_weightwatchers_deltas(shared: Path, tmp_path: Path) -> None:
    folder = shared / "reference" / "weightwatcher"
    ours = weightwatcher_rows(folder / "model.onnx", base=second_model(folder, tmp_path / "second.onnx"))
    with (folder / "details_base_model_delta.csv").open(newline="") as file:
        theirs = list(csv.DictReader(file))
    assert len(ours) == len(theirs) == 23
    for row in theirs:
        (mine,) = (
            r
            for r in ours
            if (r["N"], r["M"]) == (int(row["N"]), int(row["M"]))
            and r["norm"] == pytest.approx(float(row["norm"]), rel=1e-6)
        )
        columns = NORMS if mine["warning"] == "too_small" else (*NORMS, *COLUMNS)
        assert (int(row["num_evals"]) < 20) == (mine["warning"] == "too_small")
        for column in columns:
            assert mine[column] == pytest.approx(float(row[column]), rel=1e-9), (row["name"], column)


def test_what_fine_tuning_added_has_its_rank(kinds: Any, write: Write) -> None:
    rng = np.random.default_rng(0)
    base = {name: kinds.structured((64, 64), rng) for name in ("x", "y", "z")}
    tuned = {"p": base["z"], "q": kinds.merged_lora(base["x"], rng, 3, 0.1)}
    tuned["new"] = kinds.structured((20, 30), rng)
    report = onnxspec.analyze(write("tuned", tuned), base=write("base", base), effort="fast", jobs=1)
    found = {layer.name: layer for layer in report.layers}
    assert (found["p"].reason, found["p"].norm) == ("zero_matrix", 0.0)
    assert found["q"].rank == 3
    assert found["q"].norm == pytest.approx(0.01 * np.sum(np.square(base["x"], dtype=np.float64)), rel=1e-4)
    assert (found["new"].status, found["new"].reason) == ("skipped", "no_base")
    assert report.diagnostics[0].code == "base_model"
    assert report.settings["base"]["path"].endswith("base.onnx")


def test_unrelated_layers_of_one_shape_are_no_base(kinds: Any, write: Write) -> None:
    rng = np.random.default_rng(1)
    a, b = ({name: kinds.structured((40, 40), rng)} for name in ("x", "y"))
    report = onnxspec.analyze(write("a", a), base=write("b", b), effort="fast", jobs=1)
    assert [layer.reason for layer in report.layers] == ["no_base"]
