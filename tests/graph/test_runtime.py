"""Constants that only onnxruntime can compute, and what keeps that harmless."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from onnxspec.engine import inspect
from onnxspec.errors import TensorError
from onnxspec.graph import Survey, runtime, survey
from onnxspec.graph.runtime import Runtime
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.reading import Attribute, Node, open_model
from tests.graph.build import rng
from tests.graph.quantized.codes import run, text_model

F = np.float32
W = rng(1).standard_normal((9, 12)).astype(F)


def surveyed(
    proto: onnx.ModelProto, folder: Path, *, limits: Limits = DEFAULT_LIMITS, runtime_folding: bool = True
) -> tuple[Survey, list[np.ndarray | None]]:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with open_model(path) as opened:
        result = survey(opened, limits, runtime_folding=runtime_folding)
        values = [None if weight.problem else weight.canonical() for weight in result.weights]
        for weight in result.weights:
            assert weight.problem or len(weight.content_hash().partition(":")[2]) == 64
        return result, values


def node(op: str, outputs: int = 1, domain: str = "", **attributes: object) -> Node:
    held = {name: Attribute(name, value) for name, value in attributes.items()}
    return Node("", op, domain, [], [f"o{i}" for i in range(outputs)], held)


BODIES = {
    "elementwise": ("t = Tanh(w) r = Exp(t) y = MatMul(x, r)", {}),
    "weight_norm": (
        "n = ReduceL2<keepdims=1>(w, axes) d = Div(w, n) s = Mul(d, g) y = MatMul(x, s)",
        {"axes": np.array([0]), "g": np.full((1, 12), 2, F)},
    ),
    "known_after_unknown": ("t = Sin(w) a = Transpose(t) b = Neg(a) c = Transpose(b) y = MatMul(x, c)", {}),
    "where": ("z = Less(w, k) c = Where(z, w, k) y = MatMul(x, c)", {"k": np.array(0.5, F)}),
    "tile": (
        "h = Slice(w, s0, s6, s1) t = Tile(h, r) y = MatMul(x, t)",
        {"s0": np.array([0]), "s6": np.array([6]), "s1": np.array([1]), "r": np.array([1, 2])},
    ),
    "product": ("p = MatMul(w, q) y = MatMul(x, p)", {"q": rng(2).standard_normal((12, 12)).astype(F)}),
    "string_attribute": (
        'e = Einsum<equation="ij,jk->ik">(w, q) y = MatMul(x, e)',
        {"q": rng(2).standard_normal((12, 12)).astype(F)},
    ),
    "contrib": ("g = com.microsoft.FastGelu(w) y = MatMul(x, g)", {}),
    "second_output": ("v, i = TopK<axis=1>(w, k) f = Cast<to=1>(i) y = MatMul(x, f)", {"k": np.array([12])}),
    "from_shape": (
        "o = OneHot(i, d, v) c = Concat<axis=1>(o, o, o) y = MatMul(x, c)",
        {"i": np.arange(9) % 4, "d": np.array(4), "v": np.array([0.5, 2], F)},
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_constants_of_other_operators_are_folded(name: str, tmp_path: Path) -> None:
    body, arrays = BODIES[name]
    used = {"w": W, **arrays} if "(w" in body or " w" in body else arrays
    proto = text_model(f"g (float[9,9] x) => (float[9,12] y) {{ {body} }}", used)
    (implied,) = run(proto, x=np.eye(9, dtype=F))
    result, (values, *_) = surveyed(proto, tmp_path)
    assert values is not None, result.weights[0].problem
    np.testing.assert_array_equal(values[0, :, :, 0].T.astype(F), implied)
    assert all(account.weights or account.reason != "unused" for account in result.accounts)


def test_the_flag_turns_it_off(tmp_path: Path) -> None:
    body, _ = BODIES["elementwise"]
    proto = text_model(f"g (float[9,9] x) => (float[9,12] y) {{ {body} }}", {"w": W})
    result, _ = surveyed(proto, tmp_path, runtime_folding=False)
    (weight,) = result.weights
    assert weight.problem is not None
    assert weight.problem.code == "not_folded"
    assert weight.slots == 1
    report = inspect(tmp_path / "model.onnx", runtime_folding=False)
    assert (report.layers[0].status, report.layers[0].reason) == ("failed", "not_folded")


def starts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note every process that is started."""
    started: list[list[str]] = []
    real = runtime.subprocess.Popen

    def popen(arguments: list[str], **options: object) -> object:
        started.append(arguments)
        return real(arguments, **options)

    monkeypatch.setattr(runtime.subprocess, "Popen", popen)
    return started


def test_one_process_serves_a_model_and_none_one_that_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = starts(monkeypatch)
    proto = text_model("g (float[9,9] x) => (float[9,12] y) { y = MatMul(x, w) }", {"w": W})
    surveyed(proto, tmp_path)
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { s = Sin(table) a = Add(x, s) y = MatMul(a, w) }",
        {"w": W, "table": np.ones((9, 9), F)},
    )
    surveyed(proto, tmp_path)
    assert started == []
    many = " ".join(f"e{i} = Exp(w{i}) y{i} = MatMul(x{i}, e{i}) x{i + 1} = Identity(y{i})" for i in range(6))
    proto = text_model(f"g (float[9,9] x0) => (float[9,9] x6) {{ {many} }}", {f"w{i}": W[:, :9] + i for i in range(6)})
    _, values = surveyed(proto, tmp_path)
    assert all(value is not None for value in values)
    assert len(started) == 1


def test_a_missing_onnxruntime_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    body, _ = BODIES["elementwise"]
    proto = text_model(f"g (float[9,9] x) => (float[9,12] y) {{ {body} }}", {"w": W})
    result, _ = surveyed(proto, tmp_path)
    problem = result.weights[0].problem
    assert problem is not None
    assert problem.code == "not_folded"
    assert "not here" in problem.message


def test_an_interpreter_that_does_not_start_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with Runtime({"": 21}, DEFAULT_LIMITS) as child, pytest.raises(TensorError, match="No such file") as error:
        child.run(node("Exp"), [W], 0)
    assert error.value.code == "not_folded"


def test_an_unknown_operator_and_nonsense_are_reasons_and_the_process_goes_on() -> None:
    with Runtime({"": 21}, DEFAULT_LIMITS) as child:
        for bad in (node("Mystery"), node("Mystery", domain="com.example"), node("Gather"), node("Conv")):
            with pytest.raises(TensorError) as error:
                child.run(bad, [W], 0)
            assert error.value.code == "not_folded"
        np.testing.assert_array_equal(child.run(node("Abs"), [W], 0), np.abs(W))
        assert child.starts == 1


HUGE = {
    "range": (node("Range"), [np.array(0.0), np.array(1e18), np.array(1.0)]),
    "tile": (node("Tile"), [W, np.array([2**40, 2**40])]),
    "one_hot": (node("OneHot"), [np.arange(9), np.array(2**50), np.array([0, 1], F)]),
    "pad": (node("Pad"), [W, np.array([0, 0, 2**40, 2**40])]),
    "resize": (node("Resize"), [W[None, None], np.array([], F), np.array([1, 1, 1e9, 1e9], F)]),
    "matmul": (node("MatMul"), [np.ones((2**20, 1), F), np.ones((1, 2**20), F)]),
    "outer_sum": (node("Pow"), [np.ones((2**20, 1), F), np.ones((1, 2**20), F)]),
    "einsum": (node("Einsum", equation="i,j->ij"), [np.ones(2**20, F), np.ones(2**20, F)]),
    "gather_nd": (node("GatherND"), [np.ones((1, 2**20), F), np.zeros((2**20, 1), np.int64)]),
    "window": (node("HannWindow"), [np.array(2**50)]),
    "dft": (node("DFT"), [np.ones((1, 16, 1), F), np.array(2**50)]),
    "mel": (node("MelWeightMatrix"), [np.array(2**30), np.array(2**30), *[np.array(1)] * 3]),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_an_operator_creates_is_bounded_before_anything_starts(name: str) -> None:
    hostile, arrays = HUGE[name]
    with Runtime({"": 21}, DEFAULT_LIMITS) as child:
        with pytest.raises(TensorError) as error:
            child.run(hostile, arrays, 0)
        assert error.value.code == "over_limit"
        assert child.starts == 0


def test_memory_is_bounded_where_no_rule_is(tmp_path: Path) -> None:
    """A transposed convolution makes 2.6 GB out of 16 kB; the child may have 64 MiB."""
    image, kernel = np.ones((1, 1, 64, 64), F), np.ones((1, 1, 1, 1), F)
    with Runtime({"": 21}, DEFAULT_LIMITS, memory=64 * 2**20) as child:
        with pytest.raises(TensorError) as error:
            child.run(node("ConvTranspose", strides=[400, 400]), [image, kernel], 0)
        assert error.value.code == "not_folded"
        np.testing.assert_array_equal(child.run(node("Abs"), [W], 0), np.abs(W))


def test_results_over_the_limit_are_refused() -> None:
    limits = Limits(fold_elements=1000)
    image, kernel = np.ones((1, 1, 4, 4), F), np.ones((1, 1, 1, 1), F)
    with Runtime({"": 21}, limits) as child, pytest.raises(TensorError) as error:
        child.run(node("ConvTranspose", strides=[40, 40]), [image, kernel], 0)
    assert error.value.code == "over_limit"


def test_wall_time_is_bounded() -> None:
    started = time.monotonic()
    with Runtime({"": 21}, DEFAULT_LIMITS, seconds=3.0) as child:
        net = node("LSTM", outputs=2, hidden_size=128)
        arrays = [np.ones((500_000, 1, 3), F), np.ones((1, 512, 3), F), np.ones((1, 512, 128), F)]
        with pytest.raises(TensorError, match="too long") as error:
            child.run(net, arrays, 1)
        assert error.value.code == "not_folded"
    assert time.monotonic() - started < 20


def test_processes_that_end_too_often_are_not_started_again(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os\nos._exit(3)\n")
    with Runtime({"": 21}, DEFAULT_LIMITS) as child, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path), *sys.path])
        for _ in range(6):
            with pytest.raises(TensorError):
                child.run(node("Exp"), [W], 0)
        assert child.starts == runtime.MAX_STARTS


# --- never run ---------------------------------------------------------------------------------


def test_a_loop_that_never_ends_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = starts(monkeypatch)
    body = parser.parse_graph(
        "b (int64 i, bool c, float[9,12] s) => (bool c2, float[9,12] t) { c2 = Identity(c) t = Exp(s) }"
    )
    loop = helper.make_node("Loop", ["", "yes", "w"], ["forever"], body=body)
    proto = text_model("g (float[9,9] x) => (float[9,12] y) { y = MatMul(x, forever) }", {"w": W})
    proto.graph.node.insert(0, loop)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    surveyed(proto, tmp_path)
    assert started == []


@pytest.mark.parametrize("shape", [[9, 12], [2**31, 2**31]])
def test_constant_of_shape_is_skipped_with_that_reason(shape: list[int], tmp_path: Path) -> None:
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { c = ConstantOfShape(s) t = Identity(c) y = MatMul(x, t) }",
        {"s": np.array(shape)},
    )
    result, _ = surveyed(proto, tmp_path)
    assert not result.weights
    assert [(skip.reason, list(skip.shape)) for skip in result.skipped] == [("constant_of_shape", shape)]


HOSTILE = {
    "constant_of_shape": ("c = ConstantOfShape(s) z = Add(c, w) y = MatMul(x, z)", {"s": np.array([2**40, 2**20])}),
    "expand": ("c = Expand(w, s) y = MatMul(x, c)", {"s": np.array([2**40, 9, 12])}),
    "tile": ("c = Tile(w, s) y = MatMul(x, c)", {"s": np.array([2**30, 2**30])}),
    "negative": ("c = ConstantOfShape(s) z = Add(c, w) y = MatMul(x, z)", {"s": np.array([-4, 12])}),
    "range": (
        "r = Range(a, b, c) m = Reshape(r, s) y = MatMul(x, m)",
        {"a": np.array(0, F), "b": np.array(1e17, F), "c": np.array(1, F), "s": np.array([9, -1])},
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sizes_are_bounded_and_the_slot_is_named(name: str, tmp_path: Path) -> None:
    body, arrays = HOSTILE[name]
    used = {"w": W, **arrays} if "w" in body.replace("y", "") else arrays
    proto = text_model(f"g (float[9,9] x) => (float[9,12] y) {{ {body} }}", used)
    started = time.monotonic()
    result, _ = surveyed(proto, tmp_path)
    assert time.monotonic() - started < 5
    reasons = {weight.problem.code for weight in result.weights if weight.problem} | {s.reason for s in result.skipped}
    assert reasons & {"over_limit", "invalid_graph"}


def test_a_sparse_tensor_of_terabytes_is_not_made_dense(tmp_path: Path) -> None:
    proto = text_model("g (float[9,9] x) => (float[9,12] y) { y = MatMul(x, w) }", {})
    values = numpy_helper.from_array(np.array([1, 2], F), "w")
    indices = numpy_helper.from_array(np.array([0, 5]), "i")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**21, 2**21]))
    result, _ = surveyed(proto, tmp_path)
    problem = result.weights[0].problem
    assert problem is not None
    assert problem.code == "over_limit"
