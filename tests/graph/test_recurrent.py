"""LSTM, GRU and RNN: each gate's matrix against what onnxruntime computes from one-hot inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from onnxspec.graph.recurrent import GATES
from tests.graph.build import rng
from tests.graph.text import matrix, parsed, run, surveyed

H, X = 9, 8
ON, OFF = 60.0, -60.0


def make(op: str, directions: int, attributes: str = "", layout: int = 0):
    gates = max(1, len(GATES[op]))
    r = rng(5)
    w = r.uniform(-1, 1, (directions, gates * H, X)).astype(np.float32)
    h = r.uniform(-1, 1, (directions, gates * H, H)).astype(np.float32)
    way = {1: "forward", 2: "bidirectional"}[directions]
    extra = "" if op != "LSTM" else ", c0"
    inputs = "float[s, n, 8] x, float[d, n, 9] h0" if not layout else "float[n, s, 8] x, float[n, d, 9] h0"
    inputs += f", float[d, g] b{', float[d, n, 9] c0' if op == 'LSTM' else ''}"
    text = f"""g ({inputs}) => (float[a, c, e, f] y) {{
        y = {op} <hidden_size = {H}, direction = "{way}", layout = {layout}{attributes}> (x, w, h, b, , h0{extra})
    }}"""
    return parsed(text, {"w": w, "h": h}), w, h


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def steps(model, which: str, bias: dict[int, float], gates: int, *, directions: int = 1, c0: float | None = None):
    """Run one step on one-hot inputs or one-hot states: (directions, one-hot, hidden)."""
    b = np.zeros((directions, 2, gates, H), np.float32)
    for gate, value in bias.items():
        b[:, 0, gate] = value
    n = X if which == "w" else H
    feeds = {
        "x": np.eye(X, dtype=np.float32)[None] if which == "w" else np.zeros((1, H, X), np.float32),
        "h0": np.zeros((directions, n, H), np.float32),
        "b": b.reshape(directions, -1),
    }
    if which == "h":
        feeds["h0"][:] = np.eye(H, dtype=np.float32)
    if c0 is not None:
        feeds["c0"] = np.full((directions, n, H), c0, np.float32)
    return run(model, **feeds)[0][0].astype(np.float64)


@pytest.mark.parametrize("which", ["w", "h"])
@pytest.mark.parametrize("directions", [1, 2])
def test_rnn(which: str, directions: int, tmp_path: Path) -> None:
    names = ", ".join(['"Affine"'] * directions)
    numbers = ", ".join(["1.0"] * directions)
    zeros = ", ".join(["0.0"] * directions)
    model, *_ = make(
        "RNN", directions, f", activations = [{names}], activation_alpha = [{numbers}], activation_beta = [{zeros}]"
    )
    got = steps(model, which, {}, 1, directions=directions)
    _, weights = surveyed(model, tmp_path)
    role = {"w": "recurrent_input", "h": "recurrent_hidden"}[which]
    found = [values for weight, values in weights.values() if weight.role == role]
    assert len(found) == directions
    for direction, values in enumerate(found):
        np.testing.assert_allclose(matrix(values).T, got[direction], atol=1e-6)


@pytest.mark.parametrize("which", ["w", "h"])
def test_lstm_by_gate(which: str, tmp_path: Path) -> None:
    # input, output, forget, cell: all but one are held at 0 or 1 by their biases.
    linear = (
        ', activations = ["Sigmoid", "Affine", "Affine"], activation_alpha = [1.0, 1.0], activation_beta = [0.0, 0.0]'
    )
    tanh = ', activations = ["Sigmoid", "Tanh", "Affine"], activation_alpha = [1.0], activation_beta = [0.0]'
    model, *_ = make("LSTM", 1, tanh)
    got = {
        "input_gate": logit(steps(model, which, {1: ON, 3: ON}, 4, c0=0.0)[0]),
        "output_gate": logit(steps(model, which, {0: ON, 2: OFF, 3: ON}, 4, c0=0.0)[0]),
        "forget_gate": logit(steps(model, which, {0: OFF, 1: ON}, 4, c0=1.0)[0]),
        "cell_gate": steps(make("LSTM", 1, linear)[0], which, {0: ON, 1: ON}, 4, c0=0.0)[0],
    }
    _, weights = surveyed(model, tmp_path, gates=True)
    role = {"w": "recurrent_input", "h": "recurrent_hidden"}[which]
    found = {w.slot.part: matrix(values) for w, values in weights.values() if w.role == role}
    assert list(found) == list(GATES["LSTM"])
    for name, values in got.items():
        np.testing.assert_allclose(found[name].T, values, atol=2e-5, err_msg=name)


def test_gru_by_gate(tmp_path: Path) -> None:
    # update, reset, hidden
    linear = ', activations = ["Sigmoid", "Affine"], activation_alpha = [1.0], activation_beta = [0.0]'
    model, *_ = make("GRU", 1, ', activations = ["Sigmoid", "Tanh"]')
    straight = make("GRU", 1, linear)[0]
    update = logit(1 - steps(model, "w", {2: ON}, 3)[0])
    hidden = steps(straight, "w", {0: OFF}, 3)[0]
    recurrent = steps(straight, "h", {0: OFF, 1: ON}, 3)[0]
    # (reset * h0) @ R_h: with a dense h0 the reset gate is found by solving twice.
    h0 = rng(8).uniform(0.5, 1.5, (1, H, H)).astype(np.float32)
    bias = np.zeros((1, 6 * H), np.float32)
    bias[0, :H] = OFF
    mixed = run(straight, x=np.zeros((1, H, X), np.float32), h0=h0, b=bias)[0][0, 0].astype(np.float64)
    reset = np.linalg.solve(h0[0].astype(np.float64), logit(np.linalg.solve(recurrent.T, mixed.T).T / h0[0]))
    _, weights = surveyed(model, tmp_path, gates=True)
    found = {(w.role, w.slot.part): matrix(values).T for w, values in weights.values()}
    np.testing.assert_allclose(found["recurrent_input", "update_gate"], update, atol=2e-5)
    np.testing.assert_allclose(found["recurrent_input", "hidden_gate"], hidden, atol=2e-5)
    np.testing.assert_allclose(found["recurrent_hidden", "hidden_gate"], recurrent, atol=2e-5)
    np.testing.assert_allclose(found["recurrent_hidden", "reset_gate"], reset, atol=5e-2)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("layout", [0, 1])
def test_one_matrix_a_direction_in_both_layouts(op: str, layout: int, tmp_path: Path) -> None:
    model, w, h = make(op, 2, layout=layout)
    found, weights = surveyed(model, tmp_path)
    parts = {(weight.role, weight.slot.part): matrix(values) for weight, values in weights.values()}
    for role, stored in (("recurrent_input", w), ("recurrent_hidden", h)):
        np.testing.assert_array_equal(parts[role, "forward"], stored[0])
        np.testing.assert_array_equal(parts[role, "reverse"], stored[1])
    assert len(parts) == 4
    assert sum(weight.slots for weight in found.weights) == 2


def test_the_bias_is_no_matrix(tmp_path: Path) -> None:
    model, *_ = make("LSTM", 2)
    model.graph.input.remove(next(info for info in model.graph.input if info.name == "b"))
    bias = np.ones((2, 8 * H), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(bias, "b"))
    found, _ = surveyed(model, tmp_path)
    assert {a.tensor.name: a.reason for a in found.accounts if not a.weights} == {"b": "vector"}
    assert not found.skipped


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    model, *_ = make("GRU", 1)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((1, 10, 8), np.float32), "w"))
    found, _ = surveyed(model, tmp_path, gates=True)
    assert {w.problem.code for w in found.weights if w.problem} == {"invalid_graph"}


@pytest.mark.parametrize("gates", [False, True])
def test_dims_of_many_directions_are_one_weight_that_does_not_fit(gates: bool, tmp_path: Path) -> None:
    model, *_ = make("GRU", 1)
    for tensor in model.graph.initializer:
        if tensor.name in "wh":
            tensor.dims[0] = 2**20
    found, _ = surveyed(model, tmp_path, gates=gates)
    assert len(found.weights) == (6 if gates else 2)
    model, *_ = make("RNN", 1)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((3, H, X), np.float32), "w"))
    found, _ = surveyed(model, tmp_path)
    (problem,) = (w.problem for w in found.weights if w.problem)
    assert problem.code == "invalid_graph"
    assert "one direction or two, not 3" in problem.message
