"""Frozen results: plain data that the rest of onnxspec makes, reads and shows.

A number that does not exist is ``None`` and `Layer.reasons` says why; nothing
here is ever NaN, infinite, -1 or 0 in place of a missing number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
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
    "Skip",
    "Spectrum",
    "Summary",
    "Tool",
]

SCHEMA_VERSION = "1"

Status = Literal["ok", "skipped", "failed"]
Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of the correlation matrices ``X = W^T W / N`` of one layer.

    Attributes
    ----------
    singular_values : ndarray of float64, shape (num_matrices * M,)
        Singular values of W, descending (of all matrices together).
    evals : ndarray of float64, shape (num_matrices * M,)
        Eigenvalues of X, ``singular_values ** 2 / N``, descending.
    N, M : int
        Rows and columns of one matrix, oriented so that ``N >= M``.
    num_matrices : int
        Matrices whose eigenvalues are pooled here.
    rank : int
        Singular values above `tolerance`.
    tolerance : float
        Singular values at or below it are zero at the weights' precision.
    """

    singular_values: NDArray[np.float64]
    evals: NDArray[np.float64]
    N: int
    M: int
    num_matrices: int
    rank: int
    tolerance: float

    @property
    def Q(self) -> float:
        """Aspect ratio ``N / M``."""
        return self.N / self.M

    @property
    def positive_evals(self) -> NDArray[np.float64]:
        """Eigenvalues above the rank tolerance, descending."""
        return self.evals[: self.rank]


@dataclass(frozen=True)
class PowerLawFit:
    """Power law ``p(x) ~ x^-alpha`` for ``x >= xmin``, xmin chosen by the KS distance.

    Where no fit exists, `alpha` and all other numbers are ``None`` and `reason`
    says why.

    Attributes
    ----------
    alpha : float or None
        Exponent by maximum likelihood, ``1 + n_tail / sum log(x / xmin)``.
    alpha_stderr : float or None
        ``(alpha - 1) / sqrt(n_tail)``, valid at a fixed xmin.
    xmin, xmax : float or None
        Start of the tail, and the largest eigenvalue.
    D : float or None
        KS distance between the tail and the fitted law.
    n_tail : int or None
        Eigenvalues in the tail.
    num_evals : int
        Eigenvalues given to the fit.
    reason : str or None
        ``too_small``, ``flat_spectrum``, ``zero_matrix``, ``non_finite``, ...
    """

    alpha: float | None
    alpha_stderr: float | None
    xmin: float | None
    xmax: float | None
    D: float | None
    n_tail: int | None
    num_evals: int
    reason: str | None = None


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
class Quantization:
    """How the weight of one layer is stored in few bits.

    Attributes
    ----------
    scheme : str
        ``DequantizeLinear``, ``MatMulInteger``, ``MatMulNBits``, ...
    bits : int
        Bits of one code.
    granularity : {"tensor", "channel", "block"}
        What shares one scale.
    block : int or None
        Elements that share one scale, where `granularity` is ``block``.
    clipped : int or None
        Codes at the two ends of their range.
    unused : int or None
        Codes of the range that no element uses.
    step : float or None
        Largest scale: the largest distance between neighbouring values.
    noise_floor : float or None
        Standard deviation of the rounding error, ``sqrt(mean(scale^2) / 12)``.
    """

    scheme: str
    bits: int
    granularity: str
    block: int | None = None
    clipped: int | None = None
    unused: int | None = None
    step: float | None = None
    noise_floor: float | None = None


@dataclass(frozen=True)
class Plot:
    """What the plots of one layer need, in 2 kB at most.

    Attributes
    ----------
    esd_min, esd_max : float or None
        Ends of the histogram of ``log10(evals)``.
    esd_counts : tuple of int
        Eigenvalues in each of its bins.
    top_evals : tuple of float
        The 32 largest eigenvalues.
    ks_xmin, ks_D, ks_alpha : tuple of float
        The KS distance and alpha over candidates for xmin, thinned.
    """

    esd_min: float | None
    esd_max: float | None
    esd_counts: tuple[int, ...]
    top_evals: tuple[float, ...]
    ks_xmin: tuple[float, ...] = ()
    ks_D: tuple[float, ...] = ()
    ks_alpha: tuple[float, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One distinct weight tensor with its role, and everything measured on it.

    Names are the ones of docs/metrics.md, which gives a formula for each.
    """

    id: str
    name: str
    op_type: str
    role: str
    tensor: str
    used_by: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    content_hash: str | None = None
    value_hash: str | None = None
    quantization: Quantization | None = None
    chain: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    place: str = "main"
    depth: int | None = None
    batch_norm: bool | None = None
    averaged: bool = False
    N: int | None = None
    M: int | None = None
    Q: float | None = None
    num_matrices: int | None = None
    num_evals: int | None = None
    denormals: int | None = None
    status: Status = "ok"
    reason: str | None = None
    alpha: float | None = None
    alpha_stderr: float | None = None
    alpha_ci: tuple[float, float] | None = None
    xmin: float | None = None
    xmax: float | None = None
    D: float | None = None
    n_tail: int | None = None
    alpha_unbiased: float | None = None
    alpha_exact_ci: tuple[float, float] | None = None
    alpha_profile: Mapping[str, Any] | None = None
    alpha_hill: float | None = None
    alpha_hill_excess: float | None = None
    gof_p: float | None = None
    power_law: Mapping[str, Any] | None = None
    best_fit: str | None = None
    cross_check: Mapping[str, Any] | None = None
    alternatives: Mapping[str, Any] | None = None
    sv_max: float | None = None
    sv_min: float | None = None
    lambda_max: float | None = None
    norm: float | None = None
    spectral_norm: float | None = None
    log_norm: float | None = None
    log_spectral_norm: float | None = None
    log_alpha_norm: float | None = None
    alpha_weighted: float | None = None
    alpha_hat: float | None = None
    alpha_hat_slices_sum: float | None = None
    stable_rank: float | None = None
    stable_rank_ratio: float | None = None
    log_stable_rank: float | None = None
    entropy: float | None = None
    entropy_deficit: float | None = None
    trace: float | None = None
    log_det: float | None = None
    rank: int | None = None
    rank_loss: int | None = None
    mp: Mapping[str, Any] | None = None
    spikes: int | None = None
    trained: Mapping[str, Any] | None = None
    phase: str | None = None
    phase_evidence: Mapping[str, Any] | None = None
    health: Mapping[str, Any] | None = None
    erg: Mapping[str, Any] | None = None
    traps: Mapping[str, Any] | None = None
    localisation: Mapping[str, Any] | None = None
    slices: tuple[Mapping[str, Any], ...] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    evals: tuple[float, ...] | None = None
    plot: Plot | None = None


class Layers(Sequence[Layer]):
    """The layers of a report in graph order, found by position, id, name or tensor."""

    __slots__ = ("_layers",)

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        self._layers = tuple(layers)

    @overload
    def __getitem__(self, key: int | str) -> Layer: ...
    @overload
    def __getitem__(self, key: slice) -> Layers: ...
    def __getitem__(self, key: int | str | slice) -> Layer | Layers:
        if isinstance(key, str):
            for attribute in ("id", "name", "tensor"):
                for layer in self._layers:
                    if getattr(layer, attribute) == key:
                        return layer
            raise KeyError(key)
        if isinstance(key, slice):
            return Layers(self._layers[key])
        return self._layers[key]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layers) and self._layers == other._layers

    def __hash__(self) -> int:
        return hash(tuple(layer.id for layer in self._layers))

    def __repr__(self) -> str:
        return f"Layers({[layer.name for layer in self._layers]!r})"


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
        from onnxspec._codec import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """Read a report that `to_json` wrote.

        Raises
        ------
        ReportError
            The text is no report, is of another schema version, or has unknown keys.
        """
        from onnxspec._codec import report_from_json

        return report_from_json(text)

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
