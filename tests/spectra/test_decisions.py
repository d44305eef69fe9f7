"""The tables in docs/decisions/002 and 003."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import onnxspec
from onnxspec.spectra.eigen import spectrum

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decisions" / "002-rank-tolerance.md"
ROWS = re.findall(
    r"^\| (\d+) x (\d+), (rank 40|full) \| (\w+) \| (\d+)(?: \(SVD\))? \| (\d+) \| (\d+) \|$",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE,
)
TYPES = {
    "float32": (np.float32, 2.0**-23),
    "float16": (np.float16, 2.0**-10),
    "bfloat16": (ml_dtypes.bfloat16, 2.0**-7),
    "float8_e4m3fn": (ml_dtypes.float8_e4m3fn, 2.0**-3),
}


def stored(N: int, M: int, kind: str, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(N + M)
    if kind == "full":
        W = rng.standard_normal((N, M))
    else:
        W = rng.standard_normal((N, 40)) @ rng.standard_normal((40, M)) / math.sqrt(40)
    scale = 2.0 if dtype.startswith("float8") else 0.02
    return (W * scale).astype(TYPES[dtype][0]).astype(np.float64)


def test_the_table_was_found() -> None:
    assert len(ROWS) >= 8


@pytest.mark.parametrize("row", [row for row in ROWS if int(row[0]) < 4096], ids=lambda row: "-".join(row[:4]))
def test_ranks_are_those_of_the_table(row: tuple[str, ...]) -> None:
    N, M = int(row[0]), int(row[1])
    _, _, kind, dtype, with_float64, worst_case, ours = row
    W = stored(N, M, kind, dtype)
    found = spectrum(W, dtype=dtype)
    slack = 0 if kind == "rank 40" else 2  # singular values beside the tolerance may fall on either side of it
    assert abs(found.rank - int(ours)) <= slack
    sv = np.linalg.svd(W, compute_uv=False)
    assert int((sv > sv[0] * N * 2.0**-52).sum()) == int(with_float64)
    assert abs(int((sv > sv[0] * N * TYPES[dtype][1]).sum()) - int(worst_case)) <= 1


def test_seven_forms_of_one_layer_have_equal_numbers(fixtures: Path) -> None:
    paths = sorted((fixtures / "models").glob("linear_*.onnx"))
    assert len(paths) == 7
    layers = [onnxspec.analyze(path, spectra=True).layers[0] for path in paths]
    of_the_graph = {"id": "", "name": "", "op_type": "", "tensor": "", "used_by": (), "shape": (), "chain": ()}
    graph = {**of_the_graph, "content_hash": None, "depth": None, "batch_norm": None}
    assert len({repr(replace(layer, **graph)) for layer in layers}) == 1
    assert len({layer.value_hash for layer in layers}) == 1
    assert len({layer.content_hash for layer in layers}) == 2
