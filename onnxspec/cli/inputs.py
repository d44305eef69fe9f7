"""From the arguments MODEL... to the files that are meant."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnxspec._files import exists, is_folder
from onnxspec.errors import InputError
from onnxspec.limits import Limits
from onnxspec.reading import Source

__all__ = ["expand", "opened"]

STDIN = "-"


def expand(arguments: Sequence[str]) -> Iterator[str | InputError]:
    """Give the path of each model: files as they are, folders and globs sorted.

    A folder or glob without models gives the error instead of a path, so that
    the other arguments are still worked on.
    """
    for argument in arguments:
        if argument != STDIN and is_folder(argument):
            found = sorted(str(path) for path in Path(argument).rglob("*.onnx"))
            yield from found
            if not found:
                yield InputError(f"{argument}: the folder holds no .onnx file; name a model file.")
        elif argument != STDIN and glob.has_magic(argument) and not exists(argument):
            matches = sorted(glob.glob(argument, recursive=True))
            yield from matches
            if not matches:
                yield InputError(f"{argument}: no file matches this pattern.")
        else:
            yield argument


def opened(path: str, limits: Limits) -> Source:
    """Open a model, or spool standard input to a private file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    return Source.spool(sys.stdin.buffer, limits) if path == STDIN else Source.open(path, limits)
