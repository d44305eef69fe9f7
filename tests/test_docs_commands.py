"""Every command line of the README and of docs/ runs, in a folder that holds what it names."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from onnxspec import cli
from onnxspec.cli.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
BLOCK = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.DOTALL | re.MULTILINE)
ENDED_AS_TOLD = {ExitCode.OK, ExitCode.FAILED, ExitCode.INCOMPLETE}


def commands(page: Path) -> list[str]:
    """Give the command lines of a page that call onnxspec, in order; a backslash goes on."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("onnxspec ")]
    return found


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if commands(page)]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the files that documents name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    (tmp_path / "models").mkdir()
    for name, source in (
        ("model.onnx", "lenet5.onnx"),
        ("vendor.onnx", "lenet5.onnx"),
        ("models/a.onnx", "linear_gemm.onnx"),
        ("models/b.onnx", "linear_gemm.onnx"),
        *((f"{name}.onnx", "lenet5.onnx") for name in ("before", "after", "float", "int8", "tuned", "base")),
    ):
        shutil.copy(MODELS / source, tmp_path / name)
    assert run(["onnxspec", "analyze", "model.onnx", "--effort", "fast", "-o", "report.json"], monkeypatch) == 0
    for name in ("a.json", "b.json"):
        shutil.copy(tmp_path / "report.json", tmp_path / name)
    assert run(["onnxspec", "init-policy", "-o", "accept.toml"], monkeypatch) == 0
    return tmp_path


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command line in this process."""
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_there_are_commands_to_run() -> None:
    assert {"README.md", "policy.md", "exporting.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_run(
    page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = commands(page)
    if not any("init-policy" in line for line in lines):
        assert run(["onnxspec", "init-policy", "-o", "policy.toml"], monkeypatch) == 0
    for line in lines:
        code = run(shlex.split(line, comments=True), monkeypatch)
        said = capsys.readouterr()
        assert code in ENDED_AS_TOLD, f"{line}\n{said.err}"


def test_the_python_of_the_notebook_page_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    names: dict[str, object] = {}
    for block in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/notebooks.md").read_text(encoding="utf-8"), re.DOTALL
    ):
        if "# doctest: skip" not in block:
            exec(compile(block, "notebooks.md", "exec"), names)
    assert (tmp_path / "fc1.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert names["fit"].alpha > 1  # type: ignore[attr-defined]
