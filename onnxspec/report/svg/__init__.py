"""Charts of the HTML report: pure functions from frozen results to SVG text.

Every coordinate is an integer, so that a chart of one layer stays near one kilobyte; colours and fonts come from
the page's style sheet. Names from a model reach a chart only through `canvas.text` and `canvas.svg`, which escape them.
"""

from __future__ import annotations

from onnxspec.report.svg.depth import alpha_by_depth
from onnxspec.report.svg.distribution import distribution
from onnxspec.report.svg.esd import esd
from onnxspec.report.svg.linear import esd_linear
from onnxspec.report.svg.scree import scree
from onnxspec.report.svg.signs import key, symbols
from onnxspec.report.svg.spark import sparkline

__all__ = ["alpha_by_depth", "distribution", "esd", "esd_linear", "key", "scree", "sparkline", "symbols"]
