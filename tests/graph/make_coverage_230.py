"""List the weight slots of ten real models with onnx alone: the list that coverage is held against.

``python -m tests.graph.make_coverage_230 FOLDER > tests/graph/coverage_230.json``

A slot is an input that holds a weight in its operator's definition, fed by a
constant of 64 elements or more with two axes longer than 1. Constants are found
by evaluating every node whose inputs are all constant with onnx's reference
implementation; nothing here knows onnxspec.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

MODELS = {
    "magika/model.onnx": 3,
    "rapidocr-onnxruntime/ch_PP-OCRv4_det_infer.onnx": 64,
    "rapidocr-onnxruntime/ch_PP-OCRv4_rec_infer.onnx": 47,
    "rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx": 52,
    "silero-vad/silero_vad.onnx": 18,
    "silero-vad/silero_vad_16k_sequence.onnx": 7,
    "silero-vad/silero_vad_op18_ifless.onnx": 14,
    "silero-vad/silero_vad_openvino_16k.onnx": 7,
    "silero-vad/silero_vad_half.onnx": 9,
    "silero-vad/silero_vad_16k_op15.onnx": 9,
}
WEIGHTS = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "Gather": (0,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
}


def slots_of(graph: onnx.GraphProto, opsets: list, outer: dict[str, np.ndarray | None], place: str) -> list[str]:
    """List the slots of a graph and of all graphs that its nodes hold."""
    known = dict(outer)
    known |= {info.name: None for info in graph.input}
    known |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = []
    for index, node in enumerate(graph.node):
        values = [known.get(name) if name else None for name in node.input]
        constant = all(value is not None for name, value in zip(node.input, values) if name)
        graphs = [a for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
        if constant and not graphs and (node.input or node.op_type == "Constant"):
            results = evaluate(node, values, opsets)
            known |= dict(zip(node.output, results))
            continue
        known |= dict.fromkeys(node.output)
        label = node.name or f"{node.op_type}_{index}"
        path = label if not place else f"{place}/{label.strip('/')}"
        for position in WEIGHTS.get(node.op_type, ()):
            value = values[position] if position < len(values) else None
            if value is not None and value.size >= 64 and sum(n > 1 for n in value.shape) >= 2:
                found.append(f"{path}:{position}")
        for attribute in graphs:
            found += slots_of(attribute.g, opsets, known, f"{path if place else label}.{attribute.name}")
    return found


def evaluate(node: onnx.NodeProto, values: list, opsets: list) -> list[np.ndarray]:
    """Evaluate one node on constants."""
    names = [name for name in node.input if name]
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), None)
        for name, v in dict(zip(names, (v for v in values if v is not None))).items()
    ]
    outs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    model = helper.make_model(helper.make_graph([node], "one", infos, outs), opset_imports=opsets)
    feeds = {
        info.name: value for info, value in zip(infos, dict(zip(names, (v for v in values if v is not None))).values())
    }
    return list(ReferenceEvaluator(model).run(None, feeds))


if __name__ == "__main__":
    result = {}
    for name in MODELS:
        model = onnx.load(Path(sys.argv[1]) / name)
        result[name] = slots_of(model.graph, list(model.opset_import), {}, "")
    json.dump(result, sys.stdout, indent=1)
