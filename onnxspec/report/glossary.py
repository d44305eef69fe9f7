"""The part of the catalogue that one page links to, so that its links work without a network."""

from __future__ import annotations

from collections.abc import Sequence

from onnxspec.catalogue import KINDS, Entry, entries, find
from onnxspec.catalogue import Kind as KindOfEntry

__all__ = ["Glossary"]


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

    def used(self) -> list[tuple[str, Sequence[tuple[str, Entry]]]]:
        """Give the entries that the page used, by kind."""
        listed: list[tuple[str, Sequence[tuple[str, Entry]]]] = []
        for kind, heading in KINDS.items():
            some = [(self.anchor(entry), entry) for entry in entries(kind) if (kind, entry.name) in self._used]
            if some:
                listed.append((heading, some))
        return listed
