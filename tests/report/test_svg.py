"""Charts of the HTML report: what they show, and that they are well-formed whatever they are given."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxspec
from onnxspec.laws import marchenko_pastur as law
from onnxspec.palette import PHASES
from onnxspec.report import svg
from onnxspec.report.facts import Missing, missing, never
from onnxspec.report.numbers import fixed, interval, short, size
from onnxspec.report.svg.canvas import Scale, polyline, steps
from onnxspec.report.svg.linear import beyond, marchenko_pastur
from onnxspec.report.svg.signs import NONE, SHAPES, styles
from onnxspec.results import Layer, Plot, Report
from onnxspec.results.codec import encode
from onnxspec.results.drawable import histogram_of, linear_of

HOSTILE = "</title></svg><script>alert(1)</script>\"'&\x1b[31m\u202e"


@pytest.fixture(scope="module")
def report() -> Report:
    """Give the report of a small model of four layers, two of them fitted."""
    return onnxspec.analyze(Path(__file__).resolve().parents[2] / "fixtures" / "models" / "lenet5.onnx")


def layer(plot: Plot | None = None, **numbers: object) -> Layer:
    blank = Layer("a", "a", "Gemm", "dense", "a", (), (8, 8), "float32", 64)
    return replace(blank, plot=plot, **numbers)  # type: ignore[arg-type]


def xml(text: str | None) -> ET.Element:
    assert text is not None
    return ET.fromstring(text)


def coordinates(path: str) -> list[tuple[int, int]]:
    """Follow the M, h, v, V and l commands of one of our paths."""
    x = y = 0
    points = []
    for command, numbers in re.findall(r"([MmhvVHlz])([^MmhvVHlz]*)", path):
        values = [int(n) for n in re.findall(r"-?\d+", numbers)]
        if command in "Mm":
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
        elif command == "h":
            x += values[0]
        elif command == "v":
            y += values[0]
        elif command == "V":
            y = values[0]
        elif command == "H":
            x = values[0]
        elif command == "l":
            for dx, dy in zip(values[::2], values[1::2]):
                x, y = x + dx, y + dy
                points.append((x, y))
            continue
        points.append((x, y))
    return points


def by_class(element: ET.Element, kind: str) -> list[ET.Element]:
    return [child for child in element.iter() if child.get("class") == kind]


@pytest.mark.parametrize("draw", [svg.esd, svg.esd_linear, svg.scree])
def test_charts_are_named_and_stay_inside(report: Report, draw) -> None:
    for one in report.layers:
        chart = xml(draw(one))
        assert chart.get("role") == "img"
        assert chart[0].tag == "title"
        assert chart[0].text
        assert chart[1].tag == "desc"
        assert chart[1].text
        for path in chart.iter("path"):
            assert all(0 <= x <= 640 and 0 <= y <= 400 for x, y in coordinates(path.get("d") or ""))


def test_the_bars_have_the_heights_of_the_histogram(report: Report) -> None:
    x, y = Scale.across(0.0, 4.0), Scale.up(0.0, 10.0)
    (bar,) = by_class(ET.fromstring(f"<g>{steps(x, y, [0, 1, 2, 3, 4], [1.0, 0.0, 5.0, 10.0])}</g>"), "b")
    tops = [point for point in coordinates(bar.get("d") or "") if point[1] != y.start]
    assert (x(1.0), y(1.0)) in tops
    assert (x(3.0), y(5.0)) in tops
    assert (x(4.0), y(10.0)) in tops
    assert (x(4.0), y.start) == coordinates(bar.get("d") or "")[-1]


def test_the_tail_is_drawn_where_its_law_lies(report: Report) -> None:
    one = report.layers["fc1"]
    assert one.xmin is not None
    assert one.alpha is not None
    chart = xml(svg.esd(one))
    (xmin,) = by_class(chart, "x")
    (tail,) = by_class(chart, "t")
    (left, top), *_, (right, bottom) = coordinates(tail.get("d") or "")
    assert left == coordinates(xmin.get("d") or "")[0][0]
    # the slope on the chart is -alpha in decades
    assert one.plot is not None
    assert one.plot.esd_min is not None
    assert one.plot.esd_max is not None
    decades_x = (right - left) / 544 * (one.plot.esd_max - one.plot.esd_min + math.log10(1.08 / 0.93))
    shape = histogram_of(one)
    assert shape is not None
    seen = [value for value in shape.density() if value]
    decades_y = (bottom - top) / 288 * math.log10(2.5 * max(seen) / (0.4 * min(seen)))
    assert decades_y / decades_x == pytest.approx(one.alpha, rel=0.03)


def test_competing_minima_have_their_lines(report: Report) -> None:
    one = report.layers["fc1"]
    minima = [{"alpha": 3.0, "xmin": one.xmin * 0.5, "D": 0.1, "n_tail": 90, "below_min_tail": False}]
    chart = xml(svg.esd(replace(one, alpha_profile={"minima": minima})))
    (line,) = by_class(chart, "o")
    (fit,) = by_class(chart, "x")
    assert coordinates(line.get("d") or "")[0][0] < coordinates(fit.get("d") or "")[0][0]
    assert not by_class(xml(svg.esd(replace(one, alpha_profile=None))), "o")


@pytest.mark.parametrize("Q", [1.0, 1.5, 4.9, 40.0])
def test_the_bulk_is_the_law_of_the_laws(Q: float) -> None:
    low, high = law.edges(Q, 0.7)
    values = [low + (high - low) * k / 50 for k in range(1, 50)] + [high * 1.01, 0.5 * low]
    for value in values:
        expected = float(law.density(value, Q, 0.7)) if value > 0.0 else 0.0
        assert marchenko_pastur(value, Q, 0.7) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("name", ["conv2", "fc1"])
def test_the_bulk_is_drawn_over_the_eigenvalues_it_was_fitted_to(report: Report, name: str) -> None:
    one = report.layers[name]
    chart = xml(svg.esd_linear(one))
    assert len(by_class(chart, "t")) == 1
    assert [mark.tag for mark in by_class(chart, "s")] == ["path"]
    linear = linear_of(one)
    assert linear is not None
    assert one.mp is not None
    assert linear.total == one.mp["M"] - one.mp["zeros"]
    assert beyond(one) == linear.total - sum(linear.counts)
    # the share of the histogram below the edge is that of the eigenvalues that are no spikes
    below = sum(count for edge, count in zip(linear.edges[1:], linear.counts) if edge <= one.mp["spike_edge"])
    assert one.mp["M"] - one.mp["spikes"] - below <= max(linear.counts)


def test_the_histogram_of_a_convolution_is_that_of_the_unfolded_kernel(fixtures: Path) -> None:
    path = fixtures / "models" / "lenet5.onnx"
    stored = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    kernel = onnx.numpy_helper.to_array(stored["conv2.weight"]).astype(np.float64).reshape(50, -1)
    one = onnxspec.analyze(path).layers["conv2"]
    evals = np.sort(np.linalg.svd(kernel, compute_uv=False) ** 2 / 500)[::-1]
    assert one.plot is not None
    assert one.plot.linear_max is not None
    assert one.plot.bulk_top == pytest.approx(evals[:12], rel=1e-5)
    counts, _ = np.histogram(evals, bins=len(one.plot.linear_counts), range=(0.0, one.plot.linear_max))
    assert list(one.plot.linear_counts) == counts.tolist()
    assert one.plot.linear_max == pytest.approx(min(1.05 * evals[0], 4.0 * one.mp["spike_edge"]), rel=1e-5)


def test_an_older_report_draws_the_bulk_where_it_can(report: Report) -> None:
    for name, drawn in (("fc1", 1), ("conv2", 0)):
        one = report.layers[name]
        assert one.plot is not None
        older = replace(one, plot=replace(one.plot, linear_max=None, linear_counts=(), bulk_top=()))
        assert len(by_class(xml(svg.esd_linear(older)), "t")) == drawn


def test_the_summary_for_plots_stays_below_two_kilobytes(report: Report) -> None:
    for one in report.layers:
        assert len(json.dumps(encode(one.plot), separators=(",", ":"))) <= 2000


def test_no_spectrum_no_chart() -> None:
    for plot in (None, Plot(None, None, (), ()), Plot(0.0, 1.0, (0, 0), (1.0,)), Plot(0.0, 1.0, (1,), ())):
        for draw in (svg.esd, svg.esd_linear, svg.scree):
            assert draw(layer(plot)) is None
        assert svg.sparkline(layer(plot)) == ""
    assert svg.alpha_by_depth([layer()]) is None
    assert svg.distribution([], "alpha") is None


floats = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.floats(-160, 160),
    st.floats(-160, 160),
    st.lists(st.integers(-1, 10**6), max_size=60),
    st.lists(floats, max_size=40),
    floats,
    floats,
    st.integers(-1, 10**9),
    st.tuples(floats, floats),
)
def test_strange_reports_give_charts_or_none(low, high, counts, top, alpha, xmin, tail, ends) -> None:
    plot = Plot(low, high, tuple(counts), tuple(top))
    mp = {"N": 8, "M": 8, "sigma_mp": abs(alpha), "spike_edge": xmin, "spikes": 2, "zeros": 0}
    one = layer(plot, alpha=alpha, xmin=xmin, n_tail=tail, alpha_ci=ends, mp=mp, N=8, M=8, num_matrices=1)
    for draw in (svg.esd, svg.esd_linear, svg.scree):
        chart = draw(one)
        assert chart is None or (ET.fromstring(chart) is not None and "nan" not in chart and "inf" not in chart)
    chart = svg.alpha_by_depth([one])
    assert chart is None or ET.fromstring(chart) is not None


def test_names_cannot_leave_a_chart(report: Report) -> None:
    hostile = [replace(one, name=HOSTILE, phase=HOSTILE) for one in report.layers]
    chart = svg.alpha_by_depth(hostile)
    assert chart is not None
    assert "<script" not in chart
    assert "\x1b" not in chart
    assert "\u202e" not in chart
    titles = [title.text for title in xml(chart).iter("title")]
    assert any("</title></svg><script>" in (title or "") for title in titles)


def test_alpha_by_depth_shows_phase_interval_and_averaging(report: Report) -> None:
    layers = [replace(one, averaged=one.name != "fc1") for one in report.layers]
    chart = xml(svg.alpha_by_depth(layers))
    marks = list(chart.iter("use"))
    assert [mark.get("href") for mark in marks] == ["#s-bulk_decay", "#s-bulk_spikes"]
    assert [mark.get("class") for mark in marks] == [None, "h"]
    assert len(by_class(chart, "i")) == 2
    label = marks[1][0].text or ""
    assert re.fullmatch(r"3 fc1: alpha 4\.29 \(\d\.\d\d to \d\.\d\d\), bulk_spikes", label)


def test_an_alpha_beyond_the_axis_says_its_value(report: Report) -> None:
    chart = xml(svg.alpha_by_depth([replace(report.layers["fc1"], alpha=37.4)]))
    assert [text.text for text in by_class(chart, "n")] == ["37"]


def test_a_distribution_counts_every_layer() -> None:
    chart = xml(svg.distribution([2.0, 2.1, 3.0, 9.0, 2.05], "alpha"))
    about = chart.find("desc")
    assert about is not None
    assert about.text == "5 layers, median 2.10, mean 3.63."
    assert xml(svg.distribution([3.0, 3.0], "alpha")) is not None


def test_every_phase_has_a_colour_and_a_shape_of_its_own() -> None:
    assert len({sign.light for sign in PHASES.values()}) == len(PHASES)
    assert len({SHAPES[sign.marker] for sign in PHASES.values()}) == len(PHASES)
    for dark in (False, True):
        rules = styles([*PHASES, "strange"], dark=dark)
        assert all(f".s-{name}," in rules for name in (*PHASES, NONE))
        assert ".s-isometric," not in styles(["random_like"], dark=dark)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", PHASES)
def test_signs_stand_out_from_both_grounds(name: str) -> None:
    """WCAG 2.2, 1.4.11: graphics need a contrast of 3."""
    white, night = luminance("#ffffff"), luminance("#0f1317")
    assert (white + 0.05) / (luminance(PHASES[name].light) + 0.05) >= 3.0
    assert (luminance(PHASES[name].dark) + 0.05) / (night + 0.05) >= 3.0


def test_scales() -> None:
    x = Scale.across(1e-3, 1e3, log=True)
    assert x(1e-3) == x.start
    assert x(1e3) == x.end
    assert x(1.0) == round((x.start + x.end) / 2)
    assert [label for _, label in x.ticks()] == ["10⁻³", "10⁻¹", "10¹", "10³"]
    y = Scale.up(0.0, 7.0)
    assert [label for _, label in y.ticks(4)] == ["0", "2", "4", "6"]
    assert y(9.0) == y.end


@given(st.floats(1e-140, 1e140), st.floats(1.0001, 1e12), st.integers(2, 8))
def test_ticks_are_few_and_on_the_axis(low: float, ratio: float, most: int) -> None:
    for scale in (Scale.across(low, low * ratio, log=True), Scale.across(low, low * ratio)):
        ticks = scale.ticks(most)
        assert len(ticks) <= most + 1
        slack = 1e-6 * (scale.high - scale.low)
        assert all(scale.low - slack <= value <= scale.high + slack for value, _ in ticks)
        assert len({label for _, label in ticks}) == len(ticks) or ratio < 1.02


def test_the_ends_of_a_short_axis_are_told_apart() -> None:
    labels = [label for _, label in Scale.across(1.0625, 1.12890625, log=True).ticks(2)]
    assert labels == ["1.06e0", "1.13e0"]


def test_lines_leave_out_what_repeats() -> None:
    assert polyline([(1, 2), (1, 2), (4, -3)], "t") == '<path class="t" d="M1 2l3-5"/>'
    assert polyline([(1, 2)], "t") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.inf, "–"),
        (0.0, "0"),
        (0, "0"),
        (0.036235504, "0.03624"),
        (-1234.56, "−1235"),
        (1255500, "1,255,500"),
        (1.3e-283, "1.300e−283"),
        (9.99996, "10.00"),
        (354054.4, "354,054"),
        (123456789.0, "1.235e8"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert short(value) == text


def test_columns_and_sizes() -> None:
    assert fixed(-0.456, 2) == "−0.46"
    assert fixed(None, 2) == "–"
    assert interval((1.0, 9.428)) == "1.00 to 9.43"
    assert [size(n) for n in (12, 5_033_510, 3 * 10**13)] == ["12 B", "5.0 MB", "30.0 TB"]


def test_what_is_never_there_is_said_once() -> None:
    layers = [
        layer(reasons={"gof_p": "effort", "alpha": "too_small", "traps": "effort"}),
        layer(reasons={"gof_p": "effort", "traps": "effort"}),
        layer(reasons={"gof_p": "no_fit", "traps": "effort"}),
        layer(status="failed"),
    ]
    everywhere = never(layers)
    assert everywhere == [Missing("effort", ("gof_p", "traps"))]
    assert missing(layers[0], everywhere) == [Missing("too_small", ("alpha",))]
    assert missing(layers[1], everywhere) == []
    assert missing(layers[2], everywhere) == [Missing("no_fit", ("gof_p",))]
