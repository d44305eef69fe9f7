"""The capacity metrics of one model: those of its report's summary, and those that only a series needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log10
from statistics import fmean
from typing import Any, NamedTuple

from onnxspec.comparing.series.correlations import LARGEST
from onnxspec.results import Layer, Report

__all__ = ["CAPACITY", "EXPECTED", "Metric", "capacity", "expected_sign"]

SMALLER = -1


class Metric(NamedTuple):
    """A metric of a model, and what the theory says of it."""

    name: str
    expected_sign: int | None
    """-1: a smaller value is said to go with a better accuracy (seed 002; Nature Communications 12, 4122)."""


CAPACITY = (
    Metric("alpha_hat_sum", SMALLER),
    Metric("alpha_hat_mean", SMALLER),
    Metric("alpha_hat_slices_sum", SMALLER),
    Metric("alpha_weighted_mean", SMALLER),
    Metric("log_alpha_norm_mean", SMALLER),
    Metric("log_norm_mean", SMALLER),
    Metric("log_norm_sum", SMALLER),
    Metric("log_spectral_norm_mean", SMALLER),
    Metric("log_spectral_norm_sum", SMALLER),
    Metric("log_stable_rank_mean", None),
    Metric("alpha_mean", SMALLER),
    Metric("alpha_median", SMALLER),
    Metric("alpha_mean_by_parameters", SMALLER),
    Metric("stable_rank_mean", None),
    Metric("stable_rank_ratio_mean", None),
    Metric("entropy_mean", None),
    Metric("entropy_deficit_mean", None),
    Metric("mp_softrank_mean", None),
    Metric("spikes_mean", None),
    Metric("layers_averaged", None),
    Metric("log_parameters", None),
)
"""In the order of the output. The last two look at no value of a weight: what they rank, size alone ranks."""

EXPECTED = {metric.name: metric.expected_sign for metric in CAPACITY} | {
    # the names of the published tables
    "alpha": SMALLER,
    "alpha_hat": SMALLER,
    "alpha_weighted": SMALLER,
    "log_alpha_norm": SMALLER,
    "log_norm": SMALLER,
    "log_spectral_norm": SMALLER,
}

_SUMMARY = (
    "alpha_hat_sum",
    "alpha_hat_mean",
    "alpha_weighted_mean",
    "log_alpha_norm_mean",
    "log_norm_mean",
    "log_spectral_norm_mean",
    "alpha_mean",
    "alpha_median",
    "alpha_mean_by_parameters",
    "stable_rank_mean",
    "entropy_mean",
)
_SUMS = {"log_norm_sum": "log_norm", "log_spectral_norm_sum": "log_spectral_norm"}
_MEANS = {
    "log_stable_rank_mean": "log_stable_rank",
    "stable_rank_ratio_mean": "stable_rank_ratio",
    "entropy_deficit_mean": "entropy_deficit",
}


def expected_sign(metric: str) -> int | None:
    """Give the sign of the correlation with accuracy that the theory claims, ``None`` where it claims none."""
    return EXPECTED.get(metric)


def capacity(report: Report, sliced: Report | None = None) -> tuple[dict[str, float], dict[str, str]]:
    """Give every capacity metric of a model, and the reasons of those that do not exist.

    Parameters
    ----------
    report : Report
        From an analysis or a file.
    sliced : Report, optional
        The same model with ``conv = "slices"``, for `alpha_hat_slices_sum` alone.

    Returns
    -------
    metrics : dict of str to float
        By the names of `CAPACITY`.
    reasons : dict of str to str
        For the others.
    """
    layers = [layer for layer in report.layers if layer.status == "ok" and layer.averaged]
    found: dict[str, float | None] = {name: getattr(report.summary, name) for name in _SUMMARY}
    found |= {name: _over(layers, field, sum) for name, field in _SUMS.items()}
    found |= {name: _over(layers, field, fmean) for name, field in _MEANS.items()}
    softranks = [_number((layer.mp or {}).get("mp_softrank")) for layer in layers]
    found["mp_softrank_mean"] = _mean(softranks)
    found["spikes_mean"] = _over(layers, "spikes", fmean)
    found["alpha_hat_slices_sum"] = _sliced_sum(sliced or report)
    found["layers_averaged"] = _number(report.summary.layers_averaged)
    found["log_parameters"] = log10(report.model.parameters) if report.model.parameters > 0 else None
    metrics = {name: value for name, value in found.items() if value is not None and abs(value) <= LARGEST}
    reasons = {name: _why(name, report, layers, sliced) for name in found if name not in metrics}
    return metrics, reasons


def _over(layers: list[Layer], field: str, combine: Callable[[list[float]], float]) -> float | None:
    """Combine one field over the layers that have it."""
    values = [value for layer in layers if (value := _number(getattr(layer, field))) is not None]
    return combine(values) if values else None


def _mean(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def _number(value: Any) -> float | None:
    """Take a number of a saved report, which may be anything."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST
    return float(value) if usable else None


def _sliced_sum(report: Report) -> float | None:
    """Sum alpha log10 lambda_max over all matrices: the kernel positions of convolutions, and the others."""
    values = []
    for layer in report.layers:
        if layer.status != "ok" or not layer.averaged:
            continue
        single = (layer.num_matrices or 1) == 1
        value = _number(layer.alpha_hat if single else layer.alpha_hat_slices_sum)
        if value is not None:
            values.append(value)
    if not values or (_several(report) and _conv(report.settings) != "slices"):
        return None
    return sum(values)


def _several(report: Report) -> bool:
    return any(layer.averaged and (layer.num_matrices or 1) > 1 for layer in report.layers)


def _conv(settings: Mapping[str, Any]) -> Any:
    return settings.get("conv")


def _why(name: str, report: Report, layers: list[Layer], sliced: Report | None) -> str:
    """Say why a metric does not exist."""
    reason = "no_layer_has_it"
    if not layers:
        reason = "no_layers"
    elif name in ("mp_softrank_mean", "spikes_mean") and report.settings.get("effort") == "fast":
        reason = "effort"
    elif name == "alpha_hat_slices_sum" and _several(report) and _conv((sliced or report).settings) != "slices":
        reason = "not_sliced"
    return reason
