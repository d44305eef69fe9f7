"""Run a command and say what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"


@dataclass(frozen=True)
class Cost:
    """What one process and its children cost.

    Attributes
    ----------
    cpu : float
        Seconds of processor time, user and system.
    peak : float
        Largest resident set of the process itself in MB (10^6 bytes).
    output : str
        What it printed.
    """

    cpu: float
    peak: float
    output: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a measured process: one BLAS thread, warm caches that can be written."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    return kept | {
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "NUMBA_CACHE_DIR": str(CACHE / "numba"),
        "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode"),
        **(extra or {}),
    }


def run(command: Sequence[str], *, extra: Mapping[str, str] | None = None) -> Cost:
    """Run a Python script or module to its end: ``[python, script, ...]`` or ``[python, "-m", module, ...]``.

    Raises
    ------
    RuntimeError
        It failed; the message ends with what it said.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    noted = CACHE / "peak"
    noted.unlink(missing_ok=True)
    watched = [command[0], str(Path(__file__).with_name("peak.py")), *command[1:]]
    variables = environment({"BENCH_PEAK": str(noted), **(extra or {})})
    with (CACHE / "stdout").open("w+") as out, (CACHE / "stderr").open("w+") as err:
        process = subprocess.Popen(watched, stdout=out, stderr=err, cwd=ROOT, env=variables)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in (0, 4):
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {err.read()[-2000:]}")
        return Cost(usage.ru_utime + usage.ru_stime, int(noted.read_text()) / 1e6, out.read())


def onnxspec(*arguments: str, threads: int = 1) -> Cost:
    """Run this checkout's program."""
    command = [sys.executable, "-m", "onnxspec", "analyze", "--quiet", "--format", "json", *arguments]
    return run(command, extra={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": str(threads)})
