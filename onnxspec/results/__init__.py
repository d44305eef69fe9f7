"""Frozen results: plain data that the rest of onnxspec makes, reads and shows.

A number that does not exist is ``None`` and `Layer.reasons` says why; nothing
here is ever NaN, infinite, -1 or 0 in place of a missing number.
"""

from __future__ import annotations

from onnxspec.results.layer import Layer, Layers, Plot, Quantization, Status
from onnxspec.results.report import (
    NO_WEIGHT_REASONS,
    SCHEMA_VERSION,
    Coverage,
    Diagnostic,
    ExternalFile,
    ModelInfo,
    Report,
    Severity,
    Skip,
    Summary,
    Tool,
    reports_from_json,
)
from onnxspec.results.spectrum import PowerLawFit, Spectrum

__all__ = [
    "NO_WEIGHT_REASONS",
    "SCHEMA_VERSION",
    "Coverage",
    "Diagnostic",
    "ExternalFile",
    "Layer",
    "Layers",
    "ModelInfo",
    "Plot",
    "PowerLawFit",
    "Quantization",
    "Report",
    "Severity",
    "Skip",
    "Spectrum",
    "Status",
    "Summary",
    "Tool",
    "reports_from_json",
]
