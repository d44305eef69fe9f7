"""Every command of the help exists, and the help stays cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onnxspec.cli.commands import COMMANDS
from tests.cli.conftest import Run


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, run: Run) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert name in done.stdout


def test_the_help_builds_no_command() -> None:
    code = """
import sys
from onnxspec.cli import main
sys.argv = ["onnxspec", "--help"]
try:
    main()
except SystemExit:
    print(sorted(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.rpartition("\n[")[2]
    assert "'onnxspec.cli.commands'" in loaded
    for module in ("onnxspec.cli.analyze", "onnxspec.results", "numpy", "rich", "pydantic"):
        assert f"'{module}'" not in loaded


@pytest.mark.parametrize("arguments", [["--version"], ["no-such-command"], ["inspect", "no-such-file.onnx"]], ids=str)
def test_the_end_of_the_program_collects_no_garbage(arguments: list[str]) -> None:
    code = f"""
import gc, sys
from onnxspec.cli import main
sys.argv = ["onnxspec", *{arguments!r}]
try:
    main()
except SystemExit:
    print("frozen", gc.get_freeze_count() > 10_000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "frozen True" in done.stdout


def test_a_wrong_command_is_a_usage_error(run: Run) -> None:
    done = run("analyse")
    assert done.returncode == 2
    assert "analyse" in done.stderr
