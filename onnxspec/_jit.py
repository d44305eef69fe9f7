"""The one wrapper around numba: every kernel's options, and whether it may be cached.

``NUMBA_DISABLE_JIT=1`` runs each kernel as plain Python, for coverage.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba

__all__ = ["jit"]

F = TypeVar("F", bound=Callable[..., object])


def _cache_works() -> bool:
    """Say whether numba will find a folder that it can write compiled kernels to.

    numba raises at decoration time where it cannot (a read-only container
    without HOME), so the folder is probed first.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    candidates = [Path(chosen)] if chosen else [Path(__file__).parent / "__pycache__"]
    if not chosen:
        home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME")
        if home:
            candidates.append(Path(home))
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return True
        except OSError:
            continue
    return False


def _spare_scipy() -> None:
    """Keep numba from loading SciPy to look for BLAS, which costs 0.2 s and no kernel here needs.

    In the program's own process alone: kernels of another program may want ``np.dot``.
    """
    if "onnxspec.cli" not in sys.modules or "scipy.linalg" in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    from numba.np import linalg

    def refuse() -> None:
        raise ImportError("not asked for")

    kept = linalg.ensure_blas
    linalg.ensure_blas = refuse
    try:
        import numba.np.arraymath  # noqa: F401 - it asks once, when it is loaded
    finally:
        linalg.ensure_blas = kept


_spare_scipy()
_CACHE = _cache_works()


def jit(function: F) -> F:
    """Compile a numerical kernel: free of the GIL, cached where that is possible.

    No ``parallel`` and no ``fastmath``: results must not depend on the number of
    threads or on the order in which a compiler adds.
    """
    compiled: F = numba.njit(function, nogil=True, cache=_CACHE, fastmath=False, error_model="numpy")
    return compiled
