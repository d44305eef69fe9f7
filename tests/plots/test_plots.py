"""Figures: they say what the results say, do not warn, and give the same bytes twice."""

from __future__ import annotations

import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from matplotlib.patches import StepPatch
from onnx import helper

import onnxspec
from onnxspec import plots, theory
from onnxspec.errors import UsageError
from onnxspec.laws import marchenko_pastur
from onnxspec.plots.canvas import plain, short
from onnxspec.plots.data import curve_of, shape_of
from onnxspec.report import svg
from onnxspec.results import Layer, Layers, Plot, Report
from onnxspec.results.drawable import bulk_of, law_of, linear_of, minima_of

DRAW = {name: getattr(plots, name) for name in ("esd", "esd_linear", "scree", "ks_curve", "layer_sheet")}


@pytest.fixture(scope="module")
def full(fixtures: Path) -> Report:
    return onnxspec.analyze(fixtures / "models" / "lenet5.onnx", spectra=True)


@pytest.fixture(scope="module")
def saved(full: Report) -> Report:
    """Give the report as it is saved: six digits, bins, no eigenvalues."""
    layers = Layers([replace(layer, evals=None) for layer in full.layers])
    return Report.from_json(replace(full, layers=layers).to_json())


def lines(figure: Any, label: str) -> Any:
    found = [line for axes in figure.axes for line in axes.lines if str(line.get_label()).startswith(label)]
    assert len(found) == 1, [line.get_label() for axes in figure.axes for line in axes.lines]
    return found[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("esd", "svg"), ("esd_linear", "png"), ("scree", "svg"), ("ks_curve", "png"), ("layer_sheet", "png")],
)
def test_files_are_whole_and_the_same_twice(saved: Report, name: str, kind: str) -> None:
    layer = saved.layers["fc1"]
    first = plots.image(DRAW[name](layer), kind)
    assert first == plots.image(DRAW[name](layer), kind)
    if kind == "png":
        assert first.startswith(b"\x89PNG\r\n")
        assert first.endswith(b"IEND\xaeB`\x82")
        assert b"Software" not in first
    else:
        assert ET.fromstring(first).tag.endswith("svg")
        assert b"dc:date" not in first
    assert len(first) > 5000


def test_the_pixels_differ_where_the_layers_do(full: Report) -> None:
    assert plots.image(plots.esd(full.layers["fc1"])) != plots.image(plots.esd(full.layers["conv2"]))


def test_pdf_and_save(saved: Report, tmp_path: Path) -> None:
    figure = plots.esd(saved.layers["fc1"])
    plots.save(figure, tmp_path / "a.PDF")
    assert (tmp_path / "a.PDF").read_bytes().startswith(b"%PDF")
    with pytest.raises(UsageError, match="format is 'gif'"):
        plots.save(figure, tmp_path / "a.gif")
    with pytest.raises(UsageError, match="cannot be written"):
        plots.save(figure, tmp_path / "no" / "a.png")


def test_settings_of_matplotlib_stay_as_they_are(saved: Report) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.image(plots.layer_sheet(saved.layers["fc1"]), "svg")
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_loaded_and_importing_plots_is_light() -> None:
    code = (
        "import sys, onnxspec.plots as p\nassert 'matplotlib' not in sys.modules\n"
        "from onnxspec.results import Layer, Plot\n"
        "x = Layer('a','a','MatMul','dense','a',(),(9,9),'float32',81, plot=Plot(0.0, 1.0, (1, 2, 3), (10.0, 5.0)))\n"
        "p.image(p.layer_sheet(x))\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "matplotlib.figure" in loaded
    assert not loaded & {"matplotlib.pyplot", "numba", "onnx", "scipy"}


def test_the_tail_is_the_fit(full: Report) -> None:
    layer = full.layers["fc1"]
    assert layer.alpha is not None
    assert layer.alpha_ci is not None
    figure = plots.esd(layer)
    line = lines(figure, "alpha = ")
    x, y = line.get_xdata(), line.get_ydata()
    assert x[0] == layer.xmin
    slope = np.polyfit(np.log(x), np.log(y), 1)[0]
    assert slope == pytest.approx(-layer.alpha, rel=1e-9)
    # the line's area is the share of the tail, up to what lies beyond the largest eigenvalue
    log_x = np.log(x)
    area = np.trapezoid(y * x, log_x)
    kept = 1.0 - (x[-1] / x[0]) ** (1.0 - layer.alpha)
    assert area == pytest.approx(kept * layer.n_tail / layer.num_evals, rel=0.01)
    low, high = layer.alpha_ci
    assert line.get_label() == f"alpha = {layer.alpha:.2f} [{low:.2f}, {high:.2f}], {layer.n_tail} in the tail"


@pytest.mark.parametrize("name", ["fc1", "conv2"])
def test_the_histogram_has_area_one_from_either_source(full: Report, saved: Report, name: str) -> None:
    for report in (full, saved):
        shape = shape_of(report.layers[name])
        assert shape is not None
        assert shape.total == report.layers[name].rank
        assert np.sum(shape.density() * np.diff(shape.edges)) == pytest.approx(1.0)
        edges, density = shape.linear(2.0 * float(shape.top[0]))
        assert np.sum(density * np.diff(edges)) == pytest.approx(1.0)
    fine, coarse = shape_of(full.layers[name]), shape_of(saved.layers[name])
    assert fine is not None
    assert coarse is not None
    assert coarse.edges[0] == pytest.approx(fine.edges[0], rel=1e-4)
    assert coarse.edges[-1] == pytest.approx(fine.edges[-1], rel=1e-4)


def test_the_scree_is_exact_at_the_top_and_close_below(full: Report, saved: Report) -> None:
    fine, coarse = shape_of(full.layers["fc1"]), shape_of(saved.layers["fc1"])
    assert fine is not None
    assert coarse is not None
    ranks, values = coarse.ranked()
    assert (np.diff(ranks) >= 0.0).all()
    assert (np.diff(values) <= 0.0).all()
    assert ranks[-1] == fine.evals.size
    exact = fine.evals[ranks.astype(int) - 1]
    np.testing.assert_allclose(values[:32], exact[:32], rtol=1e-5)
    np.testing.assert_allclose(values, exact, rtol=0.08)  # a bin is 6.8 % wide


def test_the_bulk_is_drawn_where_it_belongs(full: Report) -> None:
    layer = full.layers["fc1"]
    bulk = bulk_of(layer)
    assert bulk is not None
    assert layer.mp is not None
    k = layer.mp["spikes"]
    assert (2450 - k) / (500 - k) == bulk.Q
    evals = np.array(layer.evals)
    below = evals[k:]
    place = np.abs(marchenko_pastur.cdf(below[::-1], bulk.Q, bulk.sigma) - (np.arange(below.size) + 0.5) / below.size)
    assert place.max() < 0.06
    line = lines(plots.esd_linear(layer), "Marchenko-Pastur")
    assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx((500 - k) / 500, rel=1e-3)
    marks = lines(plots.esd_linear(layer), f"{k} spikes")
    np.testing.assert_array_equal(marks.get_xdata(), evals[:k])


def model_of_every_kind(path: Path) -> Path:
    """Write a model with a dense, a convolutional, a recurrent and a quantised layer, each noise with a spike."""
    rng = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        wide = rng.normal(size=(shape[0], math.prod(shape[1:])))
        wide += (
            3.0 * np.outer(rng.normal(size=wide.shape[0]), rng.normal(size=wide.shape[1])) / math.sqrt(wide.shape[1])
        )
        return 0.1 * wide.reshape(shape)

    held = {
        "conv": weights(64, 16, 3, 3).astype(np.float32),
        "dense": weights(64, 100).astype(np.float32),
        "quantised": np.clip(np.round(100.0 * weights(100, 64)), -127, 127).astype(np.int8),
        "scale": np.float32(0.01),
        "lstm_w": weights(256, 64)[None].astype(np.float32),
        "lstm_r": weights(256, 64)[None].astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"], name="conv"),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "dense"], ["d"], name="dense"),
        helper.make_node("DequantizeLinear", ["quantised", "scale"], ["q"]),
        helper.make_node("MatMul", ["d", "q"], ["e"], name="quantised"),
        helper.make_node("Unsqueeze", ["e", "zero"], ["f"]),
        helper.make_node("LSTM", ["f", "lstm_w", "lstm_r"], ["y"], name="lstm", hidden_size=64),
    ]
    stored = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    stored.append(onnx.numpy_helper.from_array(np.array([0]), "zero"))
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 16, 8, 8]), ("y", None))
    ]
    graph = helper.make_graph(nodes, "every_kind", ends[:1], ends[1:], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("conv", ["pooled", "unfold"])
def test_every_kind_of_layer_shows_the_bulk_that_the_page_shows(tmp_path: Path, conv: str) -> None:
    report = onnxspec.analyze(model_of_every_kind(tmp_path / "kinds.onnx"), conv=conv)
    assert [layer.role for layer in report.layers] == ["conv", "dense", "dense", "recurrent_input", "recurrent_hidden"]
    assert report.layers[2].quantization is not None
    for layer in report.layers:
        figure = plots.esd_linear(layer)
        fitted, law = linear_of(layer), law_of(layer)
        assert fitted is not None
        assert law is not None
        (bars,) = (patch for patch in figure.axes[0].patches if isinstance(patch, StepPatch))
        assert list(bars.get_data().edges) == fitted.edges
        assert list(bars.get_data().values) == fitted.density()
        told = ET.fromstring(svg.esd_linear(layer) or "").findtext("desc")
        edge = lines(figure, "edge of the bulk = ").get_label().rpartition(" ")[2]
        assert f"Bulk up to {edge}; spikes beyond it: {law.spikes}." in (told or "")
        assert law.spikes > 0
        assert list(lines(figure, f"{law.spikes} spike").get_xdata()) == [
            value for value in fitted.top[: law.spikes] if value <= fitted.end
        ]
        line = lines(figure, "Marchenko-Pastur")
        below = sum(fitted.counts[k] for k, edge in enumerate(fitted.edges[1:]) if edge <= law.edge)
        area = np.trapezoid(line.get_ydata(), line.get_xdata())
        assert area == pytest.approx(below / fitted.total, abs=2.0 / math.sqrt(fitted.total))
        title = figure.axes[0].get_legend().get_title().get_text()
        assert ("unfolded to" in title) == (layer.role == "conv" and conv == "pooled")


def test_an_older_report_of_a_convolution_shows_its_own_eigenvalues_without_a_law(saved: Report) -> None:
    layer = saved.layers["conv2"]
    assert layer.plot is not None
    older = replace(layer, plot=replace(layer.plot, linear_max=None, linear_counts=(), bulk_top=()))
    assert lines(plots.esd_linear(layer), "Marchenko-Pastur") is not None
    assert not plots.esd_linear(older).axes[0].lines


def test_spikes_that_the_report_does_not_hold_are_counted(saved: Report) -> None:
    layer = saved.layers["fc1"]
    many = replace(layer, mp={**(layer.mp or {}), "spikes": 40})
    assert lines(plots.esd_linear(many), "40 spikes").get_label() == "40 spikes, the largest 32 marked"


def test_competing_minima_are_marked(saved: Report) -> None:
    def minimum(alpha: float, xmin: float, *, short_tail: bool) -> dict[str, Any]:
        return {"alpha": alpha, "xmin": xmin, "D": 0.09, "n_tail": 20, "below_min_tail": short_tail}

    layer = saved.layers["fc1"]
    own = (layer.alpha_profile or {})["minima"]
    others = [minimum(3.0, 5e-4, short_tail=False), minimum(9.0, 1.2e-3, short_tail=True)]
    layer = replace(layer, alpha_profile={"minima": [*own, *others]})
    assert [m.alpha for m in minima_of(layer)] == [3.0, 9.0]
    figure = plots.esd(layer)
    assert lines(figure, "other minimum: alpha = 3.00").get_xdata()[0] == 5e-4
    assert lines(figure, "other minimum: alpha = 9.00 (tail too short)").get_xdata()[0] == 1.2e-3
    upper = plots.ks_curve(layer).axes[0]
    assert len(upper.lines) == 4


def test_the_curve_holds_the_choice_of_the_fit(saved: Report) -> None:
    layer = saved.layers["fc1"]
    curve = curve_of(layer)
    assert curve is not None
    xmin, distance, alpha = curve
    best = int(np.argmin(distance))
    assert (xmin[best], distance[best], alpha[best]) == (layer.xmin, layer.D, layer.alpha)


def test_layers_without_a_fit_or_a_spectrum(full: Report, saved: Report) -> None:
    for report in (full, saved):
        figure = plots.layer_sheet(report.layers["conv1"])
        texts = [t.get_text() for axes in figure.axes for t in axes.texts]
        assert texts.count("no fit: too_small") == 2
        plots.image(figure)
    failed = replace(saved.layers["fc1"], plot=None, evals=None, status="failed", reason="non_finite")
    assert not plots.drawable(failed)
    with pytest.raises(ValueError, match="non_finite"):
        plots.esd(failed)


@pytest.mark.parametrize(
    "changes",
    [
        {"plot": Plot(-1e300, 1e300, (1, 2), (1.0,))},
        {"plot": Plot(-250.0, 250.0, (1, 2), (1.0,))},
        {"plot": Plot(3.0, -3.0, (1, 2), (1.0,))},
        {"plot": Plot(0.0, 1.0, (-5, 5), (1.0,))},
        {"plot": Plot(0.0, 1.0, (0, 0), (1.0,))},
        {"plot": Plot(0.0, 1.0, (), (1.0,))},
        {"plot": Plot(0.0, 1.0, (1,), ())},
        {"plot": Plot(None, None, (), ())},
    ],
)
def test_nonsense_in_a_saved_report_is_no_spectrum(saved: Report, changes: dict[str, Any]) -> None:
    assert not plots.drawable(replace(saved.layers["fc1"], **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 1e300},
        {"alpha": -2.0, "xmin": -1.0},
        {"xmin": 5e-324},
        {"xmin": 1e200},
        {"n_tail": 10**400},
        {"alpha_ci": (9.0, 1.0)},
        {"alpha_profile": {"minima": [None, {"alpha": "x"}, {"alpha": 2, "xmin": -1, "D": 3}, 7]}},
        {"alpha_profile": {"minima": 7}},
        {"mp": {"N": 2450, "M": 500, "sigma_mp": 1e-300, "spike_edge": 1.0, "spikes": -3, "zeros": 0}},
        {"mp": {"N": 2450, "M": 500, "sigma_mp": 0.02, "spike_edge": 1e-300, "spikes": 3, "zeros": 0}},
        {"mp": {"N": 2450, "M": 500, "sigma_mp": 0.02, "spike_edge": 1e-3, "spikes": 499, "zeros": 0}},
        {"plot": Plot(0.0, 0.0, (7, 0), (1.0,))},
        {"plot": Plot(-140.0, 140.0, (7, 0, 3), (1e140, 1.0), (1e-250, 1e140), (0.5, 0.1), (2.0, 1e300))},
        {"trained": {"verdict": None}, "phase": "$x$"},
    ],
)
def test_nonsense_numbers_are_left_out_without_a_warning(saved: Report, changes: dict[str, Any]) -> None:
    plots.image(plots.layer_sheet(replace(saved.layers["fc1"], **changes)))


def test_hostile_names_are_drawn_as_plain_text(saved: Report) -> None:
    evil = "$\\frac{1}{ $\n\x1b[2J 漢字 \ud800 \u202e a$b" + 300 * "x"
    layer = replace(saved.layers["fc1"], name=evil, role=evil, phase=evil, trained={"verdict": evil})
    for kind in plots.FORMATS:
        plots.image(plots.scree(layer), kind)
    report = replace(saved, layers=Layers([layer]), model=replace(saved.model, path=evil))
    plots.image(plots.alpha_by_depth(report))
    assert plain("a$b\n漢") == r"a\$b??"
    assert len(plain("y" * 500, 40)) == 40


def test_alpha_by_depth_shows_every_fitted_layer_by_phase(saved: Report) -> None:
    base = saved.layers["fc1"]

    def layer(k: int, **changes: Any) -> Layer:
        return replace(base, id=f"l{k}", name=f"l{k}", **changes)

    layers = [
        layer(0, phase="heavy_tailed", alpha=2.5, alpha_ci=(2.0, 3.5)),
        layer(1, phase="heavy_tailed", alpha=3.0, alpha_ci=None, averaged=False),
        layer(2, phase=None, alpha=30.0, alpha_ci=None),
        layer(3, alpha=None, alpha_ci=None),
        layer(4, phase="from_the_future", alpha=1.5, alpha_ci=(1.0, 200.0)),
    ]
    figure = plots.alpha_by_depth(replace(saved, layers=Layers(layers)))
    axes = figure.axes[0]
    drawn = {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert drawn["heavy_tailed"] == ([0], [2.5])
    assert drawn["heavy_tailed, not averaged"] == ([1], [3.0])
    assert drawn["no phase"][0] == [2, 3]
    assert [t.get_text() for t in axes.texts] == ["30.0"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["l0", "l1", "l2", "l4"]
    assert axes.get_ylim() == (1.0, 12.0)
    plots.image(figure)
    with pytest.raises(ValueError, match="no layer"):
        plots.alpha_by_depth(replace(saved, layers=Layers(layers[3:4])))


def test_many_layers_are_not_named(saved: Report) -> None:
    layers = Layers([replace(saved.layers["fc1"], id=str(k)) for k in range(70)])
    axes = plots.alpha_by_depth(replace(saved, layers=layers)).axes[0]
    assert axes.get_xlabel() == "fitted layer, in graph order"


def test_theory_figures_are_the_same_twice_and_show_the_data() -> None:
    points = theory.alpha_of_mu(np.linspace(0.5, 5.5, 6).tolist(), M=60)
    points += theory.alpha_of_mu([5.5], M=60, entries="sym")
    points += [replace(points[0], alpha=99.0, alpha_stderr=1.0)]
    curves = theory.mp_curves(M=60)
    spectra = theory.heavy_tailed_spectra(N=120, M=40)
    for draw, data in ((plots.mp, curves), (plots.heavy_tailed, spectra), (plots.alpha_mu, points)):
        assert plots.image(draw(data)) == plots.image(draw(data))
        plots.image(draw([]))
    law = lines(plots.mp(curves), "Q = 2")
    np.testing.assert_array_equal(law.get_ydata(), marchenko_pastur.density(curves[1].x, 2.0))
    limit = lines(plots.alpha_mu(points), "large matrices")
    np.testing.assert_allclose(limit.get_ydata(), 1.0 + 0.5 * limit.get_xdata())
    assert list(lines(plots.alpha_mu(points), "  above 12").get_xdata()) == [0.5]
    assert lines(plots.heavy_tailed(spectra), "mu = 1").get_label() == "mu = 1, W / 100"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.000818126, "0.000818"), (1.2e-7, "1.2e-7"), (100.0, "100"), (12345.6, "12300"), (2.5e9, "2.5e9"), (0.0, "0")],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text
    assert short(math.nan) == short(None) == "-"


def test_the_hill_plot_is_hill(full: Report, saved: Report) -> None:
    layer = full.layers["fc1"]
    assert layer.evals is not None
    assert layer.n_tail is not None
    figure = plots.hill(layer)
    line = lines(figure, "Hill")
    k, alpha = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    x = np.sort(layer.evals)[::-1]
    at = int(np.argmin(np.abs(k - layer.n_tail)))
    by_hand = 1.0 + k[at] / np.sum(np.log(x[: k[at]] / x[k[at]]))
    assert alpha[at] == pytest.approx(by_hand)
    top = lines(plots.hill(saved.layers["fc1"]), "Hill")
    assert max(top.get_xdata()) == 31
    both = dict(zip(k, alpha))
    shared = [(a, both[n]) for n, a in zip(top.get_xdata(), top.get_ydata()) if n in both]
    assert len(shared) > 10
    assert all(a == pytest.approx(b, rel=1e-4) for a, b in shared)
    with pytest.raises(ValueError, match="a Hill plot needs 5"):
        plots.hill(replace(layer, evals=(1.0, 0.5)))
