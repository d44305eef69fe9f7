"""``onnxspec cache``: what is kept, clearing, warming."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from onnxspec.store import DEFAULT_NAME
from tests.cli.conftest import Run


@pytest.fixture
def kept(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    shutil.copy(fixtures / "models/lenet5.onnx", tmp_path / "model.onnx")
    run("analyze", "model.onnx", "--effort", "fast", "--store", "kept", "-q")
    return tmp_path / "kept" / DEFAULT_NAME


def test_info_and_clear(run: Run, kept: Path, tmp_path: Path) -> None:
    told = run("cache", "info", "--store", "kept").stdout
    assert "4 results" in told
    assert "(this program)" in told
    assert "kernels:" in told
    aged = sqlite3.connect(kept)
    aged.execute("UPDATE layers SET used = ? WHERE rowid = 1", (int(time.time()) - 40 * 86_400,))
    aged.commit()
    aged.close()
    assert run("cache", "clear", "--store", "kept", "--older-than", "30d").stdout == "1 results cleared\n"
    (tmp_path / "onnxspec.toml").write_text('[analyze]\nstore = "kept"\n')
    assert "3 results" in run("cache", "info").stdout
    assert run("cache", "clear", "--all", env={"ONNXSPEC_STORE": "kept"}).stdout == "3 results cleared\n"
    assert "0 results" in run("cache", "info").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clear", "--store", "kept"], "--older-than AGE or --all"),
        (["clear", "--store", "kept", "--all", "--older-than", "1d"], "--older-than AGE or --all"),
        (["clear", "--store", "kept", "--older-than", "soon"], "--older-than is 'soon'"),
        (["clear", "--store", "kept", "--older-than", "nand"], "--older-than"),
        (["clear", "--all"], "no store is named"),
        (["info", "--store", "missing"], "does not exist"),
        (["info", "--store", "model.onnx"], "no result store"),
    ],
)
def test_wrong_use(run: Run, kept: Path, arguments: list[str], said: str) -> None:
    done = run("cache", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_warm_says_where_the_kernels_are(run: Run) -> None:
    done = run("cache", "warm")
    assert done.returncode in (0, 4)
    assert "kernels ready" in done.stdout
    again = run("cache", "warm")
    if done.returncode == 0:
        assert ", 0 of them compiled now" in again.stdout
