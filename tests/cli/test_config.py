"""Configuration: option before environment before file, and nothing unknown accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def settings(run: Run, model: Path, *arguments: str, **env: str) -> dict:
    done = run("analyze", model, "-f", "json", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["settings"]


def test_order_of_option_environment_and_file(run: Run, fixtures: Path, tmp_path: Path) -> None:
    model = fixtures / "models/linear_gemm.onnx"
    (tmp_path / "onnxspec.toml").write_text('effort = "fast"\n[analyze]\nks = "two_sided"\nmin_evals = 20\n')
    from_file = settings(run, model)
    assert (from_file["effort"], from_file["ks"], from_file["min_evals"]) == ("fast", "two_sided", 20)
    from_environment = settings(run, model, ONNXSPEC_KS="seed2018")
    assert from_environment["ks"] == "seed2018"
    assert settings(run, model, "--ks", "grid", ONNXSPEC_KS="seed2018")["ks"] == "grid"


def test_pyproject(run: Run, fixtures: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.other]\nx = 1\n[tool.onnxspec]\neffort = "fast"\n')
    assert settings(run, fixtures / "models/linear_gemm.onnx")["effort"] == "fast"


@pytest.mark.parametrize(
    "text", ["surprise = 1\n", "[analyze]\nsurprise = 1\n", "[nothing]\nks = 'grid'\n", "= broken"]
)
def test_unknown_keys_are_refused(text: str, run: Run, fixtures: Path, tmp_path: Path) -> None:
    (tmp_path / "onnxspec.toml").write_text(text)
    done = run("analyze", fixtures / "models/linear_gemm.onnx")
    assert done.returncode == 2
    assert "onnxspec.toml" in done.stderr
