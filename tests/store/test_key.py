"""What makes a new key, and what does not."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxspec.errors import TensorError
from onnxspec.graph import survey
from onnxspec.graph.fingerprint import fingerprint
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model
from onnxspec.settings import Settings
from onnxspec.store import key
from tests.graph.build import model, rng

W = rng(1).standard_normal((12, 10)).astype(np.float32)
PACKAGE = Path(key.__file__).parents[1]


def keys(proto: onnx.ModelProto, folder: Path, settings: Settings | None = None) -> list[bytes]:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with open_model(path) as opened:
        found = survey(opened, DEFAULT_LIMITS)
        return [key.layer_key(weight, settings or Settings()) for weight in found.weights]


def gemm(array: np.ndarray, name: str = "w", **attributes: object) -> onnx.ModelProto:
    node = helper.make_node("Gemm", ["x", name], ["y"], name=f"node_{name}", **(attributes or {"transB": 1}))
    return model([node], {name: array})


def test_names_and_places_make_no_new_key(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W))
    inline = model([constant, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)])
    typed = gemm(W)
    tensor = typed.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend(W.ravel().tolist())
    assert keys(gemm(W), tmp_path) == keys(gemm(W, "other"), tmp_path) == keys(inline, tmp_path)
    assert keys(typed, tmp_path) == keys(gemm(W), tmp_path)


def quantized(scale: float, zero: int, codes: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    return model(nodes, {"c": codes, "s": np.float32(scale), "z": np.uint8(zero)})


def turned(perm: list[int]) -> onnx.ModelProto:
    nodes = [helper.make_node("Transpose", ["w"], ["t"], perm=perm), helper.make_node("MatMul", ["x", "t"], ["y"])]
    return model(nodes, {"w": W[:10]})


def split(sizes: list[int]) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Split", ["w", "n"], ["a", "b"], axis=0),
        helper.make_node("Gemm", ["x", "a"], ["y"], transB=1),
    ]
    return model(nodes, {"w": np.tile(W[:1], (24, 1)), "n": np.array(sizes)})


def conv(group: int) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=group)
    return model([node], {"w": W.reshape(12, 10, 1, 1)})


CODES = rng(2).integers(0, 255, (12, 10)).astype(np.uint8)
ONE_BIT = W.copy()
ONE_BIT.view(np.uint32)[3, 4] ^= 1
DIFFERENT = {
    "a_bit": (gemm(W), gemm(ONE_BIT)),
    "dtype": (gemm(W), gemm(W.astype(np.float64))),
    "shape": (gemm(W), gemm(W.reshape(10, 12))),
    "side": (gemm(W), gemm(W, transB=0)),
    "scale": (quantized(0.1, 3, CODES), quantized(0.2, 3, CODES)),
    "zero_point": (quantized(0.1, 3, CODES), quantized(0.1, 4, CODES)),
    "codes": (quantized(0.1, 3, CODES), quantized(0.1, 3, CODES[::-1].copy())),
    "attribute": (turned([1, 0]), turned([0, 1])),
    "argument": (split([12, 12]), split([11, 13])),
    "groups": (conv(1), conv(2)),
    "role": (gemm(W, transB=1), model([helper.make_node("Gather", ["w", "i"], ["y"])], {"w": W}, inputs=["i"])),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_decides_a_number_makes_a_new_key(what: str, tmp_path: Path) -> None:
    first, second = (keys(proto, tmp_path) for proto in DIFFERENT[what])
    assert first
    assert second
    assert not set(first) & set(second)


@pytest.mark.parametrize(
    "changed",
    [
        {"effort": "fast"},
        {"conv": "unfold"},
        {"ks": "two_sided"},
        {"min_evals": 20},
        {"min_tail": 5},
        {"exact": True},
        {"spectra": True},
        {"cross_check": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_setting_that_decides_numbers_makes_a_new_key(changed: dict, tmp_path: Path) -> None:
    assert keys(gemm(W), tmp_path) != keys(gemm(W), tmp_path, Settings(**changed))


def test_settings_that_select_make_no_new_key(tmp_path: Path) -> None:
    chosen = Settings(include=("x*",), exclude=("y*",), roles=(("z*", "dense"),), gates=True)
    assert keys(gemm(W), tmp_path) == keys(gemm(W), tmp_path, chosen)


def test_another_version_of_the_code_makes_a_new_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(gemm(W), tmp_path)
    monkeypatch.setattr(key, "code_version", lambda: "another")
    assert keys(gemm(W), tmp_path) != before


def test_the_version_depends_on_sources_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = key.code_version.__wrapped__
    before = compute()
    assert before == compute()
    read = Path.read_bytes
    tables = [("laws/tracy_widom.npy", True), ("fits/bulk_null.npz", True)]
    for name, changes in (("spectra/eigen.py", True), ("layers/analyze.py", True), ("cli/analyze.py", False), *tables):
        path = PACKAGE / name
        assert path.is_file()
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", lambda self, path=path: read(self) + (b"#" if self == path else b""))
            assert (compute() != before) is changes, name
    monkeypatch.setattr(key, "_version", lambda name: "0")
    assert compute() != before


def test_an_unreadable_weight_has_no_key(tmp_path: Path) -> None:
    proto = gemm(W)
    proto.graph.initializer[0].raw_data = b"too short"
    with pytest.raises(TensorError):
        keys(proto, tmp_path)


def test_a_pinned_value_counts_by_its_value(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(turned([1, 0]).SerializeToString())
    with open_model(path) as opened:
        weight = survey(opened, DEFAULT_LIMITS).weights[0]
        weight.constant.small_value, weight.constant.pinned = weight.constant.load(), True
        first = fingerprint(weight)
        weight.constant.small_value = weight.constant.small_value + np.float32(1)
        assert fingerprint(weight) != first


def test_no_number_comes_from_code_outside_the_digest() -> None:
    """Follow the imports from what computes a layer: none may reach a part that the digest leaves out."""
    stack = [PACKAGE / "layers/analyze.py", *(PACKAGE / "engine").glob("*.py"), PACKAGE / "graph/runtime_child.py"]
    seen: set[Path] = set()
    while stack:
        path = stack.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [f"{node.module}.{a.name}" for a in node.names] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                parts = name.split(".")
                if parts[0] == "onnxspec" and len(parts) > 1:
                    target = PACKAGE.joinpath(*parts[1:])
                    stack += [p for p in (target.with_suffix(".py"), target / "__init__.py") if p.is_file()]
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in seen}
    assert {"fits", "spectra", "diagnosis", "graph", "reading", "layers"} <= rooms
    assert not rooms & key.NOT_NUMERICAL
