"""The report of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Literal

from onnxspec.errors import ReportError
from onnxspec.results.codec import decode, parse, to_json
from onnxspec.results.layer import Layer, Layers

__all__ = [
    "NO_WEIGHT_REASONS",
    "SCHEMA_VERSION",
    "Coverage",
    "Diagnostic",
    "ExternalFile",
    "ModelInfo",
    "Report",
    "Severity",
    "Skip",
    "Summary",
    "Tool",
    "reports_from_json",
]

SCHEMA_VERSION = "1"

Severity = Literal["info", "warning", "error"]

NO_WEIGHT_REASONS = frozenset(
    {
        "constant_of_shape",
        "excluded",
        "fixed_basis",
        "grid",
        "index_table",
        "mask",
        "not_a_weight",
        "position_table",
        "quantization_parameters",
        "selection",
        "small_constant",
        "structural",
        "unused",
        "vector",
    }
)
"""Reasons that say that something is no weight: it needs no analysis to be covered."""


@dataclass(frozen=True)
class Diagnostic:
    """A fact or caveat with a stable code.

    Attributes
    ----------
    code : str
        Stable kebab- or snake-case code.
    severity : {"info", "warning", "error"}
        How much it matters.
    message : str
        One sentence.
    subject : str or None
        Name of the tensor, node or file that it is about.
    """

    code: str
    severity: Severity
    message: str
    subject: str | None = None


@dataclass(frozen=True)
class Skip:
    """A slot that was deliberately not analysed, or whose weight failed.

    Attributes
    ----------
    slot : str
        Node path and input, as in `Layer.used_by`.
    op_type : str
        Operator, with its domain where it is not ONNX's own.
    tensor : str
        Name of the stored tensor, or of the constant.
    shape : tuple of int
        Shape of the constant.
    parameters : int
        Elements of the constant.
    reason : str
        Why, as a stable code.
    detail : str or None
        The evidence, in one sentence.
    """

    slot: str
    op_type: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    reason: str
    detail: str | None = None


@dataclass(frozen=True)
class Coverage:
    """How much of the file was looked at; ``slots = analyzed + skipped + failed``.

    `slots_small` counts the inputs of weights with fewer than 64 elements: they
    are analysed too, but are no slots.
    """

    slots: int
    slots_analyzed: int
    slots_skipped: int
    slots_failed: int
    slots_small: int
    tensors: int
    parameters_total: int
    parameters_analyzed: int
    by_reason: Mapping[str, int]
    parameters_by_reason: Mapping[str, int]
    unsupported_ops: Mapping[str, int]


@dataclass(frozen=True)
class ExternalFile:
    """A side file that holds payloads of the model."""

    location: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class ModelInfo:
    """Facts about the file."""

    path: str
    sha256: str
    bytes: int
    ir_version: int | None
    opset_import: Mapping[str, int]
    producer: str
    parameters: int
    external_files: tuple[ExternalFile, ...] = ()


@dataclass(frozen=True)
class Summary:
    """Model metrics over the layers that were analysed and are averaged."""

    layers: int
    layers_averaged: int
    layers_fitted: int
    not_averaged: tuple[str, ...]
    alpha_mean: float | None
    alpha_median: float | None
    alpha_iqr: tuple[float, float] | None
    alpha_mean_by_parameters: float | None
    alpha_weighted_mean: float | None
    alpha_hat_sum: float | None
    alpha_hat_mean: float | None
    log_norm_mean: float | None
    log_spectral_norm_mean: float | None
    log_alpha_norm_mean: float | None
    stable_rank_mean: float | None
    entropy_mean: float | None
    phases: Mapping[str, int]


@dataclass(frozen=True)
class Tool:
    """The program that made the report."""

    name: str
    version: str


@dataclass(frozen=True)
class Report:
    """All that one analysis found out about one model: frozen, picklable, plain data."""

    schema_version: str
    tool: Tool
    settings: Mapping[str, Any]
    model: ModelInfo
    coverage: Coverage
    layers: Layers
    summary: Summary
    findings: tuple[Mapping[str, Any], ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    skipped: tuple[Skip, ...] = ()

    def to_json(self) -> str:
        """Give the report as JSON text (docs/json-schema), ending in a newline."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """Read a report that `to_json` wrote.

        Raises
        ------
        ReportError
            The text is no report, is of another schema version, or has unknown keys.
        """
        return _checked(parse(text))

    def _repr_html_(self) -> str:
        """Give what a notebook shows of the report."""
        render: Callable[[Report], str] = import_module("onnxspec.report.notebook").render
        return render(self)

    def rows(self) -> list[dict[str, Any]]:
        """Give one flat dictionary a layer, with the names of the JSON report."""
        nested = {"plot", "evals"}
        return [
            {f.name: getattr(layer, f.name) for f in fields(Layer) if f.name not in nested} for layer in self.layers
        ]

    def to_frame(self) -> Any:
        """Give one row a layer as a pandas (else polars) data frame.

        Raises
        ------
        ImportError
            Neither library is installed (``pip install onnxspec[pandas]``).
        """
        rows = self.rows()
        try:
            import pandas
        except ImportError:
            try:
                import polars
            except ImportError:
                message = "to_frame needs pandas or polars: pip install 'onnxspec[pandas]' or 'onnxspec[polars]'"
                raise ImportError(message) from None
            return polars.DataFrame(rows, infer_schema_length=None)
        return pandas.DataFrame(rows)


def reports_from_json(text: str | bytes) -> list[Report]:
    """Read one report, or an array of them.

    Raises
    ------
    ReportError
        As `Report.from_json`.
    """
    data = parse(text)
    return [_checked(item) for item in data] if isinstance(data, list) else [_checked(data)]


def _checked(data: Any) -> Report:
    if not isinstance(data, dict) or "schema_version" not in data:
        raise ReportError("This JSON is no onnxspec report: it has no schema_version.")
    if data["schema_version"] != SCHEMA_VERSION:
        raise ReportError(
            f"The report has schema version {str(data['schema_version'])[:20]!r}; this onnxspec reads version "
            f"{SCHEMA_VERSION}. Make the report again with this version."
        )
    report: Report = decode(Report, data, "report")
    return report
