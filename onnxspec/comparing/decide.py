"""What happened to one layer: explanations are tried from the cheapest to the dearest.

Each explanation turns a into something that must equal b, up to what storing the two
may have changed. Those that need no eigenvalue come first; what they leave is a
difference whose spectrum is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.comparing import explain
from onnxspec.comparing.evidence.elements import Elements, elements
from onnxspec.comparing.evidence.orders import Orders, close_orders, exact_orders
from onnxspec.comparing.evidence.scaling import channel_factors, factor, factor_error
from onnxspec.comparing.evidence.stores import Fit, Store, fit_within, store_of
from onnxspec.comparing.evidence.zeros import pruning, touched
from onnxspec.comparing.facts import Facts
from onnxspec.comparing.residue import explain_residue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results.comparison import Change

    Array = NDArray[np.float64]

__all__ = ["Decision", "decide"]

RELATED = 0.5
"""Cosine from which two matrices are taken for one that changed, without looking at other orders."""

MOST_TOUCHED = 0.5
"""Share of the elements up to which an update is sparse."""

LEAST_PRUNED = 0.02
"""Share of new zeros from which a matrix counts as pruned, where other values changed too."""

LEAST_AGREEING = 0.98
"""Share of the values that are no zeros that rounding must explain where nearly all were rounded to 0."""

BLOCK_FILLED = 0.9
"""Share of changed elements from which the changed rows and inputs count as one changed block."""

ULPS = 4.0
"""A change of fewer steps of the stored type may be a dense one that was lost in rounding elsewhere."""


@dataclass(eq=False)
class Decision:
    """What happened, in the order in which it explains b from a.

    Attributes
    ----------
    changes : list of Change
        At least one.
    reversed : bool
        Whether a is what became of b.
    elements : Elements or None
        Of the two as they stand side by side; None where their shapes differ.
    orders : Orders or None
        The permutation that was found.
    store_a, store_b : Store or None
        How the two are stored, where that was asked.
    turned : bool
        Whether a was transposed.
    """

    changes: list[Change] = field(default_factory=list)
    reversed: bool = False
    elements: Elements | None = None
    orders: Orders | None = None
    store_a: Store | None = None
    store_b: Store | None = None
    turned: bool = False


def decide(a: Array, b: Array, facts: Facts) -> Decision:
    """Say what happened to a layer between two models.

    Parameters
    ----------
    a, b : ndarray of float64, shape (outputs, inputs * positions)
        The values before and after. Their shapes are equal, or those of transposed matrices.
    facts : Facts
        What else is known.

    Returns
    -------
    Decision
    """
    decision = Decision()
    if a.shape != b.shape:
        if a.T.shape != b.shape:
            raise ValueError(f"matrices of {a.shape} and {b.shape} cannot be compared")
        a = np.ascontiguousarray(a.T)
        decision.turned = True
        decision.changes.append(explain.transposed())
    found = elements(a, b)
    decision.elements = found
    if found.equal == found.size:
        if not decision.changes:
            decision.changes.append(explain.identical(found))
        return decision
    if found.bad_a or found.bad_b:
        return _not_finite(a, b, found, facts, decision)
    _Case(a, b, facts, decision).explain(found)
    return decision


def _not_finite(a: Array, b: Array, found: Elements, facts: Facts, decision: Decision) -> Decision:
    """Name what is not finite, and explain the rest."""
    fine = np.isfinite(a) & np.isfinite(b)
    rest_a, rest_b = np.where(fine, a, 0.0), np.where(fine, b, 0.0)
    rest = elements(rest_a, rest_b)
    decision.changes.append(explain.not_finite(found, rest))
    decision.reversed = found.bad_a > found.bad_b
    if rest.equal < rest.size:
        _Case(rest_a, rest_b, facts, decision).explain(rest)
    return decision


class _Case:
    """Two finite matrices of one shape that are not equal, and what is known of them so far."""

    def __init__(self, a: Array, b: Array, facts: Facts, decision: Decision, depth: int = 0) -> None:
        self.a, self.b, self.facts, self.decision, self.depth = a, b, facts, decision, depth
        self._stores: tuple[Store, Store] | None = None

    def stores(self) -> tuple[Store, Store]:
        """Find how the two are stored, once."""
        if self._stores is None:
            positions = self.facts.positions
            self._stores = (
                store_of(self.a, positions, self.facts.quantization_a, single=self.facts.single_a or None),
                store_of(self.b, positions, self.facts.quantization_b, single=self.facts.single_b or None),
            )
            if self.decision.store_a is None:
                self.decision.store_a, self.decision.store_b = self._stores
        return self._stores

    def add(self, *changes: Change) -> bool:
        """Note what happened."""
        self.decision.changes.extend(changes)
        return True

    def explain(self, found: Elements) -> None:
        """Try the explanations in turn; the last one always says something."""
        for attempt in (self._cast, self._only_zeros, self._rounded, self._scaled, self._reordered, self._pruned):
            if attempt(found):
                return
        if self._block(found) or self._sparse(found):
            return
        cosine = found.cosine
        if (cosine is None or abs(cosine) < RELATED) and self._reordered_roughly(found):
            return
        changes = explain_residue(self.a, self.b, found, self.facts.positions, *self.stores())
        self.add(*changes)
        self._storage_too()

    def _storage_too(self, fit: Fit | None = None) -> None:
        """Note that one of the two is stored more coarsely than the other."""
        store_a, store_b = self.stores()
        if store_b.coarse and store_b.rms > 2.0 * store_a.rms:
            self.add(explain.stored(store_b, fit))
        elif store_a.coarse and store_a.rms > 2.0 * store_b.rms:
            self.add(explain.stored(store_a, fit))
            self.decision.reversed = True

    def _cast(self, found: Elements) -> bool:
        """Explain b by a cast of a, or the other way round."""
        if found.casts:
            return self.add(explain.cast(self.a, found, found.casts))
        if found.casts_back:
            self.decision.reversed = True
            return self.add(explain.cast(self.b, found, found.casts_back))
        return False

    def _only_zeros(self, found: Elements) -> bool:
        """Explain b by zeros alone, or a."""
        changed = found.size - found.equal
        if found.zeroed == changed:
            return self.add(explain.pruned(pruning(self.a, self.b, self.facts.positions), found))
        if found.zeros_a - (found.zeros_b - found.zeroed) == changed:
            self.decision.reversed = True
            return self.add(explain.pruned(pruning(self.b, self.a, self.facts.positions), found))
        return False

    def _rounded(self, found: Elements) -> bool:
        """Explain b by rounding alone."""
        store_a, store_b = self.stores()
        fit = fit_within(self.a, self.b, store_a, store_b)
        few = found.equal > MOST_TOUCHED * found.size and fit.inside < 1.0  # an update of few values, not of all
        if not fit.holds or few or ((found.cosine or 0.0) < RELATED and not self._large_values_agree()):
            return False
        if not store_a.coarse and not store_b.coarse:
            return self.add(explain.last_bits(found, fit))
        before = len(self.decision.changes)
        self._storage_too(fit)
        if len(self.decision.changes) == before:
            self.add(explain.stored(store_b, fit))
        return True

    def _large_values_agree(self) -> bool:
        """Say whether the values that are no zeros are explained too: in a grid of two bits nearly all are zeros."""
        store_a, store_b = self.stores()
        large = self.b != 0.0 if store_b.grid is not None else self.a != 0.0
        half = np.broadcast_to(store_a.half + store_b.half, self.a.shape)[large]
        off = np.abs(self.a - self.b)[large]
        return (
            bool(off.size) and float(np.mean(off <= 1.01 * half + 2.0**-22 * np.abs(self.b[large]))) >= LEAST_AGREEING
        )

    def _scaled(self, found: Elements) -> bool:
        """Explain b by one factor, or by one for each channel."""
        store_a, store_b = self.stores()
        few = found.equal > MOST_TOUCHED * found.size  # one factor moves every value, and rounding can hide but some
        c = None if few else factor(self.a, self.b)
        if c is not None and abs(found.cosine or 0.0) > RELATED:
            fit = fit_within(c * self.a, self.b, store_a, store_b, np.float64(c))
            if fit.holds:
                self.add(explain.scaled(c, fit, found))
                self._storage_too(fit)
                return True
        for axis in ("outputs", "inputs"):
            factors = channel_factors(self.a, self.b, axis, self.facts.positions)
            if factors is None:
                continue
            loose = factor_error(self.a, store_b.half, axis, self.facts.positions)
            fit = fit_within(factors * self.a, self.b, store_a, store_b, factors, loose)
            if fit.holds and fit.error < 2.0 and not (few and fit.inside < 1.0):
                folded = axis == "outputs" and self.facts.convolution
                self.add(explain.channels_scaled(factors, axis, fit, found, self.facts, folded=folded))
                self._storage_too(fit)
                return True
        return False

    def _reordered(self, found: Elements) -> bool:
        """Explain b by the same values in another order."""
        if not math.isclose(found.square_a, found.square_b, rel_tol=1e-9):
            return False
        if self.a.shape[0] == self.a.shape[1] and np.array_equal(self.a.T, self.b):
            self.decision.turned = True
            return self.add(explain.transposed())
        orders = exact_orders(self.a, self.b, self.facts.positions)
        if orders is None and self.a.shape[0] == self.a.shape[1] and self.facts.positions == 1:
            orders = exact_orders(self.a.T, self.b, 1)
            if orders is not None:
                self.decision.turned = True
                self.add(explain.transposed())
        if orders is None:
            return False
        self.decision.orders = orders
        return self.add(explain.permuted(orders, 1.0, found))

    def _reordered_roughly(self, found: Elements) -> bool:
        """Explain b by another order and something more."""
        if self.depth:
            return False
        turns: list[tuple[Array, bool]] = [(self.a, False)]
        if self.a.shape[0] == self.a.shape[1] and self.facts.positions == 1:
            turns.append((np.ascontiguousarray(self.a.T), True))
        for a, turned in turns:
            same = elements(a, self.b, casts=False) if turned else None
            orders = None if same is not None and abs(same.cosine or 0.0) > RELATED else self._orders(a)
            if orders is None and (same is None or abs(same.cosine or 0.0) <= RELATED):
                continue
            if turned:
                self.decision.turned = True
                self.add(explain.transposed())
            moved = a
            if orders is not None:
                self.decision.orders = orders
                moved = orders.apply(a, self.facts.positions)
                agreement = elements(moved, self.b, casts=False).cosine or 0.0
                self.add(explain.permuted(orders, agreement, found))
            rest = elements(moved, self.b)
            if rest.equal < rest.size:
                _Case(moved, self.b, self.facts, self.decision, self.depth + 1).explain(rest)
            return True
        return False

    def _orders(self, a: Array) -> Orders | None:
        return close_orders(a, self.b, self.facts.positions)

    def _pruned(self, found: Elements) -> bool:
        """Explain b by zeros and something more."""
        if self.depth > 1 or found.zeroed < LEAST_PRUNED * found.size:
            return False
        store_b = self.stores()[1]
        lost = (self.b == 0.0) & (np.abs(self.a) > 1.01 * store_b.half)
        if np.count_nonzero(lost) < LEAST_PRUNED * found.size or (found.cosine or 0.0) < 0.1:
            return False
        self.add(explain.pruned(pruning(self.a, self.b, self.facts.positions), found))
        kept = np.where(self.b == 0.0, 0.0, self.a)
        rest = elements(kept, self.b)
        if rest.equal < rest.size:
            _Case(kept, self.b, self.facts, self.decision, self.depth + 1).explain(rest)
        return True

    def _block(self, found: Elements) -> bool:
        """Explain b by what happened to some of its rows and inputs, where all of these changed and no other."""
        if self.depth or found.equal < 0.05 * found.size:
            return False
        where = touched(self.a, self.b, self.facts.positions)
        columns = np.repeat(where.inputs, self.facts.positions)
        shape = int(where.outputs.sum()), int(columns.sum())
        if where.filled < BLOCK_FILLED or min(shape) < 8 or shape == self.a.shape:
            return False
        a, b = (m[where.outputs][:, columns] for m in (self.a, self.b))
        inner = Decision()
        _Case(a, b, self.facts, inner, self.depth + 1).explain(elements(a, b))
        extra: dict[str, Any] = {"outputs_changed": shape[0], "inputs_changed": int(where.inputs.sum())}
        self.decision.reversed = inner.reversed
        return self.add(*(explain.within_block(change, extra, self.a.shape) for change in inner.changes))

    def _sparse(self, found: Elements) -> bool:
        """Explain b by new values of few elements."""
        changed = found.size - found.equal
        if changed > MOST_TOUCHED * (found.size - np.count_nonzero((self.a == 0.0) & (self.b == 0.0))):
            return False
        store_a, store_b = self.stores()
        moved = self.a != self.b
        half = np.broadcast_to(np.maximum(store_a.half, store_b.half), self.a.shape)[moved]
        half = np.maximum(half, 2.0**-24 * np.abs(self.b[moved]))
        with np.errstate(divide="ignore"):
            steps = float(np.median(np.abs(self.b - self.a)[moved] / (2.0 * half)))
        if steps < ULPS:
            return False
        where = touched(self.a, self.b, self.facts.positions)
        return self.add(explain.sparse(where, steps))
