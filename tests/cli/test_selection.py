"""Which layers are wanted, and how much of the file must be covered: options of analyze and inspect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import Run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Give a file with a Fourier basis, a trained matrix, a recurrent layer and an operator nobody knows."""
    t = np.arange(64)
    angles = 2 * np.pi * np.outer(np.arange(33), t) / 64
    basis = np.concatenate([np.cos(angles), np.sin(angles)]) * (0.5 - 0.5 * np.cos(2 * np.pi * t / 64))
    r = np.random.default_rng(0)
    arrays = {
        "basis": basis[:, None],
        "layer": r.standard_normal((66, 64)),
        "W": r.standard_normal((1, 4 * 60, 64)),
        "R": r.standard_normal((1, 4 * 60, 60)),
        "secret": r.standard_normal((60, 60)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "basis"], ["a"], strides=[64]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[2, 0, 1]),
        helper.make_node("MatMul", ["b", "layer"], ["c"]),
        helper.make_node("LSTM", ["c", "W", "R"], ["d"], hidden_size=60),
        helper.make_node("Magic", ["d", "secret"], ["y"], domain="who.knows"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("who.knows", 1)]
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    return path


COMMANDS = (("inspect",), ("analyze", "--effort", "fast", "-q"))


def roles(stdout: str) -> dict[str, str]:
    report = json.loads(stdout)
    return {layer["tensor"]: layer["role"] for layer in report["layers"]}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_patterns_choose_layers(command: tuple[str, ...], run: Run, model: Path) -> None:
    plain = run(*command, model, "-f", "json")
    assert roles(plain.stdout) == {"layer": "dense", "W": "recurrent_input", "R": "recurrent_hidden"}
    chosen = run(*command, model, "-f", "json", "--include", "basis*", "--exclude", "layer", "--role", "W=dense")
    assert roles(chosen.stdout) == {"basis": "conv", "W": "dense", "R": "recurrent_hidden"}
    skips = {skip["tensor"]: skip["reason"] for skip in json.loads(chosen.stdout)["skipped"]}
    assert skips["layer"] == "excluded"
    said = run(*command, model, "-f", "json", "--role", "layer=mask")
    assert {s["tensor"]: s["reason"] for s in json.loads(said.stdout)["skipped"]}["layer"] == "mask"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_gates_on_request(command: tuple[str, ...], run: Run, model: Path) -> None:
    report = json.loads(run(*command, model, "-f", "json", "--gates").stdout)
    gates = [layer["id"].rpartition(".")[2] for layer in report["layers"] if layer["tensor"] == "W"]
    assert gates == ["input_gate", "output_gate", "forget_gate", "cell_gate"]
    assert {(layer["N"], layer["M"]) for layer in report["layers"] if layer["tensor"] == "W"} == {(64, 60)}
    assert report["coverage"]["slots"] == 5


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_required_coverage(command: tuple[str, ...], run: Run, model: Path) -> None:
    # three of the four slots that are or may be weights: the basis is none, who.knows.Magic is not supported
    assert run(*command, model, "--require-coverage", "0.75").returncode == 0
    done = run(*command, model, "--require-coverage", "0.99")
    assert done.returncode == 1
    assert "coverage 75.0 % is below the required 99 %" in done.stderr
    assert run(*command, model, "--require-coverage", "1.5").returncode == 2


def test_wrong_roles_are_refused(run: Run, model: Path) -> None:
    for text in ("layer", "layer=king", "=dense"):
        done = run("inspect", model, "--role", text)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_copy_is_noticed(run: Run, tmp_path: Path) -> None:
    r = np.random.default_rng(1)
    w = r.standard_normal((60, 50)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "v"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 60])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(w.T.copy(), "v")],
    )
    path = tmp_path / "tied.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    report = json.loads(run("analyze", "--effort", "fast", "-q", path, "-f", "json").stdout)
    assert [d["code"] for d in report["diagnostics"]] == ["tied"]
    assert "transposed" in report["diagnostics"][0]["message"]
