"""The pages of comparisons and tracks as text: complete, inert, self-contained, small, and the same each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace

import pytest

from onnxspec.palette import PHASES
from onnxspec.report import comparison_html, track_html
from onnxspec.report.svg.courses import Line, courses, phase_strips
from onnxspec.report.svg.overlay import alpha_before_after, overlay
from onnxspec.results.comparison import Comparison, Measure
from onnxspec.results.drawable import histogram_of
from onnxspec.results.tracking import Course
from tests.report.examples import HOSTILE, compared, hostile_comparison, hostile_track, tracked
from tests.report.test_html import Page, ways_out
from tests.report.test_svg import by_class, coordinates


@pytest.fixture(scope="module")
def comparison_page() -> str:
    found = compared()
    return comparison_html.render(found.comparison, found.reports)


@pytest.fixture(scope="module")
def track_page() -> str:
    return track_html.render(tracked())


@pytest.mark.parametrize("which", ["comparison_page", "track_page"])
def test_a_page_is_self_contained_and_its_links_lead_somewhere(which: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(which)
    page = Page(text)
    assert ways_out(page) == []
    assert not re.search(r"https?:|@import|url\(", text)
    ids = Counter(page.values("id"))
    assert max(ids.values()) == 1
    assert {value[1:] for value in page.values("href")} <= set(ids)
    assert {word for value in page.values("aria-labelledby") for word in value.split()} <= set(ids)
    assert page.tags["script"] == 1
    assert "script-src &#39;sha256-" in text or "script-src 'sha256-" in text


def test_what_was_matched_stands_first_then_what_happened_then_the_pairs(comparison_page: str) -> None:
    text = Page(comparison_page).text
    parts = (
        "4 of 4 layers have a counterpart (100.0 %)",
        "3 of 4 paired layers changed: cast 1, rounding 1, low_rank_update 1.",
        "One row a pair",
        "Each pair that changed",
    )
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_every_pair_stands_in_the_page_with_its_evidence(comparison_page: str) -> None:
    text = Page(comparison_page).text
    found = compared().comparison
    assert [pair.verdict for pair in found.pairs] == ["identical", "cast", "low_rank_update", "rounding"]
    for pair in found.pairs:
        assert pair.name_a in text
        for change in pair.changes:
            if pair.verdict != "identical":
                assert change.what in text
                assert set(change.evidence) & set(text.replace(",", " ").split())
    for measure in found.measures:
        assert measure.name in text
    row = re.search(r">fc1</bdi></a>(.*?)\n", comparison_page)
    assert row is not None
    alpha = next(m for m in found.pairs[2].measures if m.name == "alpha")
    assert f"{alpha.a:.2f}" in row[1]
    assert f"{alpha.b:.2f}" in row[1]
    assert found.pairs[2].elements is not None
    assert f"{100 * found.pairs[2].elements['relative_change']:.3g} %" in row[1]
    assert Page(comparison_page).tags["details"] == 3


def test_spectra_are_drawn_where_reports_hold_them(comparison_page: str) -> None:
    assert comparison_page.count("<title>Log-log ESD of a and b</title>") == 3
    found = compared()
    without = comparison_html.render(found.comparison)
    assert "Log-log ESD of a and b" not in without
    assert "holds no spectra" in Page(without).text
    assert comparison_html.render(Comparison.from_json(found.comparison.to_json())) == without


def test_an_overlay_shows_both_histograms() -> None:
    a, b = (report.layers["fc1"] for report in compared().reports)
    chart = ET.fromstring(overlay(a, b) or "")
    (area,) = by_class(chart, "b")
    (line,) = by_class(chart, "t")
    shapes = [histogram_of(layer) for layer in (a, b)]
    assert all(shapes)
    right = max(shape.edges[-1] for shape in shapes if shape)
    for drawn, shape in ((area, shapes[0]), (line, shapes[1])):
        points = coordinates(drawn.get("d") or "")
        assert shape is not None
        assert max(x for x, _ in points) < 629
        if shape.edges[-1] == right:
            assert max(x for x, _ in points) > 600
    assert overlay(a, replace(b, plot=None)) is None
    same = ET.fromstring(overlay(a, a) or "")
    upper = [y for _, y in coordinates(by_class(same, "b")[0].get("d") or "")]
    assert min(upper) == min(y for _, y in coordinates(by_class(same, "t")[0].get("d") or ""))


def test_alpha_before_and_after_shows_pairs_that_have_both() -> None:
    both = Measure("alpha", 3.0, 2.0, -1.0, 0.5, None)
    chart = ET.fromstring(alpha_before_after([(4, "x", both), (5, "y", replace(both, b=None))]) or "")
    signs = list(chart.iter("use"))
    assert [(sign[0].text, sign.get("class")) for sign in signs] == [
        ("4 x: alpha 3.00 in a", "h"),
        ("4 x: alpha 2.00 in b", None),
    ]
    assert int(signs[0].get("y") or 0) < int(signs[1].get("y") or 0)
    assert len(by_class(chart, "i")) == 1
    assert alpha_before_after([(1, "x", replace(both, a=None))]) is None


def test_no_pairs_and_all_identical_are_said() -> None:
    found = compared().comparison
    alike = tuple(pair for pair in found.pairs if pair.verdict == "identical")
    text = Page(comparison_html.render(replace(found, pairs=alike * 2, verdicts={"identical": 2}))).text
    assert "All 2 paired layers hold the same values." in text
    assert "Each pair that changed" not in text
    nothing = Page(comparison_html.render(replace(found, pairs=(), verdicts={}, measures=()))).text
    assert "No layer of the one was found in the other." in nothing


def test_a_track_page_lists_transitions_draws_lines_and_holds_every_number(track_page: str) -> None:
    page, track = Page(track_page), tracked()
    text = page.text
    assert "7 checkpoints, 3 layers, 2 transitions." in text
    assert "99.9 %" in text
    assert "alpha 6.5 to 6" in text
    assert "decades +2.00" in text
    assert track_page.count(" over the checkpoints</title>") == 5 + 5 * 3
    for course in track.layers:
        for at, checkpoint in enumerate(track.checkpoints):
            assert checkpoint.label in text
            assert f"{course.values['entropy'][at]:.4f}" in text
    for phase in set(track.layers[0].phases):
        assert f"href=#s-{phase} " in track_page


def test_a_line_is_broken_where_a_number_is_missing() -> None:
    chart = courses([Line("x", [1.0, 2.0, None, 3.0, None, 4.0, 5.0], 0)], list("abcdefg"), "alpha")
    root = ET.fromstring(chart or "")
    (path,) = by_class(root, "s-g0")
    assert (path.get("d") or "").count("M") == 2  # the third run is one number, which has a sign alone
    assert len(list(root.iter("use"))) == 5
    ends = re.findall(r"M(\d+) (\d+)L(\d+) (\d+)", path.get("d") or "")
    assert all(int(y0) > int(y1) for _, y0, _, y1 in ends)
    assert courses([Line("x", [None, None], 0)], ["a", "b"], "alpha") is None


def test_a_strip_has_a_sign_where_a_phase_begins() -> None:
    many = ["random_like"] * 200 + ["bulk_decay"] * 200
    root = ET.fromstring(phase_strips([("x", many), ("y", [None] * 400)], [str(k) for k in range(400)]) or "")
    signs = list(root.iter("use"))
    first = next(k for k, sign in enumerate(signs) if sign.get("href") == "#s-bulk_decay")
    assert signs[first][0].text == "x, 200: bulk_decay"
    assert 100 < len(signs) < 400
    assert phase_strips([("y", [None])], ["a"]) is None


def test_hostile_texts_are_shown_and_do_nothing() -> None:
    bad = hostile_comparison()
    for text in (comparison_html.render(bad.comparison, bad.reports), track_html.render(hostile_track())):
        page = Page(text)
        assert ways_out(page) == []
        assert page.tags["script"] == 1
        assert page.tags["img"] == 0
        assert "<script>alert" not in text
        assert "{{ 7 * 7 }}" in page.text
        for character in ("\x1b", "\u202e"):
            assert character not in text
        assert not re.search(r'(?:d|x|y|points)="?[^">]*(?:nan|inf)', text)
        assert len(text) < 1_500_000
    assert HOSTILE[:9] in Page(track_html.render(hostile_track())).text


def test_the_same_results_give_the_same_bytes(comparison_page: str, track_page: str) -> None:
    found = compared()
    assert comparison_html.render(found.comparison, found.reports) == comparison_page
    assert track_html.render(tracked()) == track_page


def test_sizes_are_bounded() -> None:
    found = compared()
    pairs = [pair for pair in found.comparison.pairs if pair.verdict == "low_rank_update"]
    for count in (1, 4, 100):
        many = replace(found.comparison, pairs=tuple(pairs * count), verdicts={"low_rank_update": count})
        assert len(comparison_html.render(many, found.reports).encode()) <= 60_000 + 6_000 * count
    for layers, checkpoints in ((1, 2), (4, 20), (60, 100)):
        size = len(track_html.render(tracked(layers, checkpoints)).encode())
        assert size <= 60_000 + 6_000 * layers + 250 * layers * checkpoints


def test_no_layers_and_no_checkpoints_make_a_page() -> None:
    track = replace(tracked(), layers=(), transitions=())
    assert "7 checkpoints, 0 layers, no transition." in Page(track_html.render(track)).text
    one = tracked(1, 1)
    assert isinstance(one.layers[0], Course)
    assert "1 checkpoint, 1 layer" in Page(track_html.render(replace(one, transitions=()))).text
    assert len(PHASES) > 6
