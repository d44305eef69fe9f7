"""Which weights are one: equal bytes under two names are, two parts of one tensor are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.graph.build import rng
from tests.graph.text import matrix, parsed, run, surveyed

W = rng(1).standard_normal((12, 24)).astype(np.float32)
SQUARE = rng(2).standard_normal((12, 12)).astype(np.float32)
OLD = '<ir_version: 3, opset_import: ["" : 9]>\n'
NEW = '<ir_version: 10, opset_import: ["" : 21]>\n'

PARTS = {
    "two_parts_of_a_split": (NEW, "p, q = Split <axis = 1, num_outputs = 2> (w)", W),
    "two_slices_by_attributes": (
        OLD,
        "p = Slice <axes = [1], starts = [0], ends = [12]> (w) q = Slice <axes = [1], starts = [12], ends = [24]> (w)",
        W,
    ),
    "turned_or_not": (NEW, "p = Transpose <perm = [0, 1]> (w) q = Transpose <perm = [1, 0]> (w)", SQUARE),
}


@pytest.mark.parametrize("case", PARTS)
def test_different_parts_of_one_tensor_are_different_weights(case: str, tmp_path: Path) -> None:
    header, text, w = PARTS[case]
    model = parsed(
        f"g (float[12, 12] x) => (float[12, 12] y, float[12, 12] z) {{ {text} y = MatMul(x, p) z = MatMul(x, q) }}",
        {"w": w},
        header,
    )
    found, weights = surveyed(model, tmp_path)
    assert [weight.used_by for weight in found.weights] == [[f"MatMul_{i}:1"] for i in _positions(model)]
    implied = run(model, x=np.eye(12, dtype=np.float32))
    for (_, values), output in zip(weights.values(), implied, strict=True):
        np.testing.assert_array_equal(matrix(values).T, output)


def _positions(model: object) -> list[int]:
    nodes = list(model.graph.node)  # type: ignore[attr-defined]
    return [i for i, node in enumerate(nodes) if node.op_type == "MatMul"]


def test_equal_bytes_under_two_names_made_in_the_same_way_are_one_weight(tmp_path: Path) -> None:
    model = parsed(
        "g (float[n, 12] x) => (y) { p = Transpose(w) q = Transpose(v) h = MatMul(x, p) y = MatMul(h, q) }",
        {"w": SQUARE, "v": SQUARE.copy()},
    )
    found, _ = surveyed(model, tmp_path)
    assert [weight.used_by for weight in found.weights] == [["MatMul_2:1", "MatMul_3:1"]]
    assert found.weights[0].copies == ["v"]
