"""Kernels that were compiled when an image was built are found when it runs, whatever cannot be written then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import onnxspec
from onnxspec._jit import KERNELS, kernel_cache
from onnxspec.engine.warm import warm

READ_ONLY = """
import os, tempfile
for name in ("HOME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
def refuse(*args, **kwargs):
    raise OSError("read-only file system")
tempfile.TemporaryFile = refuse
"""


def run(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def signatures() -> dict[str, int]:
    return {str(kernel): len(kernel.signatures) for kernel in KERNELS}


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_after_warming_an_analysis_compiles_nothing(fixtures: Path) -> None:
    done = warm()
    assert done.used > 5
    before = signatures()
    for name in ("unhealthy", "conv2d", "conv_grouped"):
        for options in ({}, {"conv": "slices"}, {"conv": "unfold", "exact": True, "cross_check": True}):
            onnxspec.analyze(fixtures / f"models/{name}.onnx", effort="full", **options)
    assert signatures() == before


@pytest.mark.skipif(not kernel_cache().writable, reason="kernels cannot be kept here")
def test_a_read_only_system_without_home_uses_what_was_compiled(fixtures: Path) -> None:
    warm()
    code = READ_ONLY + (
        "from onnxspec.engine.warm import warm\n"
        "from onnxspec import _jit\n"
        "done = warm()\n"
        "print(_jit._CACHE, done.compiled, done.cache.writable, done.cache.files > 0)\n"
    )
    assert run(code).split() == ["False", "0", "False", "True"]


def test_a_read_only_system_without_kernels_compiles_them(tmp_path: Path) -> None:
    code = READ_ONLY + (
        "import numpy as np\n"
        "from onnxspec.diagnosis.shuffling import _swap\n"
        "from onnxspec._jit import _CACHE\n"
        "values = np.arange(4.0); _swap(values, np.arange(4, dtype=np.uint64), 0)\n"
        "print(_CACHE, sorted(values.tolist()))\n"
    )
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path / "none")) == "False [0.0, 1.0, 2.0, 3.0]\n"
    assert not (tmp_path / "none").exists() or not list((tmp_path / "none").rglob("*.nbc"))


def test_a_chosen_folder_is_used_and_then_read(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from onnxspec.diagnosis.shuffling import _swap\n"
        "_swap(np.arange(4.0), np.arange(4, dtype=np.uint64), 0)\n"
        "print(sum(_swap.stats.cache_hits.values()), sum(_swap.stats.cache_misses.values()))\n"
    )
    folder = str(tmp_path / "kernels")
    assert run(code, NUMBA_CACHE_DIR=folder) == "0 1\n"
    assert run(code, NUMBA_CACHE_DIR=folder) == "1 0\n"
    assert run(READ_ONLY + code, NUMBA_CACHE_DIR=folder) == "1 0\n"
