"""The figures of the experiments, by matplotlib through onnxspec's canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lab as common
import numpy as np

from onnxspec.laws import marchenko_pastur
from onnxspec.plots.canvas import PALETTE, figure_of, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[dict[str, Any]]


def batch_sizes(rows: Rows) -> Figure:
    """Draw ranks, spikes and accuracies over the batch size, with the spread of the runs."""
    figure = figure_of(12.0, 3.4)
    panels = figure.subplots(1, 4)
    for axes, metric, title in zip(panels, ("stable_rank", "mp_softrank", "spikes"), ("stable rank", "R_mp", "spikes")):
        for layer, colour in zip(("FC1", "FC2"), PALETTE):
            _over_sizes(axes, [row for row in rows if row["layer"] == layer], metric, colour, layer)
        axes.set_title(title, fontsize="medium")
    one = [row for row in rows if row["layer"] == "FC1"]
    for metric, colour, label in zip(("train_accuracy", "test_accuracy"), PALETTE[2:], ("training", "test")):
        _over_sizes(panels[3], one, metric, colour, label)
    panels[3].set_title("accuracy", fontsize="medium")
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlabel("batch size")
        legend(axes)
    return figure


def _over_sizes(axes: Axes, rows: Rows, metric: str, colour: str, label: str) -> None:
    """Draw means and standard deviations over the runs."""
    sizes = sorted({row["batch"] for row in rows})
    values = [[row[metric] for row in rows if row["batch"] == size] for size in sizes]
    kept = [(size, common.mean(v), common.deviation(v) or 0.0) for size, v in zip(sizes, values)]
    kept = [one for one in kept if one[1] is not None]
    if kept:
        x, y, error = zip(*kept)
        axes.errorbar(x, y, yerr=error, fmt="o-", ms=4, lw=1.2, capsize=2, color=colour, label=label)


def spectra(runs: Rows, layer: str) -> Figure:
    """Draw the ESD of one layer for each run, with the bulk fitted to it, its edge, spikes and phase."""
    runs = sorted(runs, key=lambda run: run["recipe"]["batch"])
    columns = min(3, len(runs))
    lines = -(-len(runs) // columns)
    figure = figure_of(4.0 * columns, 2.6 * lines)
    panels = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    for axes, run in zip(panels, runs):
        row = common.of_layer(run, layer)
        esd(axes, row)
        axes.set_title(f"batch {run['recipe']['batch']}: {row['phase']}", fontsize="small")
    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    return figure


def esd(axes: Axes, row: dict[str, Any], bins: int = 80) -> None:
    """Draw one spectrum, with the Marchenko-Pastur law of its bulk; far spikes as marks beyond the frame."""
    evals = np.array(row["evals"])
    plus = row["lambda_plus"]
    top = float(evals[0]) if plus is None else min(float(evals[0]), 4.0 * plus)
    axes.hist(evals[evals <= top * 1.02], bins=bins, density=True, color=PALETTE[0], alpha=0.35)
    if row["sigma_mp"] is not None and plus is not None:
        x = np.linspace(max(row["lambda_minus"], 1e-3 * plus), plus, 300)
        axes.plot(x, marchenko_pastur.density(x, row["Q"], row["sigma_mp"]), color=PALETTE[1], lw=1.2)
        axes.axvline(plus, color=PALETTE[1], lw=0.8, ls=":")
    beyond = int(np.count_nonzero(evals > top * 1.02))
    notes = [f"spikes {row['spikes']}", f"largest {evals[0]:.3g}"]
    if row["alpha"] is not None:
        notes.append(f"alpha {row['alpha']:.2f}, n {row['n_tail']}")
    if beyond:
        notes.append(f"{beyond} beyond the frame")
    axes.text(0.97, 0.95, "\n".join(notes), ha="right", va="top", fontsize="x-small", transform=axes.transAxes)
    axes.set_xlim(0.0, top * 1.05)
    axes.tick_params(labelsize="x-small")


def epochs(runs: Rows, layers: Sequence[str]) -> Figure:
    """Draw entropy and stable rank over the epochs, scree plots, and histograms before and after."""
    figure = figure_of(12.0, 6.4)
    panels = figure.subplots(2, 3)
    for run in runs:
        for layer, colour in zip(layers, PALETTE):
            rows = [row for row in run["rows"] if row["layer"] == layer]
            first = run is runs[0]
            for axes, metric in zip(panels[0], ("entropy", "stable_rank")):
                label = layer if first else None
                axes.plot([r["epoch"] for r in rows], [r[metric] for r in rows], "o-", ms=3, color=colour, label=label)
    panels[0, 0].set_title("matrix entropy", fontsize="medium")
    panels[0, 1].set_title("stable rank", fontsize="medium")
    for axes in panels[0, :2]:
        axes.set_xlabel("epoch")
        legend(axes)
    _before_and_after(panels, runs[0], layers[0])
    return figure


def _before_and_after(panels: Any, run: dict[str, Any], layer: str) -> None:
    """Draw scree plot and histograms of one layer, at the start and at the end."""
    for epoch, colour, label in ((0, PALETTE[6], "initial"), (None, PALETTE[1], "final")):
        evals = np.array(common.of_layer(run, layer, epoch)["evals"])
        panels[0, 2].plot(np.arange(1, evals.size + 1), evals / evals.sum(), color=colour, label=label)
        style = {"bins": 60, "density": True, "histtype": "step", "color": colour, "label": label}
        panels[1, 0].hist(np.sqrt(evals), **style)
        panels[1, 1].hist(evals, **style)
        panels[1, 2].hist(np.log10(evals[evals > 0]), **style)
    panels[0, 2].set_yscale("log")
    titles = ((panels[0, 2], "scree plot"), (panels[1, 0], "singular values / sqrt(N)"), (panels[1, 1], "eigenvalues"))
    for axes, title in (*titles, (panels[1, 2], "log10 of the eigenvalues")):
        axes.set_title(f"{layer}: {title}", fontsize="medium")
        legend(axes)


def variants(runs: Sequence[tuple[str, dict[str, Any]]], layer: str) -> Figure:
    """Draw the ESD of one layer for each variant of a recipe, over the logarithm of the eigenvalue."""
    columns = min(4, len(runs))
    lines = -(-len(runs) // columns)
    figure = figure_of(3.2 * columns, 2.5 * lines)
    panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True)).ravel()
    for axes, (name, run) in zip(panels, runs):
        for epoch, colour in ((0, PALETTE[6]), (None, PALETTE[1])):
            evals = np.array(common.of_layer(run, layer, epoch)["evals"])
            axes.hist(np.log10(np.maximum(evals, 1e-12)), bins=60, histtype="step", color=colour)
        axes.set_title(f"{name}: {common.of_layer(run, layer)['phase']}", fontsize="small")
        axes.tick_params(labelsize="x-small")
    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    figure.supxlabel("log10 of the eigenvalue; grey: before training", fontsize="small")
    return figure
