"""``--store`` and ``--dask`` as users type them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def model(fixtures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(fixtures / "models/lenet5.onnx", tmp_path / "model.onnx"))


def test_a_store_is_reused_and_changes_no_byte(run: Run, model: Path, tmp_path: Path) -> None:
    plain = run("analyze", model, "-f", "json")
    for reused in (0, 4):
        done = run("analyze", model, "-f", "json", "--store", "kept", "-v")
        assert (done.returncode, done.stdout) == (0, plain.stdout)
        assert f"{reused} layers reused, {4 - reused} added" in done.stderr
    named = run("analyze", model, "-f", "json", env={"ONNXSPEC_STORE": "kept"})
    assert (named.stdout, named.stderr) == (plain.stdout, "")
    (tmp_path / "onnxspec.toml").write_text('[analyze]\nstore = "kept"\nverbose = true\n')
    assert "4 layers reused" in run("analyze", model, "-f", "json").stderr


def test_a_store_that_cannot_be_used_costs_a_note(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("some text")
    done = run("analyze", model, "-f", "json", "--effort", "fast", "--store", "text.sqlite")
    assert done.returncode == 0
    assert json.loads(done.stdout)["coverage"]["slots_analyzed"] == 4
    assert done.stderr.count("\n") == 1
    assert "no result store" in done.stderr
    assert (tmp_path / "text.sqlite").read_text() == "some text"


def test_wrong_dask_addresses(run: Run, model: Path) -> None:
    pytest.importorskip("distributed", reason="needs dask.distributed (pip install 'onnxspec[dask]')")
    done = run("analyze", model, "--dask", "nowhere")
    assert done.returncode == 2
    assert "tcp://HOST:PORT" in done.stderr


def test_dask_gives_the_same_bytes_for_one_model_and_for_several(run: Run, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs dask.distributed (pip install 'onnxspec[dask]')")
    (tmp_path / "broken.onnx").write_text("no model")
    for models in ([model.name], [model.name, "broken.onnx"]):
        here = run("analyze", *models, "--effort", "fast", "-f", "json")
        there = run("analyze", *models, "--effort", "fast", "-f", "json", "--dask", "local:1", "--store", "kept")
        assert there.returncode == here.returncode
        assert there.stdout == here.stdout
    assert "4 layers reused, 0 added" in run("analyze", model, "--effort", "fast", "--store", "kept", "-v").stderr
