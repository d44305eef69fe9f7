"""Text from a file in formats that obey control characters."""

from __future__ import annotations

__all__ = ["plain", "shortened", "word"]


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
