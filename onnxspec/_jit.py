"""The one wrapper around numba: every kernel's options, and where its compiled form is kept.

``NUMBA_DISABLE_JIT=1`` runs each kernel as plain Python, for coverage.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numba

__all__ = ["KERNELS", "KernelCache", "jit", "kernel_cache"]

F = TypeVar("F", bound=Callable[..., object])

KERNELS: list[Any] = []
"""Every kernel that was defined so far."""


@dataclass(frozen=True)
class KernelCache:
    """Where compiled kernels are kept.

    Attributes
    ----------
    folders : tuple of str
        Where numba looks for them.
    files : int
        Compiled kernels that are there.
    bytes : int
        Their size.
    writable : bool
        Whether more can be added.
    """

    folders: tuple[str, ...]
    files: int
    bytes: int
    writable: bool


def _works(folder: Path) -> bool:
    """Say whether files can be made in a folder, by making one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_works() -> bool:
    """Say whether numba will find a folder that it can write compiled kernels to.

    numba raises at decoration time where it cannot (a read-only container
    without HOME), so the folder is probed first.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return _works(Path(chosen))
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME")
    return _BESIDE_SOURCES or bool(home and _works(Path(home)))


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
_BESIDE_SOURCES = not os.environ.get("NUMBA_CACHE_DIR") and _works(Path(__file__).parent / "__pycache__")
_CACHE = _cache_works()


def jit(function: F) -> F:
    """Compile a numerical kernel: free of the GIL, cached where that is possible.

    No ``parallel`` and no ``fastmath``: results must not depend on the number of
    threads or on the order in which a compiler adds.
    """
    compiled: Any = numba.njit(function, nogil=True, cache=_CACHE, fastmath=False, error_model="numpy")
    if not numba.config.DISABLE_JIT:
        KERNELS.append(compiled)
        if not (_BESIDE_SOURCES or (_CACHE and numba.config.CACHE_DIR)):
            with contextlib.suppress(AttributeError, ImportError, OSError, RuntimeError, TypeError):
                compiled._cache = _read_only(function, compiled._cache)
    kernel: F = compiled
    return kernel


def _read_only(function: Callable[..., object], other: Any) -> Any:
    """Make a cache that reads what was compiled where nothing can be written now, and else does as the other.

    numba uses a folder only where it can write. An image that was warmed when it was
    built and runs read-only, or under another user, would compile everything anew.
    This leans on numba's inner classes; where they are others, nothing is lost but time.
    """
    from numba.core import caching

    place = caching.UserProvidedCacheLocator if numba.config.CACHE_DIR else caching.InTreeCacheLocator

    class Locator(place):  # type: ignore[misc,valid-type]
        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            return cls(py_func, py_file)

    class Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (Locator,)

    class ReadOnly(caching.FunctionCache):  # type: ignore[misc]
        _impl_class = Implementation

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            found = None
            with contextlib.suppress(OSError):
                found = super().load_overload(sig, target_context)
            return other.load_overload(sig, target_context) if found is None else found

        def save_overload(self, sig: Any, data: Any) -> None:
            other.save_overload(sig, data)

    return ReadOnly(function)


def kernel_cache() -> KernelCache:
    """Say where the compiled forms of the kernels that were defined so far are kept."""
    folders = {str(kernel._cache.cache_path) for kernel in KERNELS if kernel._cache.cache_path}
    names = {kernel.py_func.__name__ for kernel in KERNELS}
    sizes = [
        path.stat().st_size
        for folder in folders
        for path in Path(folder).glob("*.nbc")
        if path.name.partition("-")[0].rpartition(".")[2] in names
    ]
    return KernelCache(tuple(sorted(folders)), len(sizes), sum(sizes), all(_works(Path(folder)) for folder in folders))
