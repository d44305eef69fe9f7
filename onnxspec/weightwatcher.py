"""The details row of WeightWatcher 0.7.7 for one weight tensor, with all its conventions.

Everything that differs from the rest of onnxspec stands here and nowhere else;
docs/weightwatcher.md compares the two. Eigenvalues are squared singular values of
the unnormalised W (no ``1/N``), and those of a convolution are halved.
"""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING, Literal

import numpy as np

from onnxspec.fits.power_law import fit_power_law
from onnxspec.spectra.eigen import spectrum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["COLUMNS", "Cell", "Kind", "details", "to_csv"]

Kind = Literal["dense", "conv", "embedding"]
Cell = float | int | str | bool | None

COLUMNS: tuple[str, ...] = (
    "layer_id", "name", "D", "M", "N", "Q", "alpha", "alpha_weighted", "entropy", "has_esd", "lambda_max",
    "layer_type", "log_alpha_norm", "log_norm", "log_spectral_norm", "longname", "matrix_rank", "norm", "num_evals",
    "num_pl_spikes", "rank_loss", "rf", "sigma", "spectral_norm", "stable_rank", "status", "sv_max", "sv_min",
    "warning", "weak_rank_loss", "xmax", "xmin",
)  # fmt: skip

CONV_FACTOR = 0.5  # on the eigenvalues of every convolution, whatever its kernel
FIT_CUT = 1e-5  # absolute: eigenvalues at or below it are kept out of the fit
FIT_MIN_EVALS = 20  # below, WeightWatcher changes to another estimator, which is not copied
WEAK_RANK_CUT = 1e-6  # absolute: eigenvalues below it count as weak_rank_loss
ENTROPY_EPSILON = 1e-10  # added to every p_i and to the rank
GRAM_FLOOR = 1e-5  # of the largest; down to it, singular values from the Gram matrix are within 2e-5
OVER_TRAINED = 2.0
UNDER_TRAINED = 6.0

_FORMULA_START = ("=", "+", "-", "@")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")


def details(array: ArrayLike, *, kind: Kind) -> dict[str, Cell]:
    """Compute WeightWatcher's details of one weight tensor.

    Parameters
    ----------
    array : array_like
        The whole weight, any real dtype. ``conv``: shape ``(a, b, k1, ..., kd)`` as
        ONNX stores it, transposed convolutions included. ``dense`` and
        ``embedding``: shape ``(..., a, b)``; the matrices of a stack are pooled.
    kind : {"dense", "conv", "embedding"}
        How the axes are read.

    Returns
    -------
    dict
        The keys of `COLUMNS` without ``layer_id``, ``name`` and ``longname``, which
        are the caller's. A missing number is ``None``. Without a fit ``status`` is
        ``failed`` and ``warning`` is the reason: ``too_small`` (fewer than 20
        eigenvalues above 1e-5), ``zero_matrix``, ``rank_one``, ``flat_spectrum`` or
        ``non_finite`` (then the norms are missing too).

    Raises
    ------
    ValueError
        `array` has fewer than two axes, or no elements.
    numpy.linalg.LinAlgError
        The singular values did not converge.

    Notes
    -----
    N and M are the ones that WeightWatcher prints, which for some convolutions are
    swapped. Beyond what it covers (it takes ONNX tensors of two and four axes only),
    its rule for four axes is applied to convolutions of any dimension.
    """
    tensor = np.asarray(array, dtype=np.float64)
    if tensor.ndim < 2 or tensor.size == 0:
        raise ValueError(f"a weight of shape {tensor.shape} is no matrix")
    matrices = _matrices(tensor, kind)
    N, M = _shape_as_printed(tensor.shape, kind)
    row: dict[str, Cell] = dict.fromkeys(name for name in COLUMNS if name not in {"layer_id", "name", "longname"})
    row |= {"N": N, "M": M, "Q": N / M, "rf": matrices.shape[0] if kind == "conv" else 1}
    row |= {"layer_type": f"conv{tensor.ndim - 2}d" if kind == "conv" else kind, "has_esd": False}
    no_numbers: dict[str, Cell] = {"status": "failed", "warning": "non_finite"}
    if not np.isfinite(matrices).all():
        return row | no_numbers
    singular_values = np.array([_singular_values(matrix) for matrix in matrices])
    if kind == "conv":
        singular_values *= math.sqrt(CONV_FACTOR)
    with np.errstate(over="ignore", under="ignore"):
        evals = np.sort(singular_values.ravel() ** 2)
        if not np.isfinite(np.sum(evals)):
            return row | no_numbers
    rank = evals.size - _rank_loss(np.sqrt(evals)[None, :], N)
    return row | _singular_value_columns(singular_values, N) | _norm_columns(evals, rank) | _fit_columns(evals, rank)


def to_csv(rows: Iterable[Mapping[str, Cell]]) -> str:
    """Write details as CSV text with the columns and names of WeightWatcher.

    Parameters
    ----------
    rows : iterable of mapping
        What `details` gave, with ``layer_id``, ``name`` and ``longname`` added.

    Returns
    -------
    str
        A header and one line a row, each ended by a newline. A missing number is an
        empty cell; numbers have all the digits that give them back exactly. Control
        and direction characters in texts are shown as escapes, and a text that a
        spreadsheet would take for a formula gets a leading apostrophe.

    Raises
    ------
    KeyError
        A row lacks a column.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[column]) for column in COLUMNS] for row in rows)
    return out.getvalue()


def _matrices(tensor: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    """Give the matrices whose eigenvalues are pooled: shape (matrices, a, b)."""
    if kind == "conv":
        tensor = np.moveaxis(tensor, (0, 1), (-2, -1))
    return np.ascontiguousarray(tensor).reshape(-1, *tensor.shape[-2:])


def _shape_as_printed(shape: tuple[int, ...], kind: Kind) -> tuple[int, int]:
    """Give N and M as WeightWatcher has them, not always with N >= M.

    It swaps the two once for every kernel position of a convolution with more
    inputs than outputs, so an even number leaves them as they were; and it never
    swaps where the kernel is longer than the channels are many.
    """
    if kind != "conv":
        return max(shape[-2:]), min(shape[-2:])
    outputs, inputs, *kernel = shape
    odd = math.prod(kernel) % 2 == 1
    if outputs < inputs and odd and outputs + inputs >= sum(kernel):
        return inputs, outputs
    return outputs, inputs


def _singular_values(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the singular values, also the ones that are rounding errors: the rank counts them."""
    values = spectrum(matrix).singular_values
    if values[-1] < GRAM_FLOOR * values[0]:
        values = spectrum(matrix, exact=True).singular_values
    return values


def _rank_loss(singular_values: NDArray[np.float64], N: int) -> int:
    """Count singular values that are zero at float64's resolution, whatever the weights' own is.

    The largest of each row sets the tolerance of the row.
    """
    tolerance = singular_values.max(axis=1, keepdims=True) * N * np.finfo(np.float64).eps
    return int(np.count_nonzero(singular_values <= tolerance))


def _singular_value_columns(singular_values: NDArray[np.float64], N: int) -> dict[str, Cell]:
    """Give what is computed for each matrix and then combined; sv_min is the largest of the minima."""
    return {
        "has_esd": True,
        "num_evals": singular_values.size,
        "sv_max": float(singular_values.max()),
        "sv_min": float(singular_values.min(axis=1).max()),
        "rank_loss": _rank_loss(singular_values, N),
    }


def _norm_columns(evals: NDArray[np.float64], rank: int) -> dict[str, Cell]:
    """Give the metrics that need no fit, from all eigenvalues in ascending order."""
    norm, largest = float(np.sum(evals)), float(evals[-1])
    return {
        "lambda_max": largest,
        "norm": norm,
        "log_norm": _log10(norm),
        "spectral_norm": largest,
        "log_spectral_norm": _log10(largest),
        "stable_rank": norm / largest if largest > 0.0 else None,
        "matrix_rank": rank,
        "entropy": _entropy(evals / norm, rank) if rank > 1 else None,
        "weak_rank_loss": int(np.count_nonzero(evals < WEAK_RANK_CUT)),
    }


def _entropy(p: NDArray[np.float64], rank: int) -> float:
    """Compute the matrix entropy of normalised eigenvalues."""
    shifted = p + ENTROPY_EPSILON
    return float(-np.sum(shifted * np.log(shifted)) / math.log(rank + ENTROPY_EPSILON))


def _fit_columns(evals: NDArray[np.float64], rank: int) -> dict[str, Cell]:
    """Give alpha and all that follows from it, or why there is none."""
    fit = fit_power_law(evals[evals > FIT_CUT], ks="grid", min_tail=2, min_evals=FIT_MIN_EVALS)
    if fit.alpha is None or fit.xmin is None:
        nothing_left = fit.reason == "zero_matrix"
        reason = {0: "zero_matrix", 1: "rank_one"}.get(rank, "too_small" if nothing_left else fit.reason)
        return {"status": "failed", "warning": reason}
    largest = float(evals[-1])
    return {
        "status": "success",
        "warning": _warning(fit.alpha),
        "alpha": fit.alpha,
        "sigma": fit.alpha_stderr,
        "D": fit.D,
        "xmin": fit.xmin,
        "xmax": fit.xmax,
        "num_pl_spikes": int(np.count_nonzero(evals >= fit.xmin)),
        "alpha_weighted": fit.alpha * math.log10(largest),
        "log_alpha_norm": _log10_alpha_norm(evals, fit.alpha),
    }


def _warning(alpha: float) -> str:
    """Give WeightWatcher's judgement of alpha."""
    if alpha < OVER_TRAINED:
        return "over-trained"
    return "under-trained" if alpha > UNDER_TRAINED else ""


def _log10(value: float) -> float | None:
    """Give the decimal logarithm where there is one."""
    return math.log10(value) if value > 0.0 else None


def _log10_alpha_norm(evals: NDArray[np.float64], alpha: float) -> float:
    """Compute log10 of sum evals^alpha over the largest first, which cannot overflow."""
    with np.errstate(under="ignore"):
        of_ratios = float(np.sum((evals / evals[-1]) ** alpha))
    return alpha * math.log10(evals[-1]) + math.log10(of_ratios)


def _cell(value: Cell) -> str:
    """Write one value as a harmless CSV cell."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    text = _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), value)
    return f"'{text}" if text.startswith(_FORMULA_START) else text
