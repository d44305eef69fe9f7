"""Case 36: hostile policies, configuration files and saved reports are refused with one sentence, or do no harm."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import onnxspec
from fixtures.hostile.saved import CASES, SavedCase
from tests.hostile.server import Server
from tests.hostile.test_models import well_behaved

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "fixtures" / "models" / "unhealthy.onnx"


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return json.loads(onnxspec.analyze(MODEL, effort="fast").to_json())


def commands(case: SavedCase, path: Path, sound: Path) -> list[list[str | Path]]:
    """Give the commands that read such a file."""
    if case.name.startswith("policy"):
        return [["check", sound, "--policy", path]]
    if case.name.startswith("config"):
        return [["check", sound]]
    return [["check", path], ["check", sound, "--baseline", path], ["render", path, "-f", "table"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(case: SavedCase, server: Server, folder: Path, report: dict[str, Any]) -> None:
    sound = folder.parent / "sound.json"
    sound.write_text(json.dumps(report))
    path = folder / case.file
    case.write(path, report)
    for command in commands(case, path, sound):
        done = server.run(*command, cwd=folder)
        if case.words == "":
            well_behaved(done)
            assert "\x1b" not in done.out + done.err
            continue
        assert done.code == (3 if case.name.startswith("report") else 2), done.err
        assert "Traceback" not in done.err
        assert done.err.startswith(("onnxspec: ", "Usage: "))
        assert done.err.count("\n") == 1 or done.err.startswith("Usage: "), done.err
        assert all(line.isprintable() for line in done.err.splitlines())
        assert len(done.err) < 1000
        assert case.words in done.err


SENSELESS = {
    "negative_ratio": ("stable_rank_ratio", -1.0),
    "negative_norm": ("norm", -1.0),
    "empty_verdict": ("trained", {}),
    "count_beyond_any": ("denormals", 10**400),
    "negative_counts": ("plot", None),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_values_that_make_no_sense(name: str, server: Server, folder: Path, report: dict[str, Any]) -> None:
    """A report may be of the right types and still say what cannot be: no command ends with an internal error."""
    field, value = SENSELESS[name]
    changed = json.loads(json.dumps(report))
    for layer in changed["layers"]:
        if name == "negative_counts":
            for key, numbers in (layer["plot"] or {}).items():
                if isinstance(numbers, list):
                    layer["plot"][key] = [-5 for _ in numbers]
        else:
            layer[field] = value
    path = folder / "report.json"
    path.write_text(json.dumps(changed))
    for command in (["check", path, "--profile", "strict"], ["render", path], ["render", path, "-f", "html"]):
        well_behaved(server.run(*command, cwd=folder))
    beside = folder / "sound.json"
    beside.write_text(json.dumps(report))
    assert str(report["model"]["path"]) in server.run("check", path, beside, cwd=folder).out  # the other one is judged


def test_a_policy_from_a_pipe_of_the_shell_is_read(server: Server, folder: Path, report: dict[str, Any]) -> None:
    sound = folder / "sound.json"
    sound.write_text(json.dumps(report))
    reading, writing = os.pipe()
    os.write(writing, b"fail_on = 'error'\nselect = ['OS104']\n")
    os.close(writing)
    try:
        from onnxspec.policy import load_policy

        assert load_policy(f"/dev/fd/{reading}").fail_on == "error"
    finally:
        os.close(reading)
