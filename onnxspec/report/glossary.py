"""The part of the catalogue that one page links to, so that its links work without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from onnxspec.catalogue import KINDS, Entry, entries, find
from onnxspec.catalogue import Kind as KindOfEntry

__all__ = ["Glossary", "Term"]


class Term(NamedTuple):
    """An entry as it stands in a page.

    Attributes
    ----------
    anchor : str
        Its id in the page.
    entry : Entry
        Its texts.
    read_as, not_as : (str, str) or None
        Anchor and name of the entry above that says the same on how to read it, or on what it
        does not mean; what several entries share stands in a page once.
    """

    anchor: str
    entry: Entry
    read_as: tuple[str, str] | None
    not_as: tuple[str, str] | None


class Glossary:
    """Anchors of catalogue entries; it remembers which ones a page used."""

    def __init__(self) -> None:
        self._numbers = {(entry.kind, entry.name): place for place, entry in enumerate(entries())}
        self._used: set[tuple[str, str]] = set()

    def anchor(self, entry: Entry) -> str:
        """Give the id of an entry, and list it in the glossary."""
        key = (entry.kind, entry.name)
        self._used.add(key)
        return f"g{self._numbers[key]}"

    def named(self, name: str | None, kind: KindOfEntry) -> str | None:
        """Give the id of a name, or ``None`` where the catalogue does not know it."""
        known = find(name, kind) if name and len(name) < 60 else ()
        return self.anchor(known[0]) if known else None

    def used(self) -> list[tuple[str, Sequence[Term]]]:
        """Give the entries that the page used, by kind."""
        listed: list[tuple[str, Sequence[Term]]] = []
        said: dict[str, tuple[str, str]] = {}
        for kind, heading in KINDS.items():
            some = [self._term(entry, said) for entry in entries(kind) if (kind, entry.name) in self._used]
            if some:
                listed.append((heading, some))
        return listed

    def _term(self, entry: Entry, said: dict[str, tuple[str, str]]) -> Term:
        """Give one entry; `said` holds the texts of those above it, and who said them."""
        place = (self.anchor(entry), entry.name)
        above = [said.get(text) if text else None for text in (entry.how_to_read, entry.not_meaning)]
        for text in (entry.how_to_read, entry.not_meaning):
            if text:
                said.setdefault(text, place)
        return Term(place[0], entry, above[0], above[1])
