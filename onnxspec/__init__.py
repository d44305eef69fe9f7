"""onnxspec: how well each layer of an ONNX model was trained, from its weights alone.

>>> import onnxspec
>>> report = onnxspec.analyze("model.onnx")             # doctest: +SKIP
>>> report.layers["encoder.layer.0.attention.self.query"].alpha  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxspec.engine import Job, analyze, inspect, iter_weights
    from onnxspec.engine.compare import compare
    from onnxspec.errors import (
        InputError,
        LimitError,
        MalformedModelError,
        NotAModelError,
        OnnxspecError,
        ReportError,
        UsageError,
    )
    from onnxspec.fits.power_law import fit_power_law
    from onnxspec.graph import WeightMatrix
    from onnxspec.limits import Limits
    from onnxspec.policy import check, load_policy
    from onnxspec.results import Coverage, Layer, PowerLawFit, Report, Spectrum
    from onnxspec.results.comparison import Comparison
    from onnxspec.settings import Settings
    from onnxspec.spectra.eigen import spectrum
    from onnxspec.studies import series, track

__version__ = "0.1.0"

_HOME = {
    "Comparison": "results.comparison",
    "Coverage": "results",
    "InputError": "errors",
    "Job": "engine",
    "Layer": "results",
    "LimitError": "errors",
    "Limits": "limits",
    "MalformedModelError": "errors",
    "NotAModelError": "errors",
    "OnnxspecError": "errors",
    "PowerLawFit": "results",
    "Report": "results",
    "ReportError": "errors",
    "Settings": "settings",
    "Spectrum": "results",
    "UsageError": "errors",
    "WeightMatrix": "graph",
    "analyze": "engine",
    "analyze_many": "engine.fleet",
    "check": "policy",
    "compare": "engine.compare",
    "fit_power_law": "fits.power_law",
    "inspect": "engine",
    "iter_weights": "engine",
    "load_policy": "policy",
    "series": "studies",
    "spectrum": "spectra.eigen",
    "track": "studies",
}

__all__ = [
    "Comparison",
    "Coverage",
    "InputError",
    "Job",
    "Layer",
    "LimitError",
    "Limits",
    "MalformedModelError",
    "NotAModelError",
    "OnnxspecError",
    "PowerLawFit",
    "Report",
    "ReportError",
    "Settings",
    "Spectrum",
    "UsageError",
    "WeightMatrix",
    "__version__",
    "analyze",
    "analyze_many",
    "check",
    "compare",
    "fit_power_law",
    "inspect",
    "iter_weights",
    "load_policy",
    "series",
    "spectrum",
    "track",
]


def __getattr__(name: str) -> Any:
    """Import a public name where it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'onnxspec' has no attribute {name!r}")
    value = getattr(import_module(f"onnxspec.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
