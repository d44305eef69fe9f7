"""The result store of one run of the program: opened before the models, and accounted for after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxspec.store import ResultStore

__all__ = ["HELP", "opened_store"]

HELP = "Keep results of layers in this file or folder, and reuse them."


@contextmanager
def opened_store(place: str | None, *, quiet: bool, verbose: bool) -> Iterator[ResultStore | None]:
    """Open a store, say what is wrong with it, and at the end what came from it."""
    if place is None:
        yield None
        return
    from onnxspec.cli.output import note
    from onnxspec.store import ResultStore

    said = 0
    with ResultStore(place) as store:
        for problem in store.problems:
            note(f"onnxspec: {problem}")
        said = len(store.problems)
        yield store
    for problem in store.problems[said:]:
        note(f"onnxspec: {problem}")
    if verbose and not quiet:
        note(f"onnxspec: store {store.place}: {store.reused} layers reused, {store.added} added")
