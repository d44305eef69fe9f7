"""Reading small files that somebody else may have written: bounded, and never waiting for a pipe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["exists", "is_file", "is_folder", "read_bounded"]


def read_bounded(path: str | Path, limit: int) -> bytes:
    """Read a file up to one byte more than a limit, so that the caller can tell a longer one.

    Pipes are read where the shell makes them (``<(...)`` gives a path below ``/dev``);
    one that lies in a folder is refused, since reading it waits for a writer that may never come.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        The path holds a NUL character.
    """
    text = os.fspath(path)
    mode = Path(text).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and not text.startswith("/dev/"):
        raise OSError(0, "it is a pipe or device, no regular file")
    with Path(text).open("rb") as file:
        return file.read(limit + 1)


def is_file(path: str | Path) -> bool:
    """Say whether a regular file stands there; a name may be longer than a file system takes, or hold a NUL."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Say whether a folder stands there."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def exists(path: str | Path) -> bool:
    """Say whether anything stands there."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
