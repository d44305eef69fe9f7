"""Vectors of spikes are more localised than those of the bulk, in MiniAlexNet's FC1; seed 001, "Spikes".

python tools/experiments/localisation.py [--quick]

It looks at networks that batch_size.py has trained, and trains them where they are not there yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import batch_size
import lab as common
import numpy as np

import onnxspec
from onnxspec.plots.canvas import PALETTE, figure_of, legend
from onnxspec.spectra.vectors import haar_null, vector_metrics

CHOSEN = (("published", 2), ("cross_entropy", 2), ("cross_entropy", 4))
NAMES = {"published": "published recipe, shortened", "cross_entropy": "cross entropy"}
METRICS = ("entropy", "participation", "localisation")
PUBLISHED = {"participation": (3.3705, 3.2090), "localisation": (97.73, 82.91)}
"""Bulk and spikes of the published network. Its entropy is that of a histogram, which onnxspec does not use."""


def vectors(path: Path) -> list[dict[str, Any]]:
    """Give the metrics of all right singular vectors of FC1."""
    (found,) = (weight.load() for weight in onnxspec.iter_weights(path) if weight.name == "fc1")
    W = np.asarray(found, dtype=np.float64)
    W = W if W.shape[0] >= W.shape[1] else W.T
    rows = np.linalg.svd(W, full_matrices=False)[2]
    metrics = [vector_metrics(v, k) for k, v in enumerate(rows)]
    return [{"index": m.index, **{name: getattr(m, name) for name in METRICS}} for m in metrics]


def figure(tables: dict[str, list[dict[str, Any]]], spikes: dict[str, int]) -> Any:
    """Draw each metric over the place of the vector, with the mean of random vectors."""
    drawn = figure_of(11.0, 3.3)
    for axes, metric in zip(drawn.subplots(1, 3), METRICS):
        for (label, rows), colour in zip(tables.items(), PALETTE):
            x, y = [row["index"] + 1 for row in rows], [row[metric] for row in rows]
            axes.plot(x, y, ".", ms=3, color=colour, label=f"{label} ({spikes[label]} spikes)")
            axes.axvline(spikes[label] + 0.5, color=colour, lw=0.7, ls=":")
        null = haar_null(len(next(iter(tables.values()))))
        axes.axhline(getattr(null, metric), color=PALETTE[6], lw=0.9, label="random vectors")
        axes.set_xscale("log")
        axes.set_xlabel("place of the eigenvalue")
        axes.set_title(metric, fontsize="medium")
    legend(axes)
    return drawn


def line_of(label: str, path: Path) -> dict[str, Any]:
    """Let onnxspec compare spikes and bulk; give the means in the units of the figure."""
    layer = onnxspec.analyze(path, layer="fc1", effort="full").layers["fc1"]
    found = layer.localisation or {}
    null = found["null"]
    line: dict[str, Any] = {"network": label, "spikes": layer.spikes, "are spikes": found["top_are_spikes"]}
    for metric in METRICS:
        for part in ("bulk", "spike"):
            z = found[f"{part}_{metric}_z"]
            line[f"{metric} {part}"] = None if z is None else null[metric] + z * null[f"{metric}_sd"]
    return line | {"p (entropies)": found["mann_whitney_p"], "null L": null["localisation"]}


def main() -> None:
    lab = common.Lab("localisation", __doc__ or "")
    lines, tables, spikes, rows = [], {}, {}, []
    for sweep, size in (("published", 16),) if lab.quick else CHOSEN:
        run = lab.run(
            batch_size.recipe_of(sweep, size, 1), batch_size.label_of(sweep, size, 1), experiment="batch_size"
        )
        if run is None:
            continue
        label = f"{NAMES[sweep]}, batch {size}"
        path = sorted(run["place"].glob("epoch_*.onnx"))[-1]
        lines.append(line_of(label, path))
        tables[label], spikes[label] = vectors(path), lines[-1]["spikes"] or 0
        rows += [{"network": label, "spike": row["index"] < spikes[label], **row} for row in tables[label]]
    if not lines:
        return
    lab.csv(rows)
    lab.png(figure(tables, spikes))
    told = "Published, 9 spikes: " + "; ".join(
        f"{k} of the bulk {b}, of the spikes {s}" for k, (b, s) in PUBLISHED.items()
    )
    text = ["## Localisation of spikes and bulk, FC1 of MiniAlexNet", "", common.table(lines), "", f"{told}."]
    lab.markdown("\n".join([*text, "", "![localisation](localisation.png)"]))


if __name__ == "__main__":
    main()
