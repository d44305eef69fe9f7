"""The page of a series in a real browser: quiet, offline, readable on a phone, accessible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onnxspec
from onnxspec.report.series_html import render


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_quiet_offline_and_fits(browser: Any, fixtures: Path, tmp_path: Path, width: int) -> None:
    path = tmp_path / "series.html"
    path.write_text(render(onnxspec.series(fixtures / "series" / "natcomm_cv.csv")), encoding="utf-8")
    said: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: None if request.url == path.as_uri() else said.append(request.url))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert said == []
    page.close()
