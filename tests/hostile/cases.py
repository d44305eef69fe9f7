"""Every hostile model with what the program must say of it: the list of fixtures/hostile, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fixtures import hostile
from fixtures.hostile import graph, values

__all__ = ["CASES", "Expected"]


@dataclass(frozen=True)
class Expected:
    """One hostile model and its outcome.

    Attributes
    ----------
    number, name : int, str
        In the project's list; short and unique.
    write : callable
        Writes it to an empty folder and gives its path.
    analyze, check : tuple of int
        Exit codes that are right.
    code : str or None
        A code that the report holds.
    words : str
        Part of the sentence that rejects it.
    sound : str or None
        A layer beside what is hostile that must be analysed all the same.
    options : tuple of str
        Of the command.
    """

    number: int
    name: str
    write: Callable[[Path], Path]
    analyze: tuple[int, ...]
    check: tuple[int, ...]
    code: str | None = None
    words: str = ""
    sound: str | None = None
    options: tuple[str, ...] = ()


HARMLESS = frozenset({"external_data_unknown_key"})
"""Codes that only inform."""

NO_LAYER = frozenset("unknown_fields same_name broken_utf8 long_name_of_tensor training_info long_attribute".split())
"""Files without a node that uses a weight."""


def _of_files() -> Iterator[Expected]:
    for case in hostile.CASES:
        if case.error is not None:
            yield Expected(case.number, case.name, case.write, (3,), (3,), words=case.words)
        elif case.name in NO_LAYER:
            yield Expected(case.number, case.name, case.write, (0,), (4,), case.diagnostic)
        elif case.name == "zero_size":
            yield Expected(case.number, case.name, case.write, (0,), (0,), sound="sound")
        elif case.name == "string":  # sound models hold strings too
            yield Expected(case.number, case.name, case.write, (0,), (0,), case.code, sound="sound")
        elif case.name == "large":  # read in parts; its 600 million values take longer at the standard effort
            options = ("--effort", "fast")
            yield Expected(case.number, case.name, case.write, (0,), (4,), sound="MatMul_0", options=options)
        elif case.name == "large_matrix":
            yield Expected(case.number, case.name, case.write, (4,), (1, 4), "memory_limit", sound="sound")
        elif case.code is None:
            yield Expected(case.number, case.name, case.write, (0,), (0,), case.diagnostic, sound="sound")
        else:
            yield Expected(case.number, case.name, case.write, (4,), (1, 4), case.code, sound="sound")


def _of_bytes(data: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(data())
        return path

    return write


def _of_graphs() -> Iterator[Expected]:
    for case in graph.CASES:
        exits = (0, 4) if case.command == "inspect" else case.exits
        yield Expected(case.number, case.name, _of_bytes(case.write), exits, (0, 1, 4), case.code, sound="ok")


def _of_values() -> Iterator[Expected]:
    for case in values.CASES:
        exits = (4,) if case.failed else (0,)
        write = _of_bytes(case.write)
        yield Expected(case.number, case.name, write, exits, (1,) if case.failed else (0, 1), case.reason, sound="ok")


CASES: tuple[Expected, ...] = (*_of_files(), *_of_graphs(), *_of_values())
