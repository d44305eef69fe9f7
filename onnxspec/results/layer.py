"""Results of one layer, and the layers of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, overload

__all__ = ["Layer", "Layers", "Plot", "Quantization", "Status"]

Status = Literal["ok", "skipped", "failed"]


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
    linear_max : float or None
        End of the linear histogram, which starts at 0. It is that of the matrix of the bulk fit, a convolution
        unfolded; ``None`` without a bulk.
    linear_counts : tuple of int
        Eigenvalues in each of its bins; those beyond its end are in none.
    bulk_top : tuple of float
        The 12 largest eigenvalues of that matrix, where they are not those of `top_evals`.
    """

    esd_min: float | None
    esd_max: float | None
    esd_counts: tuple[int, ...]
    top_evals: tuple[float, ...]
    ks_xmin: tuple[float, ...] = ()
    ks_D: tuple[float, ...] = ()
    ks_alpha: tuple[float, ...] = ()
    linear_max: float | None = None
    linear_counts: tuple[int, ...] = ()
    bulk_top: tuple[float, ...] = ()


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
    levels: Mapping[str, Any] | None = None
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
    estimate: Mapping[str, Any] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    evals: tuple[float, ...] | None = None
    plot: Plot | None = None


class Layers(Sequence[Layer]):
    """The layers of a report in graph order, found by position, id, name or tensor."""

    __slots__ = ("_layers",)

    ITEM: ClassVar[type[Layer]] = Layer

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
