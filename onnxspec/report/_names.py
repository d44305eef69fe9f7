"""Names of layers in narrow columns: short, and still different from one another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from onnxspec.report._plain import shortened

__all__ = ["short_names"]

LETTERS = (4, 3, 2, 1)
_PARTS = re.compile(r"[^./:]+|[./:]+")


def short_names(names: Sequence[str], width: int) -> list[str]:
    """Shorten names to a width, so that different names stay different.

    Parameters
    ----------
    names : sequence of str
        Module paths such as ``encoder.layer.4.attention.self.value``.
    width : int
        Characters at most; 8 or more.

    Returns
    -------
    list of str
        ``enc.lay.4.att.sel.value``, ``e.l.4.a.s.value``, ...: modules are abbreviated, in all
        names alike, before the leaf is cut. Where that makes two names equal, they end in
        their position.
    """
    long = [name for name in names if len(name) > width]
    letters = next((n for n in LETTERS if 4 * sum(len(_abbreviated(x, n)) <= width for x in long) >= 3 * len(long)), 1)
    found = [name if len(name) <= width else shortened(_abbreviated(name, letters), width) for name in names]
    whole: dict[str, set[str]] = {}
    for name, short in zip(names, found):
        whole.setdefault(short, set()).add(name)
    clashes = Counter({short: len(different) for short, different in whole.items()})
    result = []
    for position, short in enumerate(found):
        mark = f"~{position + 1}"
        result.append(short if clashes[short] == 1 else f"{short[: width - len(mark)]}{mark}")
    return result


def _abbreviated(name: str, letters: int) -> str:
    """Cut each module of a path to its first letters; numbers and the leaf stay whole."""
    parts = _PARTS.findall(name)
    head = [part if part.isdigit() or not part[0].isalnum() else part[:letters] for part in parts[:-1]]
    return "".join([*head, *parts[-1:]])
