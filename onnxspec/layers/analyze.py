"""From one weight matrix to its layer of the report: the whole numerical job of one layer."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.diagnosis.levels import value_levels
from onnxspec.errors import TensorError
from onnxspec.fits.power_law import curve, fit_power_law
from onnxspec.graph import layouts
from onnxspec.graph.values import STACK_ELEMENTS
from onnxspec.layers.blank import blank_layer, without_numbers
from onnxspec.layers.estimated import estimated_layer, is_estimated
from onnxspec.layers.value_facts import ValueFacts, facts_of
from onnxspec.layers.verdict_fields import MATRIX, TAIL, Verdicts, nothing
from onnxspec.results import Layer, Plot, PowerLawFit, Spectrum
from onnxspec.spectra.eigen import spectrum
from onnxspec.spectra.metrics import metrics
from onnxspec.spectra.slabs import Mapper, Slabs, Stack, one_by_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnxspec.graph import WeightMatrix
    from onnxspec.graph.values import Values
    from onnxspec.settings import Settings

    Array = NDArray[np.float64]

__all__ = ["analyze_layer"]

TOP_EVALS = 32
ESD_BINS = 48
CURVE_POINTS = 32
LINEAR_BINS, LINEAR_REACH, BULK_TOP = 40, 4.0, 12


def analyze_layer(weight: WeightMatrix, settings: Settings, mapper: Mapper = one_by_one) -> Layer:
    """Compute everything about one layer; what cannot be computed is null with its reason.

    Parameters
    ----------
    weight : WeightMatrix
        The weight; its values are read here.
    settings : Settings
        What to compute, and how.
    mapper : Mapper
        Computes the parts of a large layer; changes no bit.

    Returns
    -------
    Layer
        With status ``failed`` where the values cannot be read or are not finite.
    """
    try:
        values, quantization = weight.read()
        content_hash = weight.content_hash()
        facts = facts_of(values)
    except TensorError as error:
        return without_numbers(weight, "failed", error.code, error.message)
    if facts.not_finite:
        size = math.prod(values.shape)
        failed = without_numbers(
            weight, "failed", "non_finite", f"{facts.not_finite} of {size} values are NaN or infinite"
        )
        return replace(failed, content_hash=content_hash, quantization=quantization)
    layer = replace(
        blank_layer(weight),
        content_hash=content_hash,
        value_hash=facts.value_hash,
        quantization=quantization,
    )
    try:
        return _measure(layer, values, facts, weight.dtype, settings, mapper)
    except np.linalg.LinAlgError as error:
        return replace(layer, status="failed", reason="numerical_failure", warnings=(str(error),))
    except TensorError as error:
        return replace(layer, status="failed", reason=error.code, warnings=(error.message,))
    except MemoryError:
        detail = "the memory did not suffice for its spectrum"
        return replace(layer, status="failed", reason="out_of_memory", warnings=(detail,))


def _measure(layer: Layer, values: Values, facts: ValueFacts, dtype: str, settings: Settings, mapper: Mapper) -> Layer:
    """Compute spectrum, metrics and fit of finite values."""
    if is_estimated(values.shape, settings) and facts.largest > 0.0:
        found = estimated_layer(layer, values, facts)
        levels = _levels(layer, values)
        return replace(found, **levels.values, reasons=dict(sorted({**found.reasons, **levels.reasons}.items())))
    matrices = _matrices(values, unfold=settings.conv == "unfold")
    floor = layer.quantization.noise_floor if layer.quantization is not None else None
    pooled = spectrum(
        matrices,
        dtype=dtype,
        noise_floor=floor,
        exact=settings.exact,
        largest=facts.largest,
        mapper=mapper,
    )
    if layer.role == "depthwise_conv":
        fit = _no_fit(pooled, "depthwise")
    elif (beyond := _out_of_range(pooled)) is not None:
        fit = _no_fit(pooled, beyond)
    elif _flat(pooled):
        fit = _no_fit(pooled, "flat_spectrum")
    else:
        fit = fit_power_law(
            pooled.positive_evals, ks=settings.ks, min_tail=settings.min_tail, min_evals=settings.min_evals
        )
    slices = None
    outside = fit.reason in ("depthwise", "overflow", "underflow")
    if settings.conv == "slices" and pooled.num_matrices > 1 and not outside:
        slices, fit = _slices(matrices, dtype, settings)
    reason = _reason(pooled, fit)
    if reason != fit.reason:
        fit = _no_fit(pooled, reason)
    numbers, reasons = metrics(pooled, alpha=fit.alpha)
    if slices is not None:
        numbers |= _over_slices(slices)
    for name in ("alpha", "alpha_stderr", "xmin", "xmax", "D", "n_tail"):
        if getattr(fit, name) is None:
            reasons[name] = fit.reason or "slices"
    if (beyond := _out_of_range(pooled)) is None:
        verdicts = _verdicts(layer, values, pooled, fit, dtype, settings, mapper)
    else:
        verdicts = nothing((*TAIL, *MATRIX, "cross_check", "health"), beyond)
    verdicts.merge(_levels(layer, values))
    reasons |= verdicts.reasons
    measured: dict[str, Any] = {**numbers, **verdicts.values}
    return replace(
        layer,
        **measured,
        N=pooled.N,
        M=pooled.M,
        Q=pooled.Q,
        num_matrices=pooled.num_matrices,
        num_evals=pooled.evals.size,
        denormals=facts.denormals,
        reason=fit.reason,
        alpha=fit.alpha,
        alpha_stderr=fit.alpha_stderr,
        xmin=fit.xmin,
        xmax=fit.xmax,
        D=fit.D,
        n_tail=fit.n_tail,
        slices=slices,
        reasons=dict(sorted(reasons.items())),
        evals=tuple(pooled.evals.tolist()) if settings.spectra and np.isfinite(pooled.evals).all() else None,
        plot=_with_bulk(_plot(pooled, fit, settings), pooled, verdicts),
    )


def _verdicts(
    layer: Layer, values: Values, pooled: Spectrum, fit: PowerLawFit, dtype: str, settings: Settings, mapper: Mapper
) -> Verdicts:
    """Add what the chosen effort says about the tail and about the layer as one matrix."""
    sliced = fit.alpha is not None and fit.xmin is None
    if settings.effort == "fast" and not settings.cross_check:
        out = nothing(TAIL, "slices" if sliced else fit.reason or "effort").merge(nothing(MATRIX, "effort"))
        return out.merge(nothing(("cross_check",), "not_asked")).merge(nothing(("health",), "effort"))
    # what computes verdicts takes half a second to load
    from onnxspec.layers.verdicts import of_health, of_matrix, of_tail

    if layer.value_hash is None:
        raise ValueError("the seed comes from the values' hash")
    seed = int(layer.value_hash.rpartition(":")[2][:16], 16)
    out = nothing(TAIL, "slices") if sliced else of_tail(pooled.positive_evals, fit, pooled.Q, settings, seed)
    if settings.effort == "fast":
        return out.merge(nothing(MATRIX, "effort")).merge(nothing(("health",), "effort"))
    if layer.role == "depthwise_conv":
        out.merge(nothing(MATRIX, "depthwise"))
    elif values.shape[0] > 1:
        out.merge(nothing(MATRIX, "several_matrices"))
    else:
        known = pooled if settings.conv == "unfold" or values.shape[3] == 1 else None
        floor = layer.quantization.noise_floor if layer.quantization is not None else None
        matrix = (
            Slabs(values.matrix(), mapper=mapper)
            if values.large
            else layouts.matrices(values.canonical(), unfold=True)[0].astype(np.float64, order="C")
        )
        out.merge(of_matrix(matrix, known, settings, seed, dtype=dtype, noise_floor=floor))
    return out.merge(of_health(out.values, fit))


def _levels(layer: Layer, values: Values) -> Verdicts:
    """Say whether a weight that is stored as floats lies on few levels."""
    if layer.quantization is not None:
        return nothing(("levels",), "quantized")
    out = Verdicts()
    found = value_levels(values.sample() if values.large else values.canonical())
    out.put("levels", found if found.count is not None else None, found.reason)
    return out


def _out_of_range(pooled: Spectrum) -> str | None:
    """Say whether float64 cannot hold the eigenvalues of these weights: their squares are too large or too small."""
    if not math.isfinite(float(pooled.evals[0])):
        return "overflow"
    return "underflow" if pooled.rank and pooled.evals[pooled.rank - 1] < np.finfo(np.float64).tiny else None


def _flat(pooled: Spectrum) -> bool:
    """Say whether the singular values differ by no more than the rounding of the stored weights can make them."""
    if pooled.rank < 2:
        return False
    singular = np.sqrt(pooled.evals[[0, pooled.rank - 1]] * pooled.N)
    return bool(singular[0] - singular[1] <= 2 * pooled.tolerance)


def _no_fit(pooled: Spectrum, reason: str | None) -> PowerLawFit:
    return PowerLawFit(None, None, None, None, None, None, pooled.rank, reason)


def _reason(pooled: Spectrum, fit: PowerLawFit) -> str | None:
    """Say why there is no fit: what the matrix is comes before what the fit says."""
    if pooled.rank == 0:
        return "zero_matrix"
    if pooled.rank == 1 and pooled.evals.size > 1:
        return "rank_one"
    return fit.reason


def _matrices(values: Values, *, unfold: bool) -> Array | Slabs | Stack:
    """Give the matrices whose eigenvalues are pooled, in parts where that is how they are worked through."""
    _, outputs, inputs, positions = values.shape
    if values.large and (unfold or positions == 1):
        return Slabs(values.matrix())
    if values.array is None:
        dtype = values.matrix().dtype
        together = max(1, STACK_ELEMENTS // (outputs * inputs))
        return Stack((positions, outputs, inputs), dtype, values.positions, together)
    return layouts.matrices(values.array, unfold=unfold)


def _slices(
    matrices: Array | Slabs | Stack, dtype: str, settings: Settings
) -> tuple[tuple[dict[str, Any], ...], PowerLawFit]:
    """Fit each kernel position by itself (seed 002); the layer's alpha is the mean over them."""
    rows: list[dict[str, Any]] = []
    fits: list[PowerLawFit] = []
    for matrix in chain.from_iterable(matrices) if isinstance(matrices, Stack) else matrices:
        one = spectrum(matrix, dtype=dtype, exact=settings.exact)
        fit = fit_power_law(
            one.positive_evals, ks=settings.ks, min_tail=settings.min_tail, min_evals=settings.min_evals
        )
        reason = _reason(one, fit)
        fit = fit if reason == fit.reason else _no_fit(one, reason)
        numbers, _ = metrics(one, alpha=fit.alpha)
        rows.append(
            {"alpha": fit.alpha, "D": fit.D, "xmin": fit.xmin, "n_tail": fit.n_tail, "reason": fit.reason}
            | {name: numbers[name] for name in SLICE_METRICS if name in numbers}
        )
        fits.append(fit)
    fitted = [fit for fit in fits if fit.alpha is not None]
    if not fitted:
        return tuple(rows), _no_fit(one, fits[0].reason)
    alpha = float(np.mean([fit.alpha for fit in fitted]))
    return tuple(rows), PowerLawFit(alpha, None, None, None, None, None, sum(f.num_evals for f in fits))


SLICE_METRICS = ("lambda_max", "norm", "spectral_norm", "alpha_hat", "alpha_weighted", "log_alpha_norm", "stable_rank")


def _over_slices(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Average over the slices that were fitted; seed 002's eqn 3 sums alpha-hat over them instead."""
    result: dict[str, float | None] = {}
    for name in ("alpha_hat", "alpha_weighted", "log_alpha_norm"):
        found = [row[name] for row in rows if row.get(name) is not None]
        result[name] = float(np.mean(found)) if found else None
        if name == "alpha_hat":
            result["alpha_hat_slices_sum"] = float(np.sum(found)) if found else None
    return result


def _plot(pooled: Spectrum, fit: PowerLawFit, settings: Settings) -> Plot:
    """Summarise the spectrum for plots, in six digits and at most 2 kB."""
    evals = pooled.positive_evals
    if not evals.size or _out_of_range(pooled) is not None:
        return Plot(None, None, (), ())
    logs = np.log10(evals)
    low, high = _round(float(logs[-1])), _round(float(logs[0]))
    counts, _ = np.histogram(np.clip(logs, low, high), bins=ESD_BINS, range=(low, high if high > low else low + 1.0))
    shown: tuple[tuple[float, ...], ...] = ((), (), ())
    if fit.alpha is not None and fit.xmin is not None:
        xmin, alpha, distance = curve(evals, CURVE_POINTS, ks=settings.ks)
        shown = tuple(tuple(_round(float(v)) for v in values) for values in (xmin, distance, alpha))
    return Plot(
        low,
        high,
        tuple(counts.tolist()),
        tuple(_round(float(v)) for v in evals[:TOP_EVALS]),
        ks_xmin=shown[0],
        ks_D=shown[1],
        ks_alpha=shown[2],
    )


def _with_bulk(plot: Plot, pooled: Spectrum, verdicts: Verdicts) -> Plot:
    """Add the linear histogram of the matrix of the bulk fit, up to a few times the bulk's edge."""
    own, mp = verdicts.own, verdicts.values.get("mp")
    edge = mp.get("spike_edge") if mp is not None else None
    if own is None or not edge or not own.rank or plot.esd_max is None:
        return plot
    evals = own.positive_evals
    end = _round(min(1.05 * float(evals[0]), LINEAR_REACH * float(edge)))
    counts, _ = np.histogram(evals, bins=LINEAR_BINS, range=(0.0, end))
    top = () if own is pooled else tuple(_round(float(v)) for v in evals[:BULK_TOP])
    return replace(plot, linear_max=end, linear_counts=tuple(counts.tolist()), bulk_top=top)


def _round(value: float) -> float:
    return float(f"{value:.6g}")
