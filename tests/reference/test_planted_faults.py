"""Faults planted in a copy of a real model: each found by its rule, and nothing else new."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import onnxspec
from onnxspec.policy import check
from tests.reference.test_real_models import MODELS

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    spec = importlib.util.spec_from_file_location("validate_check", TOOLS / "validate_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(TOOLS))
    return module


def test_six_faults_and_nothing_else(tool: ModuleType) -> None:
    model = MODELS / "all-MiniLM-L6-v2.onnx"
    if not model.exists():
        pytest.skip("make models; python tools/export_minilm.py")
    sound = onnxspec.analyze(model)
    tensors = {layer.name: layer.tensor for layer in sound.layers}
    judged = check(tool._with_faults(model, tuple(tool.FAULTS), tensors), baseline=sound)
    new = {(f.code, f.subject) for f in judged.findings if f.state in ("new", "worse")}
    expected = {(rule, layer) for layer, rule, _ in tool.FAULTS.values()}
    # two layers with the same bytes are one analysis, under the name of the first
    expected.remove(("OS206", "encoder.layer.2.intermediate.dense"))
    expected.add(("OS206", "encoder.layer.1.intermediate.dense"))
    assert new == expected
    assert judged.verdict == "failed"
