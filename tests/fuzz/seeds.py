"""What the fuzzer starts from: small models that reach every part of the reader, and the hostile fixtures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper, numpy_helper, parser

from fixtures import hostile
from fixtures.hostile import graph as hostile_graph
from fixtures.hostile.wire import attribute, field, graph, model, node, number, tensor

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 40_000  # bytes of one input

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1, "ai.onnx.ml" : 3, "f" : 1]>'
RNG = np.random.default_rng(7)


def _floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def _codes(dtype: type, *shape: int) -> np.ndarray:
    return RNG.integers(0, 8, shape).astype(dtype)


W = _floats(8, 8)
TEXTS: tuple[tuple[str, dict[str, np.ndarray]], ...] = (
    ("g (float[n, 8] x) => (y) { h = MatMul(x, w) y = Add(h, b) }", {"w": W, "b": _floats(8)}),
    ("g (float[n, 8] x) => (y) { y = Gemm <transB = 1, alpha = 0.5> (x, w, b) }", {"w": W, "b": _floats(8)}),
    ("g (float[n, 8] x) => (y) { t = Transpose <perm = [1, 0]> (w) i = Identity(t) y = MatMul(x, i) }", {"w": W}),
    (
        "g (float[n, 8] x) => (y) { r = Reshape(w, s) q = Squeeze(r) u = Unsqueeze(q, a)"
        " f = Flatten <axis = 1> (u) y = MatMul(x, f) }",
        {"w": W, "s": np.array([1, 8, 8]), "a": np.array([0])},
    ),
    (
        "g (float[n, 8] x) => (y) { p, q = Split <axis = 1, num_outputs = 2> (w) c = Concat <axis = 0> (p, q)"
        " s = Slice(c, l, h) e = Expand(s, d) y = MatMul(x, e) }",
        {"w": _floats(8, 16), "l": np.array([0, 0]), "h": np.array([8, 8]), "d": np.array([1, 8, 8])},
    ),
    (
        "g (int64[n] x) => (y) { e = Gather(w, x) k = Gather <axis = 0> (w, j) y = MatMul(e, k) }",
        {"w": W, "j": np.arange(8)},
    ),
    (
        "g (int64[1, n] x) => (y) { e = Gather(w, x) p = Gather(v, j) u = Unsqueeze(p, z) a = Add(e, u)"
        " h = MatMul(a, m) s = Shape(h) f = Slice(s, z, t) l = Slice(s, i, k) c = Concat <axis = 0> (f, i, t8, l)"
        " r = Reshape(h, c)"
        " d = Transpose <perm = [2, 0, 1, 3]> (r) q = Gather <axis = 0> (d, o) y = Softmax(q) }",
        {
            "w": W, "v": _floats(16, 8), "m": _floats(8, 24), "j": np.arange(4), "z": np.array([0]),
            "t": np.array([2]), "i": np.array([3]), "k": np.array([2**62]), "t8": np.array([8]), "o": np.array(1),
        },
    ),
    (
        "g (float[n, 8] x) => (y) { c = ConstantOfShape <value = float[1] {0.5}> (s) m = Cast <to = 1> (c)"
        " a = Mul(m, w) d = Div(a, m) e = Sub(d, m) y = MatMul(x, e) }",
        {"s": np.array([8, 8]), "w": W},
    ),
    (
        "g (float[n, 8] x) => (y) { t = Tile(w, r) p = Pow(t, z) y = MatMul(x, p) }",
        {"w": W, "r": np.array([1, 2]), "z": np.float32([2])},
    ),
    (
        "g (float[n, 3, 9, 9] x) => (y) { a = Conv <kernel_shape = [3, 3]> (x, w, b) b2 = Relu(a)"
        " y = ConvTranspose <group = 2> (b2, v) }",
        {"w": _floats(8, 3, 3, 3), "b": _floats(8), "v": _floats(8, 3, 2, 2)},
    ),
    (
        "g (float[n, 4, 9] x) => (y) { a = Conv <group = 4> (x, w) y = BatchNormalization(a, s, b, m, v) }",
        {"w": _floats(16, 1, 4), "s": _floats(16), "b": _floats(16), "m": _floats(16), "v": _floats(16) ** 2},
    ),
    (
        "g (float[t, n, 8] x) => (y) { y, h, c = LSTM <hidden_size = 4> (x, w, r, b) }",
        {"w": _floats(1, 16, 8), "r": _floats(1, 16, 4), "b": _floats(1, 32)},
    ),
    (
        'g (float[t, n, 8] x) => (y) { y, h = GRU <hidden_size = 4, direction = "bidirectional"> (x, w, r) }',
        {"w": _floats(2, 12, 8), "r": _floats(2, 12, 4)},
    ),
    ("g (float[t, n, 8] x) => (y) { y, h = RNN <hidden_size = 8> (x, w, r) }", {"w": W[None], "r": W[None]}),
    (
        "g (float[n, 16] x) => (y) { d = DequantizeLinear <axis = 0> (c, s, z) y = MatMul(x, d) }",
        {"c": _codes(np.int8, 16, 8), "s": np.abs(_floats(16)), "z": _codes(np.int8, 16)},
    ),
    (
        "g (float[n, 16] x) => (y) { d = DequantizeLinear <axis = 0, block_size = 4> (c, s, z) y = MatMul(x, d) }",
        {"c": _codes(np.uint8, 16, 8), "s": np.abs(_floats(4, 8)), "z": _codes(np.uint8, 4, 8)},
    ),
    (
        "g (uint8[n, 8] x) => (y) { y = QLinearMatMul(x, s, z, c, s, z, s, z) }",
        {"c": _codes(np.uint8, 8, 8), "s": np.float32(0.1), "z": np.uint8(3)},
    ),
    (
        "g (uint8[n, 3, 9, 9] x) => (y) { y = QLinearConv(x, s, z, c, s, z, s, z, b) }",
        {"c": _codes(np.uint8, 8, 3, 3, 3), "s": np.float32(0.1), "z": np.uint8(3), "b": _codes(np.int32, 8)},
    ),
    (
        "g (uint8[n, 8] x) => (y) { a = MatMulInteger(x, c, z, z) f = Cast <to = 1> (a) y = Mul(f, s) }",
        {"c": _codes(np.uint8, 8, 8), "z": np.uint8(3), "s": np.float32(0.1)},
    ),
    (
        "g (float[n, 32] x) => (y) { y = com.microsoft.MatMulNBits <K = 32, N = 4, bits = 4, block_size = 16>"
        " (x, c, s, z) }",
        {"c": _codes(np.uint8, 4, 2, 8), "s": np.abs(_floats(8)), "z": _codes(np.uint8, 4)},
    ),
    (
        "g (float[n, 5, 16] x) => (y) { y = com.microsoft.Attention <num_heads = 2> (x, w, b) }",
        {"w": _floats(16, 48), "b": _floats(48)},
    ),
    (
        "g (float[n, 8] x) => (y) { q = MatMul(x, w) k = MatMul(x, v) t = Transpose(k) s = MatMul(q, t)"
        " p = Softmax(s) u = MatMul(x, o) y = MatMul(p, u) }",
        {"w": W, "v": W * 2, "o": W * 3},
    ),
    (
        "g (float[n, 8] x) => (y) { d, m = com.microsoft.DynamicQuantizeMatMul(x, c, s, z) y = Identity(d) }",
        {"c": _codes(np.int8, 8, 8), "s": np.float32(0.1), "z": np.int8(0)},
    ),
    (
        "g (float[n, 8] x) => (y) { s = SequenceConstruct(w, v) u = SequenceAt(s, i)"
        " h = com.microsoft.GemmFastGelu(x, u, b) y = MatMul(h, w) }",
        {"w": W, "v": W * 2, "i": np.array(1), "b": _floats(8)},
    ),
    ("g (float[n, 8] x) => (y) { y = com.microsoft.FusedMatMul <transB = 1> (x, w) }", {"w": W}),
    ('g (float[n, 8] x) => (y) { y = Einsum <equation = "ni,io->no"> (x, w) }', {"w": W}),
    ("g (float[n, 8] x) => (y) { y = who.knows.Magic(x, w) }", {"w": W}),
    ("g (int64[n, 4] x) => (y) { y = com.microsoft.EmbedLayerNormalization(x, x, w, p, q, s, s) }", {
        "w": W, "p": W, "q": W, "s": _floats(8)}),
)  # fmt: skip

FUNCTIONS = """
<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
g (float[n, 8] x, bool c) => (y) {
    a = f.twice(x, w)
    b = If (c) <
        then_branch = t () => (p) { p = MatMul(a, v) },
        else_branch = e () => (q) { q = f.twice(a, v) }
    >
    y = Loop (m, c, b) <
        body = l (int64 i, bool k, float[n, 8] s) => (k2, s2) { k2 = Identity(k) s2 = MatMul(s, w) }
    >
}
<domain: "f", opset_import: ["" : 21]>
twice (x, w) => (y) { h = MatMul(x, w) y = MatMul(h, w) }
"""


def _filled(proto: ModelProto, arrays: dict[str, np.ndarray]) -> ModelProto:
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items())
    return proto


def _typed_fields() -> bytes:
    """Make a model whose tensors are in typed fields, one of each kind."""
    tensors = [
        helper.make_tensor("float32", 1, [8, 8], W.reshape(-1)),
        helper.make_tensor("double", 11, [8, 8], W.reshape(-1)),
        helper.make_tensor("half", 10, [8, 8], W.reshape(-1)),
        helper.make_tensor("brain", 16, [8, 8], W.reshape(-1)),
        helper.make_tensor("int64", 7, [8, 8], np.arange(64)),
        helper.make_tensor("uint64", 13, [8, 8], np.arange(64)),
        helper.make_tensor("int4", 22, [8, 8], np.arange(64) % 7),
        helper.make_tensor("uint4", 21, [8, 8], np.arange(64) % 15),
        helper.make_tensor("eight", 17, [8, 8], W.reshape(-1)),
    ]
    nodes = [helper.make_node("MatMul", ["x", t.name], [f"y_{t.name}"]) for t in tensors]
    value = helper.make_tensor_value_info("x", 1, ["n", 8])
    out = helper.make_tensor_value_info("y_float32", 1, None)
    return helper.make_model(helper.make_graph(nodes, "g", [value], [out], tensors)).SerializeToString()


def _sparse() -> bytes:
    proto = _filled(parser.parse_model(HEADER + "g (float[n, 8] x) => (y) { y = MatMul(x, s) }"), {})
    values = numpy_helper.from_array(_floats(12), "s")
    indices = numpy_helper.from_array(np.arange(12) * 5, "i")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [8, 8]))
    return proto.SerializeToString()


def _classical() -> bytes:
    proto = parser.parse_model(HEADER + "g (float[n, 8] x) => (y) { y = Identity(x) }")
    proto.graph.node.append(
        helper.make_node(
            "LinearClassifier", ["x"], ["l", "p"], domain="ai.onnx.ml", coefficients=W.reshape(-1).tolist(),
            intercepts=[0.0] * 8, classlabels_ints=list(range(8)),
        )
    )  # fmt: skip
    proto.graph.node.append(
        helper.make_node(
            "SVMRegressor", ["x"], ["s"], domain="ai.onnx.ml", support_vectors=W.reshape(-1).tolist(),
            coefficients=[1.0] * 8, rho=[0.0], n_supports=8, kernel_type="RBF",
        )
    )  # fmt: skip
    return proto.SerializeToString()


def _modules() -> bytes:
    proto = _filled(parser.parse_model(HEADER + "g (float[n, 8] x) => (y) { y = MatMul(x, val_1) }"), {"val_1": W})
    for key, value in (("name_scopes", "['', 'encoder.layer.0.query', 'linear']"), ("stack_trace", "File ")):
        proto.graph.node[0].metadata_props.add(key=f"pkg.torch.onnx.{key}", value=value)
    return proto.SerializeToString()


def _external(location: str, *more: tuple[str, str]) -> bytes:
    body = tensor("w", (8, 8), external=[("location", location), *more])
    return model(graph([node("MatMul", ["x", "w"], ["y"])], [body]))


def seeds() -> Iterator[bytes]:
    """Give the serialised models."""
    for text, arrays in TEXTS:
        yield _filled(parser.parse_model(HEADER + text), arrays).SerializeToString()
    yield _filled(parser.parse_model(FUNCTIONS), {"w": W, "v": W * 2, "m": np.array(3)}).SerializeToString()
    yield _typed_fields()
    yield _sparse()
    yield _classical()
    yield _modules()
    for location in ("w.data", "sub/w.data", "../secret", "link", "hard", "pipe", "sub/../../secret", "/etc/passwd"):
        yield _external(location, ("offset", "0"), ("length", "256"))
    yield _external("w.data", ("offset", "16"), ("checksum", "00"), ("basepath", ".."))
    held = attribute("value", field(5, tensor("c", (8, 8), raw=W.tobytes())), 4)
    yield model(graph([node("Constant", [], ["c"], [held]), node("MatMul", ["x", "c"], ["y"])]))
    listed = attribute("value_floats", field(7, W.tobytes()) + number(20, 6))
    yield model(graph([node("Constant", [], ["c"], [listed]), node("MatMul", ["x", "c"], ["y"])]))
    with tempfile.TemporaryDirectory() as folder:
        for i, case in enumerate(hostile.CASES):
            place = Path(folder) / str(i) / "model"
            place.mkdir(parents=True)
            path = case.write(place)
            if path.is_file() and path.stat().st_size <= LARGEST:
                yield path.read_bytes()
    for graph_case in hostile_graph.CASES:
        data = graph_case.write()
        if len(data) <= LARGEST:
            yield data
    for path in sorted((ROOT / "fixtures" / "models").glob("*.onnx")):
        if path.stat().st_size <= LARGEST:
            yield path.read_bytes()
