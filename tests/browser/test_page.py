"""The HTML report in headless Chromium: quiet, self-contained, sortable, readable at every width, accessible."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from onnxspec.report.html import render
from onnxspec.results import Layers
from tests.browser.conftest import PAGES, analyse

HERE = Path(__file__).parent
OVERLAP = (HERE / "overlap.js").read_text(encoding="utf-8")
OVERLAP = OVERLAP[OVERLAP.index("() =>") :]
WIDTHS = (360, 768, 1440)
ROWS = "document.querySelectorAll('.main tbody tr')"

Open = Callable[..., Any]


def column(page: Any, name: str) -> list[str]:
    """Give the cells of one column of the table of layers, in the order on the screen."""
    return page.evaluate(
        f"""name => {{
            const heads = [...document.querySelectorAll('.main thead th')].map(th => th.firstChild.textContent);
            return [...{ROWS}].filter(row => !row.hidden).map(row => row.cells[heads.indexOf(name)].textContent.trim());
        }}""",
        name,
    )


def open_some(page: Any) -> None:
    """Open the first layers and all tables of numbers."""
    page.evaluate("document.querySelectorAll('details').forEach((d, k, all) => {d.open = k < 4 || k > all.length - 8})")


def number(cell: str) -> float | None:
    return None if cell == "–" else float(cell.replace("−", "-").replace(",", ""))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_and_loads_nothing(opened: Open, name: str) -> None:
    page = opened(name)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(50)
    assert page.title().endswith("onnxspec report")
    # the fixture checks console and requests


@pytest.mark.parametrize("name", ["lenet5", "ppocr_rec", "minilm"])
def test_sorting(opened: Open, name: str) -> None:
    page = opened(name)
    before = column(page, "alpha")
    button = page.get_by_role("button", name="Sort by alpha", exact=True).first
    for direction, factor in (("ascending", 1), ("descending", -1)):
        button.click()
        assert page.locator(".main th[aria-sort]").get_attribute("aria-sort") == direction
        found = [number(cell) for cell in column(page, "alpha")]
        known = [value for value in found if value is not None]
        assert known == sorted(known, key=lambda value: factor * value)
        assert found == known + [None] * (len(found) - len(known))
        assert sorted(column(page, "alpha")) == sorted(before)
    page.get_by_role("button", name="Sort by layer", exact=True).first.click()
    names = column(page, "layer")
    assert names == sorted(names, key=lambda text: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", text)])
    assert page.locator(".main th[aria-sort]").count() == 1


def test_sorting_by_size_counts_parameters(opened: Open) -> None:
    page = opened("lenet5")
    page.get_by_role("button", name="Sort by N × M", exact=True).click()
    assert column(page, "layer") == ["conv1", "fc2", "conv2", "fc1"]


def test_filtering(opened: Open) -> None:
    page = opened("lenet5")
    page.get_by_label("Filter").fill("FC")
    assert column(page, "layer") == ["fc1", "fc2"]
    assert page.get_by_role("status").inner_text() == "2 of 4 layers"
    page.locator("[data-column=phase]").select_option("bulk_spikes")
    assert column(page, "layer") == ["fc1"]
    page.get_by_label("Filter").fill("nothing of the kind")
    assert column(page, "layer") == []
    page.get_by_label("Filter").fill("")
    page.locator("[data-column=phase]").select_option("")
    page.locator("[data-column=trained]").select_option("structured")
    assert len(column(page, "layer")) == 4


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overlaps_and_no_page_is_wider_than_its_window(opened: Open, name: str, width: int) -> None:
    page = opened(name, width=width, scheme="dark" if width == 768 else "light")
    page.evaluate(
        "document.querySelectorAll('details').forEach((d, k, all) => { d.open = k < 4 || k > all.length - 8; })"
    )
    page.wait_for_timeout(50)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = page.evaluate(OVERLAP)
    assert found["pieces"] > 200
    assert found["found"] == []
    wide = page.evaluate(
        """() => [...document.querySelectorAll('p,dd,dt,li,h1,h2,h3,h4,h5,figcaption,summary,figure,section')]
            .filter(e => e.checkVisibility() && e.clientWidth && e.scrollWidth > e.clientWidth + 1)
            .map(e => e.tagName + ' ' + e.textContent.slice(0, 40))"""
    )
    assert wide == []


def test_overlaps_are_found_where_there_are_some(opened: Open) -> None:
    page = opened("lenet5")
    page.evaluate("document.querySelectorAll('.tiles dd').forEach(d => { d.style.marginTop = '-18px'; })")
    assert page.evaluate(OVERLAP)["found"] != []


@pytest.mark.parametrize("name", PAGES)
def test_everything_is_there_without_scripts(opened: Open, name: str) -> None:
    plain, scripted = opened(name, scripts=False), opened(name)
    assert plain.locator(".tools:visible").count() == 0
    assert scripted.locator(".tools:visible").count() > 0
    shown = "m => { m.querySelectorAll('.tools,th button,.groups').forEach(e => e.remove()); return m.textContent; }"
    with_scripts = scripted.locator("main").evaluate(shown)
    tools = plain.locator(".tools").all_text_contents()
    without = plain.locator("main").text_content() or ""
    for text in tools:
        assert text in without
        without = without.replace(text, "", 1)
    assert without.split() == with_scripts.split()
    assert plain.locator("svg.c").count() == scripted.locator("svg.c").count() > 0


def test_a_link_to_a_layer_opens_it_without_scripts(opened: Open) -> None:
    page = opened("lenet5", scripts=False)
    assert page.locator("details.layer[open]").count() == 0
    page.locator(".main a", has_text="fc1").click()
    assert page.locator("#L3").is_visible()
    assert not page.locator("#L1").is_visible()


def test_an_open_layer_shows_its_numbers_with_links(opened: Open) -> None:
    page = opened("lenet5", place="#L3")
    shown = page.locator("#L3 .groups")
    shown.wait_for()
    row = shown.locator("dt", has_text="n_tail")
    assert row.locator("a").get_attribute("href").startswith("#g")
    assert page.locator("#L3 .groups dl").evaluate_all(
        "lists => lists.flatMap(l => [...l.querySelectorAll('dt')]).find(d => d.textContent === 'n_tail')"
        ".nextSibling.textContent"
    ) == str(170)


def test_all_layers_open_and_close(opened: Open) -> None:
    page = opened("lenet5")
    page.get_by_role("button", name="Open all").click()
    assert page.locator("details.layer[open]").count() == 4
    page.get_by_role("button", name="Close all").click()
    assert page.locator("details.layer[open]").count() == 0


def test_a_metric_explains_itself_under_the_pointer(opened: Open) -> None:
    page = opened("lenet5")
    link = page.locator(".tiles a", has_text="alpha_median")
    assert link.get_attribute("title") is None
    link.hover()
    assert (link.get_attribute("title") or "").startswith("alpha_median")
    link.click()
    assert page.locator("#" + link.get_attribute("href")[1:]).is_visible()


def test_the_keyboard_reaches_the_report(opened: Open) -> None:
    page = opened("lenet5")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    page.locator(".layer summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.layer[open]").count() == 1


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("lenet5", "light"), ("unhealthy", "light"), ("ppocr_rec", "light"), ("minilm", "dark"), ("hostile", "dark")],
)
def test_axe_finds_no_violation(opened: Open, name: str, scheme: str) -> None:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("needs axe-playwright-python (requirements-dev.txt)")
    axe = (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    page = opened(name, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d, k) => { d.open = k === 1 || k === 5; })")
    page.wait_for_timeout(50)
    page.evaluate(axe)
    result = page.evaluate("() => axe.run({resultTypes: ['violations', 'passes']})")
    told = [(v["id"], v["help"], [node["html"][:120] for node in v["nodes"][:3]]) for v in result["violations"]]
    assert told == []
    assert len(result["passes"]) > 20


def test_it_prints(opened: Open) -> None:
    page = opened("lenet5")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav").first.is_visible()
    # paper stays white in a dark scheme
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    data = page.pdf(format="A4")
    assert data.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 20


def opened(browser: Any, path: Path) -> float:
    """Open the page of 500 layers, and give the processor seconds of its main thread."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
    metrics = {entry["name"]: entry["value"] for entry in devtools.send("Performance.getMetrics")["metrics"]}
    assert page.locator(".main tbody tr").count() == 500
    context.close()
    return float(metrics["TaskDuration"])


TRIES = 3


def test_five_hundred_layers_render_and_open_in_three_seconds(browser: Any, tmp_path: Path) -> None:
    report = analyse("lenet5")
    source = [report.layers["fc1"], report.layers["conv2"]]
    layers = [replace(source[k % 2], id=f"l{k}", name=f"encoder.{k}.attention.dense") for k in range(500)]
    many = replace(report, layers=Layers(layers))
    path = tmp_path / "many.html"
    took = []
    for _ in range(TRIES):  # cores that others use are up to twice as slow for seconds
        start = time.process_time()
        text = render([many])
        rendering = time.process_time() - start
        path.write_text(text, encoding="utf-8")
        opening = opened(browser, path)
        took.append(rendering + opening)
        if took[-1] < 3.0:
            break
    assert len(text.encode()) <= 60_000 + 6_000 * 500
    assert min(took) < 3.0, f"{took} s to render and to open"
    print(f"{len(text.encode())} bytes, {rendering:.2f} s to render, {opening:.2f} s to open")  # noqa: T201
