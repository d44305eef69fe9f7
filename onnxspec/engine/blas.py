"""How many threads the linear algebra library uses: one, so that results do not depend on the cores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_users = 0
_before: list[tuple[Any, int]] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: layers run side by side, and results must not depend on the cores.

    The limit is the whole process's. Of several analyses in threads the first sets it and
    the last lifts it.
    """
    global _users  # noqa: PLW0603 - the library's state is the process's, and so is the count
    with _lock:
        if not _users:
            _before[:] = [(library, library.num_threads) for library in _libraries()]
            for library, _ in _before:
                _set(library, 1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for library, threads in _before:
                    _set(library, threads)


def _libraries() -> list[Any]:
    """Give threadpoolctl's handles of the BLAS libraries that are loaded."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set(library: Any, threads: int | None) -> None:
    """Set the threads of one library.

    Of threadpoolctl 3.8 on, the first thread that sets a limit of OpenBLAS is the only one
    whose limits count; the rest are passed over without a word. The lock above does what
    that is for.
    """
    if threads is None:
        return
    library.set_num_threads(threads)
    if library.num_threads != threads and hasattr(library, "_real_set_num_threads"):
        library._real_set_num_threads(threads)
