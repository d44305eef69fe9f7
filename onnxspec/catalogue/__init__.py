"""Every word of the product and what it means: metrics, reasons, phases, verdicts, roles, settings.

The one source of ``onnxspec explain``, docs/metrics.md, docs/reasons.md and the tooltips of reports.
tests/catalogue holds it and the code together.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from onnxspec.catalogue import (
    changes,
    checks,
    layers,
    matrices,
    models,
    phases,
    reading,
    reasons,
    series,
    tails,
    words,
)
from onnxspec.catalogue._entry import KINDS, Entry, Kind

__all__ = ["KINDS", "Entry", "Kind", "entries", "find", "suggest"]


@cache
def entries(kind: Kind | None = None) -> tuple[Entry, ...]:
    """Give every entry, or those of one kind, in the order of the documents."""
    rooms = (layers, tails, matrices, checks, models, series, reasons, reading, phases, changes, words)
    return tuple(entry for room in rooms for entry in room.ENTRIES if kind in (None, entry.kind))


def find(name: str, kind: Kind | None = None) -> tuple[Entry, ...]:
    """Give the entries of one name, metrics first.

    Parameters
    ----------
    name : str
        As in the report, in any case; ``-`` counts as ``_``. The last part of a dotted
        name will do where no entry has the name itself.
    kind : str, optional
        Only entries of this kind.

    Returns
    -------
    tuple of Entry
        Empty for an unknown name. Several where a word stands for several things.
    """
    wanted = _plain(name)
    known = [(_plain(entry.name), entry) for entry in entries(kind)]
    found = [entry for own, entry in known if own == wanted]
    if not found:
        found = [entry for own, entry in known if own.rpartition(".")[2] == wanted]
    order = list(KINDS)
    return tuple(sorted(found, key=lambda entry: order.index(entry.kind)))


def suggest(name: str) -> tuple[str, ...]:
    """Give up to three names of the catalogue that look like a wrong one, the likeliest first."""
    names: dict[str, str] = {}
    for entry in entries():
        names.setdefault(_plain(entry.name), entry.name)
        names.setdefault(_plain(entry.name).rpartition(".")[2], entry.name)
    close = get_close_matches(_plain(name), names, n=5, cutoff=0.6)
    return tuple(dict.fromkeys(names[match] for match in close))[:3]


def _plain(name: str) -> str:
    """Make two spellings of a name equal."""
    return name.strip().lower().replace("-", "_")
