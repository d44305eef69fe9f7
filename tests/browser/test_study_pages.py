"""The pages of comparisons and tracks in a real browser: quiet, offline, readable at every width, accessible."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from onnxspec.report import comparison_html, track_html
from tests.browser.test_page import OVERLAP
from tests.report.examples import compared, hostile_comparison, hostile_track, tracked

NAMES = ("comparison", "track", "hostile_comparison", "hostile_track")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("studies")
    found, bad = compared(), hostile_comparison(3)
    texts = {
        "comparison": comparison_html.render(found.comparison, found.reports),
        "track": track_html.render(tracked()),
        "hostile_comparison": comparison_html.render(bad.comparison, bad.reports),
        "hostile_track": track_html.render(hostile_track(3)),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in texts}


@pytest.fixture
def shown(browser: Any, pages: dict[str, str]) -> Any:
    """Open a page with its details; at the end nothing was said on the console and nothing was loaded."""
    contexts, said, known = [], [], set(pages.values())

    def go(name: str, *, width: int = 1440, scheme: str = "light", scripts: bool = True) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: None if request.url.split("#")[0] in known else said.append(request.url))
        page.goto(pages[name])
        page.evaluate("document.querySelectorAll('details').forEach((d, k) => { d.open = k < 3; })")
        page.wait_for_timeout(50)
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (768, "dark"), (1440, "light")])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_overlaps_and_axe_finds_nothing(shown: Callable[..., Any], name: str, width: int, scheme: str) -> None:
    page = shown(name, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = page.evaluate(OVERLAP)
    assert found["pieces"] > 200
    assert found["found"] == []
    axe = find_spec("axe_playwright_python")
    if width == 360 or axe is None or axe.origin is None:
        return
    page.evaluate((Path(axe.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    result = page.evaluate("() => axe.run({resultTypes: ['violations', 'passes']})")
    told = [(v["id"], v["help"], [node["html"][:120] for node in v["nodes"][:3]]) for v in result["violations"]]
    assert told == []
    assert len(result["passes"]) > 20


def test_pairs_sort_and_filter(shown: Callable[..., Any]) -> None:
    page = shown("comparison")
    rows = "() => [...document.querySelectorAll('.sortable tbody tr')].filter(r => !r.hidden && r.cells.length === 13)"
    names = f"({rows})().map(r => r.cells[1].textContent.trim())"
    page.get_by_role("button", name="Sort by change", exact=True).click()
    assert page.evaluate(names) == ["conv2", "fc2", "fc1", "conv1"]
    page.locator("[data-column]").select_option("cast")
    assert page.evaluate(names) == ["conv2"]
    assert page.get_by_role("status").inner_text() == "1 of 4 pairs"


@pytest.mark.parametrize("name", ["comparison", "track"])
def test_everything_is_there_without_scripts(shown: Callable[..., Any], name: str) -> None:
    plain, scripted = shown(name, scripts=False), shown(name)
    clean = "m => { m.querySelectorAll('.tools,th button,.groups').forEach(e => e.remove()); return m.textContent; }"
    with_scripts = scripted.locator("main").evaluate(clean)
    without = plain.locator("main").text_content() or ""
    for text in plain.locator(".tools").all_text_contents():
        without = without.replace(text, "", 1)
    assert without.split() == with_scripts.split()
