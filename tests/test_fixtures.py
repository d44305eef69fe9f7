"""The committed synthetic models are what tools/make_fixtures.py writes, and they are valid models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "fixtures" / "models"
TRAINED = {"mlp3", "lenet5"}
SYNTHETIC = sorted(path.stem for path in MODELS.glob("*.onnx") if path.stem not in TRAINED)
LINEAR = [name for name in SYNTHETIC if name.startswith("linear_")]
DIMENSIONS = {"h": 9, "w": 8, "d": 7}


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, str(ROOT / "tools" / "make_fixtures.py"), "--out", str(folder)]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    return folder


def test_same_names(regenerated: Path) -> None:
    assert sorted(path.stem for path in regenerated.glob("*.onnx")) == SYNTHETIC


@pytest.mark.parametrize("name", SYNTHETIC)
def test_same_bytes(regenerated: Path, name: str) -> None:
    assert (regenerated / f"{name}.onnx").read_bytes() == (MODELS / f"{name}.onnx").read_bytes()


def run(name: str, feeds: dict[str, np.ndarray] | None = None) -> list[np.ndarray]:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(MODELS / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for entry in session.get_inputs() if feeds is None else []:
        shape = [size if isinstance(size, int) else DIMENSIONS.get(size, 2) for size in entry.shape]
        feeds = {**(feeds or {}), entry.name: rng.standard_normal(shape).astype(np.float32)}
    return session.run(None, feeds)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_forms_compute_the_same(name: str) -> None:
    x = np.random.default_rng(3).standard_normal((5, 64)).astype(np.float32)
    proto = onnx.load(MODELS / "linear_gemm.onnx")
    weight, bias = (numpy_helper.to_array(entry).astype(np.float64) for entry in proto.graph.initializer)
    (y,) = run(name, {"x": x.T if name.endswith("left") else x})
    np.testing.assert_allclose(y.T if name.endswith("left") else y, x @ weight.T + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in SYNTHETIC if name.startswith("conv")])
def test_convolutions_run(name: str) -> None:
    (y,) = run(name)
    assert y.std() > 0
    assert np.isfinite(y).all()


def test_unhealthy_layers() -> None:
    proto = onnx.load(MODELS / "unhealthy.onnx")
    weights = {entry.name.removesuffix(".weight"): numpy_helper.to_array(entry) for entry in proto.graph.initializer}
    assert np.isnan(weights["nan"]).sum() == 1
    assert not weights["zero"].any()
    assert np.linalg.matrix_rank(weights["rank_one"].astype(np.float64)) == 1
    assert np.linalg.matrix_rank(weights["healthy"]) == 64
    assert weights["tiny"].shape == (3, 3)
    finite = [bool(np.isfinite(y).all()) for y in run("unhealthy")]
    assert finite == [name != "nan" for name in weights]
