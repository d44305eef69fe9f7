"""The HTML page of a series: complete, self-contained, inert, and the same each time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import onnxspec
from onnxspec.comparing.series.ranking import rank
from onnxspec.report.series_html import render
from onnxspec.report.svg.scatter import Line, Point, scatter
from onnxspec.results.series import Member, Series

HOSTILE = "</title><script>alert(1)</script>\u202e\x1b[31m&\"'"


class Page(HTMLParser):
    """Collects tags, links and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def published(fixtures: Path) -> Series:
    return onnxspec.series(fixtures / "series" / "natcomm_cv.csv")


def test_the_page_holds_every_number_and_loads_nothing(published: Series) -> None:
    page = Page(render(published))
    assert "script" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    text = " ".join(page.words)
    for relation in published.relations:
        assert relation.metric in text
        assert f"{relation.kendall_tau.value:+.2f}" in text
    for member in published.members:
        assert member.label in text
    assert "n too small to conclude" in text
    assert "VGG +0.86 (p 0.0017), ResNet -0.60 (p 0.23)" in text
    assert page.tags.count("figure") == 5
    assert page.tags.count("use") == 5 * 17 + 3  # a sign for each model in each chart, and the legend


def test_the_same_series_gives_the_same_bytes(published: Series) -> None:
    assert render(published) == render(published)


def test_hostile_names_are_text() -> None:
    members = [
        Member(f"{HOSTILE}{k}", float(k), f"{HOSTILE}{k % 2}", metrics={HOSTILE: float(k * k)}) for k in range(8)
    ]
    text = render(rank(members, source=f"{HOSTILE}.csv", by=HOSTILE, notes=[HOSTILE]))
    page = Page(text)
    assert "script" not in page.tags
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert any("alert(1)" in word for word in page.words)


def test_broken_members_and_missing_metrics_are_listed() -> None:
    members = [Member(f"m{k}", float(k), metrics={"x": float(k)}, reasons={"y": "effort"}) for k in range(3)]
    text = render(rank([*members, Member("bad", 1.0, problem="cannot be read")]))
    assert "3 of 4 models" in text
    assert "cannot be read" in text
    assert "No number: y (effort)" in text


def test_a_scatter_plot_keeps_lines_inside_its_frame() -> None:
    points = [Point(0.0, 0.0, "a", 0), Point(10.0, 1.0, "b", 1)]
    chart = scatter(points, [Line(1.0, -5.0, 0.0, 10.0, None), Line(0.0, 0.5, 0.0, 10.0, 0)], "x", "about")
    assert chart is not None
    (dashed,) = re.findall(r'<path class="x" d="M(\d+) (\d+)L(\d+) (\d+)"/>', chart)
    x0, y0, x1, y1 = map(int, dashed)
    assert x1 - x0 < 0.2 * 544  # of ten units only about one lies inside
    assert y0 > y1
    assert chart.count("<use") == 2
    assert scatter([], [], "x", "about") is None
    assert scatter([Point(1.0, 1.0, "a", 0)], [], "x", "about") is not None
