"""The frame that all HTML pages share: escaping templates, style sheet, script and policy of one self-contained file.

Templates escape everything by themselves; the Content-Security-Policy lets run the one script of a page and loads
nothing. The same values give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from onnxspec.report import numbers, svg
from onnxspec.report._plain import word
from onnxspec.report.svg.signs import styles
from onnxspec.results.share import percent

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["MAX_ITEMS", "MAX_NAME", "MAX_TEXT", "chart", "fill", "markup", "script_of_pages", "signs"]

MAX_NAME, MAX_TEXT = 96, 400
MAX_ITEMS = 500  # of one list of skips, diagnostics, or layers without a counterpart

TEMPLATES = (
    *("frame.html", "page.html", "model.html", "tables.html", "layer.html", "glossary.html", "macros.html"),
    *("series.html", "comparison.html", "pair.html", "track.html"),
)
# attributes that HTML lets stand without quotes, and end tags that it implies as our templates are written
QUOTED = re.compile(r'="([\w#-]+)"(?=[ >])')
IMPLIED = re.compile(r"</(?:td|th|tr|thead|tbody|li|dt|dd)>")
# the signs of a script with the spaces around them; its texts and patterns are found first, and stay as they are
SPACED = re.compile(r"""("(?:\\.|[^"\\])*"|'[^']*'|/(?:\\.|[^/\\\n ])+/g)|\s*([-=+*<>?:;,{}()|&!])\s*""")


def fill(template: str, *, style: str = "", script: bool = True, **values: Any) -> str:
    """Fill a template that stands in the frame.

    Parameters
    ----------
    template : str
        One of `TEMPLATES`.
    style : str
        Rules beside those that every page has.
    script : bool
        Whether the page sorts, filters and explains.
    **values
        What the template names; everything but `markup` is escaped.

    Returns
    -------
    str
    """
    code = script_of_pages() if script else ""
    return (
        _environment()
        .get_template(template)
        .render(
            style=markup(f"{_text('report.css')}{style}"),
            script=markup(code),
            script_hash=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
            **values,
        )
    )


def signs(phases: Iterable[str | None]) -> dict[str, Any]:
    """Give the style and the symbols of some phases, as `fill` takes them."""
    shown = list(phases)
    dark = f"@media screen and (prefers-color-scheme:dark){{{styles(shown, dark=True)}}}"
    return {"style": f"{styles(shown, dark=False)}{dark}", "symbols": markup(svg.symbols(shown))}


def markup(text: str) -> Any:
    """Mark text of our own as HTML; names in it are escaped already."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - never text of a report


def chart(svg_text: str) -> Any:
    """Give a chart as a part of an HTML page."""
    return markup(QUOTED.sub(r"=\1", svg_text))


@cache
def script_of_pages() -> str:
    """Give the script without comments, and without spaces around its signs."""
    lines = (line.strip() for line in _text("report.js").splitlines())
    told = "\n".join(line for line in lines if line and not line.startswith("//"))
    return SPACED.sub(lambda found: found[1] or found[2], told) + "\n"


@cache
def _environment() -> Environment:
    """Give the templates, with the functions that they all use."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader({name: _template(name) for name in TEMPLATES}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        name=lambda value: word(value, MAX_NAME),
        brief=lambda value: word(value, 32),
        text=lambda value: word(value, MAX_TEXT),
        short=numbers.short,
        value=numbers.value,
        fixed=numbers.fixed,
        interval=numbers.interval,
        size=numbers.size,
        share=percent,
        setting=_setting,
        own=_own,
    )
    environment.globals.update(
        key=lambda phase: markup(svg.key(phase)), digest=_digest, breakable=_breakable, max_items=MAX_ITEMS
    )
    return environment


def _digest(text: str) -> str:
    """Give the first sixteen digits of a hash."""
    return word(text, MAX_NAME).rpartition(":")[2][:16]


def _setting(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_setting(item) for item in value) or numbers.MISSING
    if value is None or isinstance(value, bool):
        return {None: "default", True: "yes", False: "no"}[value]
    return word(value, MAX_TEXT)


def _breakable(name: str) -> Any:
    """Let a name break after its dots, slashes and underscores, and nowhere else where that is enough."""
    from markupsafe import escape

    return markup(re.sub(r"([._/]+)(?=.)", r"\1<wbr>", str(escape(name))))


def _own(text: str) -> Any:
    """Escape a text of the catalogue, which stands between tags: quotes need no escape there."""
    return markup(text.replace("&", "&amp;").replace("<", "&lt;"))


def _template(name: str) -> str:
    """Give a template without what HTML lets a page leave out."""
    return IMPLIED.sub("", QUOTED.sub(r"=\1", _text(f"{name}.j2")))


@cache
def _text(name: str) -> str:
    return (files("onnxspec.report") / "templates" / name).read_text(encoding="utf-8")
