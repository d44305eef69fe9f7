"""A layer whose norms and largest eigenvalues are estimated from products with its matrix."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.layers.verdict_fields import MATRIX, TAIL, nothing
from onnxspec.results import Layer, Plot
from onnxspec.results.codec import encode
from onnxspec.spectra.metrics import METRICS, norm_metrics
from onnxspec.spectra.slabs import Slabs
from onnxspec.spectra.stochastic import estimate_spectrum

if TYPE_CHECKING:
    from onnxspec.graph.values import Values
    from onnxspec.layers.value_facts import ValueFacts
    from onnxspec.settings import Settings

__all__ = ["estimated_layer", "is_estimated"]

FIT = ("alpha", "alpha_stderr", "xmin", "xmax", "D", "n_tail")


def is_estimated(shape: tuple[int, int, int, int], settings: Settings) -> bool:
    """Say whether a weight of a canonical shape is one matrix above the side that the settings name.

    Parameters
    ----------
    shape : tuple of int
        Groups, outputs, inputs, positions.
    settings : Settings
        Its `stochastic_above` counts.
    """
    groups, outputs, inputs, positions = shape
    limit = settings.stochastic_above
    return limit is not None and groups == positions == 1 and min(outputs, inputs) > limit


def estimated_layer(layer: Layer, values: Values, facts: ValueFacts) -> Layer:
    """Estimate what products with the matrix tell; all else is null with the reason ``stochastic``.

    Parameters
    ----------
    layer : Layer
        What is known without its numbers.
    values : Values
        One matrix, finite and not all zero; read once for each product.
    facts : ValueFacts
        Its largest value counts.

    Returns
    -------
    Layer
        With `estimate`; it enters no average, for the reason ``stochastic``.

    Raises
    ------
    TensorError
        The payload cannot be read.
    numpy.linalg.LinAlgError
        LAPACK found no solution.
    """
    slabs = Slabs(values.matrix())
    exponent = math.frexp(facts.largest)[1]
    found = estimate_spectrum(slabs, exponent)
    sv_max = float(np.ldexp(math.sqrt(found.evals[0] * slabs.N), exponent))
    stable_rank = found.trace / found.evals[0]
    numbers, reasons = norm_metrics(sv_max, stable_rank, slabs.N, slabs.M)
    missing = nothing((*FIT, *(name for name in METRICS if name not in numbers), *TAIL, *MATRIX), "stochastic")
    missing.merge(nothing(("cross_check", "health"), "stochastic"))
    with np.errstate(over="ignore", under="ignore"):
        scaled = found.scaled(float(np.ldexp(1.0, 2 * exponent)))
    reasons |= missing.reasons
    if layer.averaged:
        reasons["averaged"] = "stochastic"
    fitting = math.isfinite(scaled.evals[0]) and scaled.evals[0] > 0.0
    if not fitting:
        reasons["estimate"] = "overflow" if scaled.evals[0] > 0.0 else "underflow"
    measured: dict[str, Any] = {**numbers, **missing.values}
    return replace(
        layer,
        **measured,
        N=slabs.N,
        M=slabs.M,
        Q=slabs.N / slabs.M,
        num_matrices=1,
        num_evals=slabs.M,
        denormals=facts.denormals,
        averaged=False,
        reason="stochastic",
        reasons=dict(sorted(reasons.items())),
        estimate=encode(scaled) if fitting else None,
        plot=Plot(None, None, (), ()),
    )
