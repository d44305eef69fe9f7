"""Weights that outlive the iteration over them."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxspec
from tests.engine.test_plan import dense


def open_below(folder: Path) -> list[str]:
    """Give what this process holds open in a folder, the folder itself too."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return [path for path in found if path.startswith(str(folder))]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("external", [False, True])
def test_weights_can_be_collected_and_loaded_later(tmp_path: Path, external: bool) -> None:
    path = dense(tmp_path / "m.onnx", [(20, 12), (12, 16)])
    stored = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    if external:
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="m.bin", size_threshold=0)
    weights = list(onnxspec.iter_weights(path))

    expected = {values.shape: values for values in stored.values()}
    assert len(weights) == 2
    assert open_below(tmp_path)
    for weight in weights:
        matrix = weight.load()
        found = expected[matrix.shape] if matrix.shape in expected else expected[matrix.shape[::-1]].T
        np.testing.assert_array_equal(matrix, found)
    del weights, weight
    gc.collect()
    assert open_below(tmp_path) == []
