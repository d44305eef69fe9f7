"""A bounded run of the fuzzer; ``python -m tests.fuzz.run CORPUS`` runs it for as long as you like."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHANGED = 200
SECONDS = 15

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the target needs files in memory")


def run(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"tests.fuzz.{module}", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def test_seeds_and_changes(tmp_path: Path) -> None:
    done = run("plain", str(CHANGED), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > CHANGED


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs tests/fuzz/requirements.txt")
def test_atheris(tmp_path: Path) -> None:
    done = run("run", str(tmp_path / "corpus"), f"-max_total_time={SECONDS}", "-print_final_stats=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert executed is not None
    assert int(executed[1]) > 20
