"""Learning curves and transitions: listed loads, a direct minimisation, and all students of small machines."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, optimize, special

from onnxspec.laws import vsdl
from onnxspec.laws.vsdl import Student

LOADS = np.linspace(0.0, 6.0, 121)
TEMPERATURES = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0)


def load_of_transition(temperature: float, **options) -> float:
    (found,) = vsdl.transitions(temperature, **options)
    return found.load


def entropy(student: Student, error: float) -> float:
    R = math.cos(math.pi * error)
    if student == "spherical":
        return 0.5 * math.log1p(-R * R)
    return float(special.entr((1 + R) / 2) + special.entr((1 - R) / 2))


def free_energy(student: Student, error: float, load: float, temperature: float, noise: float) -> float:
    wrong = error + noise - 2 * noise * error
    strict = 1.0 if temperature == 0 else 1 - math.exp(-1 / temperature)
    return -load * math.log(1 - strict * wrong) - entropy(student, error)


def test_at_temperature_zero_the_ising_perceptron_is_perfect_beyond_the_listed_load() -> None:
    (found,) = vsdl.transitions(0.0)
    assert found.load == pytest.approx(1.4480, abs=1e-3)
    assert found.error_before == pytest.approx(0.2543, abs=5e-4)
    assert found.error_after == 0.0
    # the definition: where the entropy of error eps is last as large as the examples take away
    gap = optimize.minimize_scalar(
        lambda eps: -math.log(1 - eps) * found.load - entropy("ising", eps), bounds=(0.1, 0.4), method="bounded"
    )
    assert gap.fun == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("temperature", "noise", "load"),
    [
        (0.01, 0.0, 1.448),
        (0.2, 0.0, 1.459),
        (0.5, 0.0, 1.712),
        (1.0, 0.0, 2.431),
        (2.0, 0.0, 4.056),
        (5.0, 0.0, 9.100),
        (0.2, 0.05, 1.554),
        (0.2, 0.1, 1.673),
        (0.2, 0.2, 2.029),
        (1.0, 0.05, 2.634),
        (1.0, 0.1, 2.889),
        (1.0, 0.2, 3.652),
    ],
)
def test_the_listed_transition_loads_are_reproduced(temperature: float, noise: float, load: float) -> None:
    assert load_of_transition(temperature, noise=noise) == pytest.approx(load, abs=0.005)


def test_at_high_temperature_the_load_grows_with_it() -> None:
    (found,) = vsdl.transitions(1000.0)
    assert found.load / 1000.0 == pytest.approx(1.6959, abs=1e-3)
    assert found.error_before == pytest.approx(0.303, abs=1e-3)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_bad_state_lasts_up_to_the_spinodal(temperature: float) -> None:
    (found,) = vsdl.transitions(temperature)
    assert found.spinodal is not None

    def has_bad_state(load: float) -> bool:
        f = [free_energy("ising", eps, load, temperature, 0.0) for eps in np.linspace(0.12, 0.3, 20001)]
        return any(b < a and b <= c for a, b, c in zip(f, f[1:], f[2:]))

    assert has_bad_state(found.spinodal * 0.999)
    assert not has_bad_state(found.spinodal * 1.001)
    inside, outside = vsdl.learning_curve([found.spinodal * 0.999, found.spinodal * 1.001], temperature).worst_error
    assert inside > 0.1
    assert outside == 0.0


@pytest.mark.parametrize("student", ["ising", "spherical"])
@pytest.mark.parametrize(("temperature", "noise"), [(0.0, 0.0), (0.3, 0.0), (0.8, 0.15)])
def test_the_curve_is_the_minimum_of_the_free_energy(student: Student, temperature: float, noise: float) -> None:
    loads = [0.2, 1.0, 1.3, 2.2, 3.5, 8.0]
    curve = vsdl.learning_curve(loads, temperature, student=student, noise=noise)
    grid = np.concatenate([[0.0] if student == "ising" else [], np.linspace(1e-4, 0.5, 1000)])
    for load, error in zip(loads, curve.generalisation_error.tolist()):
        values = [free_energy(student, eps, load, temperature, noise) for eps in grid.tolist()]
        found = free_energy(student, error, load, temperature, noise)
        assert found <= min(values) + 1e-6
        assert abs(error - grid[int(np.argmin(values))]) <= 1e-3


def test_the_training_error_is_the_derivative_of_the_free_energy() -> None:
    step = 1e-3
    at = []
    for beta in (2.0 - step, 2.0, 2.0 + step):
        curve = vsdl.learning_curve([1.1], 1 / beta, noise=0.1)
        at.append((free_energy("ising", curve.generalisation_error[0], 1.1, 1 / beta, 0.1), curve.training_error[0]))
    assert (at[2][0] - at[0][0]) / (2 * step * 1.1) == pytest.approx(at[1][1], abs=1e-4)


def test_the_spherical_perceptron_learns_without_a_jump() -> None:
    for temperature in TEMPERATURES:
        assert vsdl.transitions(temperature, student="spherical") == []
        errors = vsdl.learning_curve(LOADS, temperature, student="spherical").generalisation_error
        assert np.abs(np.diff(errors)).max() < 0.05
    curve = vsdl.learning_curve([10.0, 50.0], 0.0, student="spherical")
    np.testing.assert_allclose(curve.loads * curve.generalisation_error, [0.888, 0.979], atol=1e-3)


def test_the_ising_perceptron_jumps() -> None:
    for temperature in (0.0, 0.2, 0.5, 1.0):
        (found,) = vsdl.transitions(temperature)
        assert found.error_before - found.error_after > 0.15


@pytest.mark.parametrize("student", vsdl.STUDENTS)
def test_errors_fall_with_the_load_and_grow_with_temperature_and_noise(student: Student) -> None:
    def error(temperature: float, noise: float) -> np.ndarray:
        return vsdl.learning_curve(LOADS, temperature, student=student, noise=noise).generalisation_error

    by_temperature = [error(t, 0.0) for t in TEMPERATURES]
    by_noise = [error(0.3, n) for n in (0.0, 0.05, 0.1, 0.2, 0.4)]
    for curve in by_temperature + by_noise:
        assert (np.diff(curve) <= 1e-12).all()
    for lower, higher in [*pairwise(by_temperature), *pairwise(by_noise)]:
        assert (higher >= lower - 5e-5).all()
    training = [vsdl.learning_curve([1.0], t, student=student).training_error[0] for t in TEMPERATURES]
    assert (np.diff(training) >= 0).all()


def piecewise_error(R: float, k: float) -> float:
    """Integrate the disagreement of the two students over the pieces on which the first one's answer is constant."""
    if R == 1.0:
        return 0.0
    s = math.sqrt(1 - R * R)

    def plus(u: float) -> float:
        above = special.ndtr(-(k - R * u) / s)
        return float(above + special.ndtr(-R * u / s) - special.ndtr((-k - R * u) / s))

    def weight(u: float) -> float:
        return math.exp(-u * u / 2) / math.sqrt(2 * math.pi)

    total = 0.0
    for low, high, sign in ((-12, -k, -1), (-k, 0, 1), (0, k, -1), (k, 12, 1)):
        for first, last in pairwise(np.linspace(low, high, 9)):
            wrong = (lambda u: 1 - plus(u)) if sign > 0 else plus
            total += integrate.quad(lambda u, w=wrong: weight(u) * w(u), first, last)[0]
    return total


@pytest.mark.parametrize(("R", "listed"), [(-0.5, 0.517), (0.0, 0.5), (0.5, 0.483), (0.9, 0.310), (0.99, 0.100)])
def test_the_error_of_the_reversed_wedge(R: float, listed: float) -> None:
    angles = np.array([math.acos(R)])
    assert vsdl.reversed_wedge_error(angles, 1.0)[0] == pytest.approx(listed, abs=0.005)
    for width in (0.3, 1.0, 1.7):
        found = vsdl.reversed_wedge_error(angles, width)[0]
        assert found == pytest.approx(piecewise_error(R, width), abs=1e-6)


def test_a_wedge_without_width_is_a_perceptron() -> None:
    angles = np.linspace(0.0, math.pi, 50)
    np.testing.assert_allclose(vsdl.reversed_wedge_error(angles, 0.0), angles / math.pi, atol=1e-12)
    wedge = vsdl.learning_curve(LOADS, 0.4, student="reversed_wedge", width=0.0)
    ising = vsdl.learning_curve(LOADS, 0.4)
    np.testing.assert_allclose(wedge.generalisation_error, ising.generalisation_error, atol=2e-4)


def test_the_reversed_wedge_keeps_a_bad_state_far_longer() -> None:
    (wedge,), (ising,) = vsdl.transitions(0.5, student="reversed_wedge"), vsdl.transitions(0.5)
    assert wedge.spinodal is not None
    assert ising.spinodal is not None
    assert wedge.spinodal / wedge.load > 3.0 > ising.spinodal / ising.load


def test_noise_costs_examples() -> None:
    worth = vsdl.effective_load(2.0, 0.2, 0.1)
    assert worth == pytest.approx(2.0 * 1.459 / 1.673, abs=0.01)
    assert vsdl.effective_load(2.0, 0.2, 0.0) == pytest.approx(2.0)
    assert vsdl.effective_load(2.0, 0.2, 0.1, student="spherical") is None


def exhaustive_error(load: float, temperature: float, noise: float, N: int, trials: int) -> tuple[float, float]:
    """Average the error over all 2^N students with Gibbs weights; give mean and standard error over the trials."""
    rng = np.random.default_rng(5)
    students = 2.0 * ((np.arange(2**N)[:, None] >> np.arange(N)) & 1) - 1.0
    error = np.arccos(students.sum(1) / N) / math.pi  # the teacher is (1, ..., 1)
    found = []
    for _ in range(trials):
        examples = rng.standard_normal((round(load * N), N))
        labels = np.sign(examples.sum(1)) * np.where(rng.random(len(examples)) < noise, -1, 1)
        wrong = (np.sign(students @ examples.T) != labels).sum(1)
        weight = np.exp(-(wrong - wrong.min()) / temperature)
        found.append(float(error @ weight / weight.sum()))
    return float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(trials))


# THEORY.md 11.2, N = 15, 30 trials each; the tolerance is three joint standard errors
@pytest.mark.parametrize(
    ("load", "temperature", "noise", "listed"),
    [(0.5, 0.2, 0.0, 0.400), (1.5, 0.2, 0.0, 0.091), (1.0, 0.2, 0.1, 0.359), (1.0, 1.0, 0.0, 0.406)],
)
def test_small_machines_agree_with_the_listed_averages(load, temperature, noise, listed) -> None:
    mean, stderr = exhaustive_error(load, temperature, noise, 15, 30)
    assert abs(mean - listed) <= 3 * math.sqrt(2) * stderr


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_small_machines_follow_the_annealed_curve_away_from_the_jump(temperature: float) -> None:
    jump = load_of_transition(temperature)
    for ratio, tolerance in ((0.3, 0.03), (2.2, 0.03)):
        mean, _ = exhaustive_error(ratio * jump, temperature, 0.0, 13, 30)
        loads = [round(ratio * jump * 13) / 13]
        assert mean == pytest.approx(vsdl.learning_curve(loads, temperature).generalisation_error[0], abs=tolerance)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: vsdl.learning_curve([1.0], -0.1), "temperature"),
        (lambda: vsdl.learning_curve([1.0], math.inf), "temperature"),
        (lambda: vsdl.learning_curve([-1.0], 0.1), "loads"),
        (lambda: vsdl.learning_curve([math.nan], 0.1), "loads"),
        (lambda: vsdl.learning_curve([1.0], 0.1, noise=0.5), "noise"),
        (lambda: vsdl.transitions(0.1, student="quantum"), "student"),
        (lambda: vsdl.transitions(0.1, student="reversed_wedge", width=-1.0), "width"),
    ],
)
def test_parameters_outside_their_range_are_refused(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
