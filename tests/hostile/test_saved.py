"""Case 36: hostile policies, configuration files and saved reports are refused with one sentence, or do no harm."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import onnxspec
from fixtures.hostile.saved import CASES, SavedCase
from onnxspec.errors import OnnxspecError
from onnxspec.policy import check, load_policy, profile
from onnxspec.report.check_formats import CHECK_FORMATS, check_formatter
from onnxspec.report.interface import FORMATS, formatter
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
        assert load_policy(f"/dev/fd/{reading}").fail_on == "error"
    finally:
        os.close(reading)


EVIL = "=a\x1b[31m\x9b\u202e\x07</script>\r\n::error::b|`"


def texts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give the place of every text of a tree."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, str):
            yield value, key
        elif isinstance(item, (dict, list)):
            yield from texts(item)


def test_no_text_of_a_report_reaches_a_terminal_or_a_page_as_it_is(report: dict[str, Any]) -> None:
    """Every text that a report may hold is evil at once: each format writes all of them as escapes."""
    changed = json.loads(json.dumps(report))
    changed["diagnostics"].append({"code": "a", "severity": "error", "message": "m", "subject": "s"})
    changed["skipped"].append(
        {"slot": "s", "op_type": "o", "tensor": "t", "shape": [2], "dtype": "d", "parameters": 2, "reason": "r"}
        | {"detail": "d"}
    )
    taken = 0
    for container, key in list(texts(changed)):
        before, container[key] = container[key], EVIL
        try:
            onnxspec.Report.from_json(json.dumps(changed))
            taken += 1
        except OnnxspecError:
            container[key] = before
    assert taken > 100
    found = onnxspec.Report.from_json(json.dumps(changed))
    judgement = check(found, profile("strict"))
    written = {name: formatter(name)([found]) for name in FORMATS if name != "parquet"}
    written |= {f"check_{name}": check_formatter(name)([judgement]) for name in CHECK_FORMATS}
    for name, text in written.items():
        bad = {c for c in text if not c.isprintable() and c != "\n"}
        assert not bad, (name, bad)
        if name in ("html", "junit"):
            assert "</script>\\r" not in text, name
        assert not any(line.startswith("::error::b") for line in text.splitlines()), name
    for row in csv.reader(io.StringIO(written["csv"])):
        assert not any(cell.startswith("=") for cell in row)
