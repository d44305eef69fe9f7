"""Case 33: a model that changes, or is cut short, while it is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.hostile.files import INPUT, SOUND, USED
from fixtures.hostile.wire import graph, key, model, node, tensor, varint

SIDE = 3000
ROOT = Path(__file__).resolve().parents[2]


def write(path: Path) -> None:
    """Write a model whose hash alone takes a second: 1 GB, of which a few KiB are on disk."""
    rows = 1_000_000
    head = tensor("w", (rows, 250))
    length = len(head) + len(key(9, 2)) + len(varint(rows * 1000)) + rows * 1000
    after = graph([node("MatMul", ["x", "w"], ["y"]), USED], [SOUND], INPUT)
    whole = len(key(5, 2)) + len(varint(length)) + length + len(after)
    with path.open("wb") as file:
        file.write(model(b"")[:-2].partition(b"by hand")[0] + b"by hand" + key(7, 2) + varint(whole))
        file.write(key(5, 2) + varint(length) + head + key(9, 2) + varint(rows * 1000))
        file.seek(rows * 1000, os.SEEK_CUR)
        file.write(after)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def touch(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"changed")


def is_open(process: subprocess.Popen[str], path: Path) -> bool:
    """Say whether a process has a file open."""
    try:
        return any(os.path.realpath(entry) == str(path) for entry in Path(f"/proc/{process.pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("change", [truncate, touch], ids=lambda change: change.__name__)
def test_a_file_that_changes_while_it_is_read(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write(path)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "onnxspec", "inspect", "-f", "json", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not is_open(process, path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.poll() is None, "it ended before it could be disturbed"
    change(path)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert "internal error" not in err
    assert process.returncode in (3, 4), err
    if process.returncode == 4:
        assert "file_changed" in {diagnostic["code"] for diagnostic in json.loads(out)["diagnostics"]}
    else:
        assert "changed" in err or "cut short" in err
        assert err.count("\n") == 1
