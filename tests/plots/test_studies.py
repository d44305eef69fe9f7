"""Figures of series and tracks, read back from what was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxspec
from onnxspec import plots
from onnxspec.comparing.series.ranking import rank
from onnxspec.results.series import Member


def test_a_scatter_plot_holds_every_model_and_the_lines(fixtures: Path) -> None:
    series = onnxspec.series(fixtures / "series" / "natcomm_cv.csv")
    figure = plots.series_scatter(series, ["alpha"])
    (axes,) = figure.axes
    points = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    drawn = {(x, y) for line in points for x, y in zip(line.get_xdata(), line.get_ydata())}
    assert drawn == {(m.metrics["alpha"], m.accuracy) for m in series.members}
    lines = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
    slopes = [np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0] for line in lines]
    expected = [series.relation("alpha", group).slope.value for group in ("VGG", "ResNet", "DenseNet", None)]
    assert slopes == pytest.approx(expected)
    assert "tau = +0.43" in axes.get_title()
    assert len(plots.series_scatter(series).axes) == 6
    assert plots.image(figure, "svg") == plots.image(plots.series_scatter(series, ["alpha"]), "svg")


def test_names_that_look_like_markup_are_drawn_as_they_are() -> None:
    members = [Member(f"$\\frac{k}$\u0007", float(k), "$x$\n", metrics={"$y$": float(k)}) for k in range(4)]
    assert plots.image(plots.series_scatter(rank(members)), "png").startswith(b"\x89PNG")


def test_nothing_to_draw_is_told() -> None:
    with pytest.raises(ValueError, match="no metric"):
        plots.series_scatter(rank([Member("a", 1.0)]))


def test_curves_and_scree_are_those_of_the_track(fixtures: Path) -> None:
    paths = [fixtures / "models" / f"{name}.onnx" for name in ("linear_gemm", "linear_matmul")]
    track = onnxspec.track(paths)
    figure = plots.track_curves(track)
    assert [axes.get_title() for axes in figure.axes] == [
        "entropy",
        "stable_rank",
        "mp_softrank",
        "alpha",
        "spikes",
        "log_norm",
        "phase",
    ]
    course = track.layers[0]
    assert tuple(figure.axes[1].get_lines()[0].get_ydata()) == course.values["stable_rank"]
    assert figure.axes[6].get_legend_handles_labels()[1] == [course.phases[0]]
    scree = plots.track_scree(track, [course.name])
    first, last = scree.axes[0].get_lines()
    assert tuple(first.get_ydata()) == course.scree_first
    assert tuple(last.get_ydata()) == course.scree_last
    with pytest.raises(KeyError):
        plots.track_curves(track, ["missing"])
