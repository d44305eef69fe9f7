"""Figures for notebooks and papers, drawn by matplotlib from frozen results.

Every function gives a new ``matplotlib.figure.Figure`` that pyplot knows nothing of;
`save` writes it with the same bytes each time. A layer of a saved report is enough.

>>> import onnxspec.plots
>>> figure = onnxspec.plots.esd(report.layers["fc1"])      # doctest: +SKIP
>>> onnxspec.plots.save(figure, "fc1.svg")                 # doctest: +SKIP
"""

from __future__ import annotations

from onnxspec.plots.canvas import FORMATS, image, save
from onnxspec.plots.hill import hill
from onnxspec.plots.layers import drawable, esd, esd_linear, ks_curve, layer_sheet, scree
from onnxspec.plots.model import alpha_by_depth
from onnxspec.plots.series import series_scatter
from onnxspec.plots.theory import alpha_mu, heavy_tailed, mp
from onnxspec.plots.tracking import track_curves, track_scree
from onnxspec.plots.vsdl import vsdl

__all__ = [
    "FORMATS",
    "alpha_by_depth",
    "alpha_mu",
    "drawable",
    "esd",
    "esd_linear",
    "heavy_tailed",
    "hill",
    "image",
    "ks_curve",
    "layer_sheet",
    "mp",
    "save",
    "scree",
    "series_scatter",
    "track_curves",
    "track_scree",
    "vsdl",
]
