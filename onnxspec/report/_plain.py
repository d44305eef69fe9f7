"""Text from a file in formats that obey control characters."""

from __future__ import annotations

import re

__all__ = ["packed", "plain", "shortened", "word"]


def plain(text: str) -> str:
    """Show what is not printable, line ends too, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shortened(text: str, width: int) -> str:
    """Cut a text in its middle."""
    if len(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def word(text: object, width: int = 60) -> str:
    """Show a text of any length and content in at most `width` printable characters."""
    return shortened(plain(shortened(str(text), 4 * width)), width)


def packed(line: str, width: int) -> list[str]:
    """Break a line behind commas and semicolons alone, as few times as the width allows; the rest is indented."""
    lines: list[str] = []
    for piece in re.split(r"(?<=[,;]) ", line):
        if lines and len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(f"    {piece}" if lines else piece)
    return lines
