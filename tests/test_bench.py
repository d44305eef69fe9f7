"""The tables of docs/performance.md: what is written down is what was measured, misses included."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_tables", ROOT / "tools/bench/tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_missed_bar_is_said(tables: ModuleType, tmp_path: Path) -> None:
    cost = {"runs": 5, "peak_mb": 100.0}
    found = {"floor": {"cpu": 1.0} | cost, "fast": {"cpu": 2.0} | cost, "standard": {"cpu": 3.5} | cost, "load": 1.0}
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- models -->\nold\n<!-- /models -->\nb\n<!-- fits -->\n<!-- /fits -->\n")
    tables.write_tables({"models": {"net": found}, "fits": {}}, page)
    text = page.read_text()
    assert "old" not in text
    assert "| net | 1.00 | 2.00 | 2.45 | 3.50 | 3.40 (missed) |" in text
    assert text.startswith("a\n")
    assert "Not measured yet." in text


def test_a_peer_that_analysed_nothing_has_no_ratio(tables: ModuleType, tmp_path: Path) -> None:
    cost = {"cpu": 2.0, "runs": 5, "peak_mb": 100.0}
    found = {"floor": cost, "fast": cost, "standard": cost, "load": 1.0, "weightwatcher": cost | {"analysed": 0}}
    page = tmp_path / "page.md"
    page.write_text("<!-- weightwatcher -->\n<!-- /weightwatcher -->\n")
    tables.write_tables({"models": {"net": found}, "fits": {}}, page)
    assert "| net | 0 | 2.0 (5) |  |  |  |" in page.read_text()


def test_the_page_holds_the_tables_of_the_results(tables: ModuleType, tmp_path: Path) -> None:
    page = ROOT / "docs/performance.md"
    results = json.loads((ROOT / "docs/performance.json").read_text())
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text())
    tables.write_tables(results, copy)
    assert copy.read_text() == page.read_text()
