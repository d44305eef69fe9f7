"""What it costs to have a constant: files of a few kB can ask for any number of steps over any number of elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from onnxspec.errors import TensorError
from onnxspec.reading import numpy_dtype

__all__ = ["FEW", "PER_ELEMENT", "SHARED_WORK", "Budget"]

FEW = 64
"""Steps below a constant that may always be looked at; a decoder has about 5, a recut gate of an LSTM 10."""

STEP = 2**15
"""Elements that take as long as what a step costs besides, its later readings included."""

SHORT_STEP = 2**9
"""The same for a step whose few values are kept, so that it is evaluated once."""

MAX_LIVE = 2**32
"""Bytes that one constant may hold while it is folded, views counted as if they were copies."""

MAX_WORK = 2**32
"""Elements that the steps of one constant may have in sum."""

SHARED_WORK = 2**33
"""The same for all constants of a model, beside what its stored elements bring."""

PER_ELEMENT = 64
"""Work that each stored element brings: real files stay below 10."""


class Step(Protocol):
    """What is asked of a constant here."""

    @property
    def inputs(self) -> tuple[Step | None, ...]:
        """The constants that it is made of."""

    @property
    def size(self) -> int:
        """Number of elements."""

    @property
    def dtype(self) -> str:
        """ONNX element type."""

    @property
    def steps(self) -> int:
        """Steps below."""

    @property
    def too_large(self) -> TensorError | None:
        """Why it can be had in parts alone."""

    def order(self, *, cached: bool) -> Sequence[Step]:
        """Give the steps below, each after its inputs."""


@dataclass(slots=True)
class Budget:
    """Counts the work of a survey, in which all constants are loaded one after the other.

    Attributes
    ----------
    room : int
        Elements that steps may have yet.
    counting : bool
        False once the survey is over: what loads later, in any order, was counted in it.
    """

    room: int = SHARED_WORK
    counting: bool = True

    @property
    def steps(self) -> int:
        """Most steps that are worth looking at."""
        return max(FEW, (self.room if self.counting else MAX_WORK) // STEP)

    def spend(self, steps: int) -> None:
        """Count steps that were looked at in vain."""
        if self.counting:
            self.room -= min(self.room, steps * STEP)

    def charge(self, order: Sequence[Step], *, keeping: int = 0, whole: bool = True) -> None:
        """Count the steps of one constant, given in the order in which they are evaluated.

        Values of at most `keeping` elements are kept. What is not had as a `whole` takes little memory.

        Raises
        ------
        TensorError
            They need too much memory or work (``over_limit``).
        """
        work, live = _cost(order, keeping)
        live = live if whole else 0
        if self.counting and (live > MAX_LIVE or work > min(MAX_WORK, self.room)):
            self.spend(len(order))
        elif self.counting:
            self.room -= work
            return
        if live > MAX_LIVE:
            raise TensorError("over_limit", f"folding it would hold {live:,} bytes")
        if work > MAX_WORK or self.counting:
            raise TensorError("over_limit", f"folding it would take {len(order):,} steps over {work:,} elements")

    def reserve(self, constants: Iterable[Step]) -> dict[int, TensorError]:
        """Count constants that load after the survey, those of few steps first; give the problems by identity.

        What it looks at is bounded as well: of graphs of many steps that follow one that was too long, none.
        """
        problems: dict[int, TensorError] = {}
        for constant in sorted(constants, key=lambda constant: constant.steps > FEW):
            try:
                if constant.steps > FEW and self.room < FEW * STEP:
                    raise TensorError("over_limit", "other constants of the file take all the steps that folding has")
                self.charge(constant.order(cached=False), whole=constant.too_large is None)
            except TensorError as error:
                problems[id(constant)] = error
        self.counting = False
        return problems


def _cost(order: Sequence[Step], keeping: int) -> tuple[int, int]:
    """Give the elements of all steps, and the most bytes that are held at a time."""
    uses: dict[int, int] = {}
    for current in order:
        for i in current.inputs:
            if i is not None:
                uses[id(i)] = uses.get(id(i), 0) + 1
    work = held = most = 0
    for current in order:
        if current.inputs:
            size = current.size
            work += size + (STEP if size > keeping else SHORT_STEP)
        held += _bytes(current)
        most = max(most, held)
        for i in current.inputs:
            if i is not None:
                uses[id(i)] -= 1
                if not uses[id(i)]:
                    held -= _bytes(i)
    return work, most


def _bytes(constant: Step) -> int:
    """Give the bytes of a value in memory; where its type is unknown it cannot be had."""
    try:
        return constant.size * numpy_dtype(constant.dtype).itemsize
    except TensorError:
        return 0
