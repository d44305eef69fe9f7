"""The very simple deep learning (VSDL) model: learning curves and phases from statistical mechanics.

A student learns a teacher of its own kind from examples. Two numbers decide how well: the
load, examples over parameters, and the temperature, small where training is long and large where
it stops early. Martin and Mahoney (arXiv 1710.09553) read a deep network so: noise in the
labels acts as a smaller load, early stopping as a higher temperature.

In the annealed approximation (Seung, Sompolinsky and Tishby, Phys. Rev. A 45 (1992) 6056; at
temperature 0 the bound of Haussler, Kearns, Seung and Tishby, Machine Learning 25 (1996) 195) the student
has the overlap with its teacher that minimises, with the label noise ``eta``,

``f = load * E - s``, ``E = -ln(1 - (1 - exp(-1/T)) e)``, ``e = error + eta - 2 eta error``,

s being the entropy of the students at that overlap, per parameter. So the states for all
loads are the lower convex hull of the points ``(E, -s)``, and its straight pieces are the
first-order transitions: there the error jumps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["STUDENTS", "LearningCurve", "Student", "Transition", "effective_load", "learning_curve", "transitions"]

Array = NDArray[np.float64]
Student = Literal["ising", "spherical", "reversed_wedge"]
STUDENTS: tuple[Student, ...] = get_args(Student)

CELLS = 20000
"""Steps of the angle between student and teacher: errors are exact to 5e-5."""

SMALLEST_ANGLE = 1e-9

LEAST_JUMP = 0.01
"""Smaller steps of the error are not told from the grid's."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The equilibrium over the loads, at one temperature.

    Attributes
    ----------
    student : {"ising", "spherical", "reversed_wedge"}
    temperature, noise : float
    loads : ndarray of float64, shape (n,)
        Examples over parameters.
    overlap : ndarray of float64, shape (n,)
        Cosine between student and teacher.
    generalisation_error : ndarray of float64, shape (n,)
        Probability of a wrong answer to a new example, whose label has no noise.
    training_error : ndarray of float64, shape (n,)
        Share of the (noisy) examples that the student gets wrong.
    worst_error : ndarray of float64, shape (n,)
        Generalisation error of the worst metastable state, in which training may get
        stuck; the equilibrium's own where there is no other.
    """

    student: Student
    temperature: float
    noise: float
    loads: Array
    overlap: Array
    generalisation_error: Array
    training_error: Array
    worst_error: Array


@dataclass(frozen=True)
class Transition:
    """A load at which the error jumps.

    Attributes
    ----------
    load : float
        Where both states have one free energy.
    spinodal : float or None
        Load up to which the worse state lasts as a metastable one; ``None`` where it has no end.
    error_before, error_after : float
        Generalisation error at smaller and at larger loads.
    """

    load: float
    spinodal: float | None
    error_before: float
    error_after: float


def reversed_wedge_error(angle: ArrayLike, width: float = 1.0) -> Array:
    """Give the error of a reversed-wedge student, ``g(u) = sign((u - k) u (u + k))``.

    With u and v standard normal of correlation r, ``d E[g(u) g(v)] / dr`` is the sum
    of the bivariate densities at the jumps of g; with ``r = cos t`` that leaves

    ``error = 1/pi int_0^angle 1 + 2 exp(-k^2 / (1 + r)) + 2 exp(-k^2 / (1 - r)) - 4 exp(-k^2 / (2 (1 - r^2))) dt``.

    Parameters
    ----------
    angle : array_like of float64
        Angle between student and teacher, 0 to pi, ascending.
    width : float
        k, not negative; with 0 the student is a perceptron.

    Returns
    -------
    ndarray of float64, shape of `angle`
    """
    angles = np.atleast_1d(np.asarray(angle, dtype=np.float64))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    from_here = np.concatenate([[0.0], angles[:-1]])
    # short steps, so that eight nodes are exact for each: the integrand changes fastest near 0 and pi
    parts = max(1, math.ceil(float((angles - from_here).max()) / 0.02))
    ends = np.linspace(from_here, angles, parts + 1)
    half = 0.5 * (ends[1:] - ends[:-1])
    t = (ends[:-1] + half)[..., None] + half[..., None] * nodes
    inside = _wedge_integrand(np.cos(t), np.sin(t), width)
    steps = ((inside @ weights) * half).sum(axis=0)
    return np.asarray(np.cumsum(steps) / math.pi).reshape(np.shape(angle))


def _wedge_integrand(r: Array, sine: Array, width: float) -> Array:
    """Give the sum over pairs of jumps of the bivariate densities, without 1 / (2 pi sin t)."""
    k2 = width * width
    if k2 == 0.0:
        return np.ones_like(r)
    with np.errstate(divide="ignore", over="ignore"):
        away, alike = -k2 / (1.0 + r), -k2 / (1.0 - r)
        mixed = -k2 / (2.0 * sine * sine)
    found: Array = 1.0 + 2.0 * np.exp(away) + 2.0 * np.exp(alike) - 4.0 * np.exp(mixed)
    return found


@lru_cache(maxsize=8)
def _states(student: Student, width: float) -> tuple[Array, Array, Array]:
    """Give angle, generalisation error and entropy of the possible states."""
    if student not in STUDENTS:
        raise ValueError(f"student is {student!r}; it must be one of {', '.join(STUDENTS)}.")
    if not (0.0 <= width < math.inf):
        raise ValueError(f"the wedge's width is {width}; it must not be negative.")
    top = math.pi if student == "reversed_wedge" else 0.5 * math.pi
    cell = top / CELLS
    angle = np.concatenate([[0.0], np.geomspace(SMALLEST_ANGLE, cell, 200)[:-1], np.linspace(cell, top, CELLS)])
    error = reversed_wedge_error(angle, width) if student == "reversed_wedge" else angle / math.pi
    if student == "spherical":
        with np.errstate(divide="ignore"):
            return angle, error, np.log(np.sin(angle))
    return angle, error, _mixing_entropy(np.sin(0.5 * angle) ** 2)


def _mixing_entropy(x: Array) -> Array:
    """Give ``-x ln x - (1 - x) ln(1 - x)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -x * np.log(x) - (1.0 - x) * np.log1p(-x)
    return np.where((x <= 0.0) | (x >= 1.0), 0.0, found)


@dataclass(frozen=True, eq=False)
class _Hull:
    """States in order of falling energy, and the loads between which each of them is the equilibrium."""

    error: Array
    overlap: Array
    noisy_error: Array
    energy: Array
    entropy: Array
    vertices: NDArray[np.int64]
    loads: Array


@lru_cache(maxsize=256)
def _hull(student: Student, temperature: float, noise: float, width: float) -> _Hull:
    """Find the equilibria for all loads: the convex hull of energy and minus entropy."""
    if not (temperature >= 0.0 and math.isfinite(temperature)):
        raise ValueError(f"the temperature is {temperature}; it must be finite and not negative.")
    if not 0.0 <= noise < 0.5:
        raise ValueError(f"the noise is {noise}; it must be between 0 and 0.5.")
    angle, error, entropy = _states(student, width)
    noisy = error + noise - 2.0 * noise * error
    energy = -np.log1p(-_strictness(temperature) * noisy)
    possible = np.isfinite(entropy) & np.isfinite(energy)
    order = np.flatnonzero(possible)[np.lexsort((-entropy[possible], energy[possible]))]
    vertices = _lower_hull(energy[order].tolist(), (-entropy[order]).tolist())[::-1]
    chosen = order[vertices]
    loads = -np.diff(-entropy[chosen]) / np.diff(energy[chosen])
    return _Hull(error, np.cos(angle), noisy, energy, entropy, chosen, loads)


def _strictness(temperature: float) -> float:
    """Give ``1 - exp(-1/T)``: how much less likely each error makes a student."""
    return 1.0 if temperature == 0.0 else -math.expm1(-1.0 / temperature)


def _lower_hull(x: list[float], y: list[float]) -> list[int]:
    """Give the indices of the lower convex hull up to its lowest point; x ascends (Andrew's monotone chain)."""
    hull: list[int] = []
    for i in range(len(x)):
        if hull and x[i] <= x[hull[-1]]:
            continue
        while len(hull) >= 2:
            a, b = hull[-2], hull[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) > (y[b] - y[a]) * (x[i] - x[a]):
                break
            hull.pop()
        hull.append(i)
    lowest = min(range(len(hull)), key=lambda k: y[hull[k]])
    return hull[: lowest + 1]


def learning_curve(
    loads: ArrayLike, temperature: float, *, student: Student = "ising", noise: float = 0.0, width: float = 1.0
) -> LearningCurve:
    """Give the errors over the load.

    Parameters
    ----------
    loads : array_like of float64, shape (n,)
        Examples over parameters, not negative.
    temperature : float
        Not negative; 0 is a student that makes no errors on its examples if it can.
    student : {"ising", "spherical", "reversed_wedge"}
        Weights of 1 and -1; weights on a sphere; weights of 1 and -1 with the answer
        ``sign((u - k) u (u + k))``.
    noise : float
        Share of wrong labels, below 0.5.
    width : float
        k of the reversed wedge.

    Returns
    -------
    LearningCurve

    Raises
    ------
    ValueError
        A parameter is outside its range.
    """
    at = np.atleast_1d(np.asarray(loads, dtype=np.float64))
    if at.ndim != 1 or not np.all(np.isfinite(at)) or np.any(at < 0.0):
        raise ValueError("loads must be finite and not negative, on one axis.")
    hull = _hull(student, temperature, noise, width)
    chosen = hull.vertices[np.searchsorted(hull.loads, at, side="right")]
    strict = _strictness(temperature)
    wrong = hull.noisy_error[chosen]
    training = (1.0 - strict) * wrong / (1.0 - strict * wrong)
    error = hull.error[chosen]
    worst = np.array([_worst_error(hull, float(load)) for load in at])
    return LearningCurve(
        student, temperature, noise, at, hull.overlap[chosen], error, training, np.maximum(worst, error)
    )


def _worst_error(hull: _Hull, load: float) -> float:
    """Give the largest error among the local minima of the free energy."""
    with np.errstate(invalid="ignore"):
        free = load * hull.energy - hull.entropy
    free = np.where(np.isnan(free), np.inf, free)
    left, right = np.concatenate([[np.inf], free[:-1]]), np.concatenate([free[1:], [np.inf]])
    minimal = (free <= left) & (free <= right) & np.isfinite(free)
    return float(hull.error[minimal].max())


def transitions(
    temperature: float, *, student: Student = "ising", noise: float = 0.0, width: float = 1.0
) -> list[Transition]:
    """Find every load at which the error of the equilibrium jumps.

    Parameters
    ----------
    temperature, student, noise, width
        As for `learning_curve`.

    Returns
    -------
    list of Transition
        By ascending load; empty for the spherical perceptron, which learns smoothly.
    """
    hull = _hull(student, temperature, noise, width)
    errors = hull.error[hull.vertices]
    found = []
    for k, load in enumerate(hull.loads.tolist()):
        before, after = float(errors[k]), float(errors[k + 1])
        if abs(before - after) >= LEAST_JUMP:
            end = _spinodal(hull, int(hull.vertices[k]), load)
            found.append(Transition(load, end, before, after))
    return found


def _spinodal(hull: _Hull, state: int, load: float) -> float | None:
    """Follow the worse state to the load at which its local minimum vanishes.

    A state is stationary at the load ``ds / dE``; along the branch this load grows up to the spinodal.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        balance = np.diff(hull.entropy) / np.diff(hull.energy)
    best = load
    for k in range(state - 1, -1, -1):
        if not math.isfinite(balance[k]) or balance[k] < best:
            return best
        best = float(balance[k])
    return None


def effective_load(
    load: float, temperature: float, noise: float, *, student: Student = "ising", width: float = 1.0
) -> float | None:
    """Give the load of clean examples that `load` noisy ones are worth.

    Noise moves the transition to more examples; the effective load keeps its distance
    from the transition as a ratio, ``load * transition(0) / transition(noise)``.

    Returns
    -------
    float or None
        ``None`` where there is no transition to compare with.
    """
    clean = transitions(temperature, student=student, width=width)
    noisy = transitions(temperature, student=student, noise=noise, width=width)
    if not clean or not noisy:
        return None
    return load * clean[0].load / noisy[0].load
