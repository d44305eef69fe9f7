"""Models in ONNX's text form for the tests, and what onnxruntime makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

from onnxspec.graph import Survey, SurveyOptions, WeightMatrix, survey
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>\n'


def parsed(text: str, arrays: dict[str, np.ndarray] | None = None, header: str = HEADER) -> onnx.ModelProto:
    """Parse a model and add large initializers."""
    model = onnx.parser.parse_model(header + text)
    model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in (arrays or {}).items())
    return model


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    """Give onnxruntime's outputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def surveyed(
    model: onnx.ModelProto, folder: Path, **options: object
) -> tuple[Survey, dict[str, tuple[WeightMatrix, np.ndarray]]]:
    """Survey a model; give each weight by its name with its canonical values, with `include` for all."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with open_model(path) as opened:
        found = survey(opened, DEFAULT_LIMITS, SurveyOptions(**options))  # type: ignore[arg-type]
        return found, {w.id: (w, w.canonical()) for w in found.weights if w.problem is None}


def matrix(values: np.ndarray) -> np.ndarray:
    """Give the one matrix, outputs x inputs, of a canonical weight."""
    assert values.shape[0] == values.shape[3] == 1
    return values[0, :, :, 0]
