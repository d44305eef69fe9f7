"""Results of following layers over the checkpoints of one training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxspec.results.codec import to_json
from onnxspec.results.report import Tool

__all__ = ["TRACK_METRICS", "TRACK_SCHEMA_VERSION", "Checkpoint", "Course", "Track", "Transition"]

TRACK_SCHEMA_VERSION = "1"

TRACK_METRICS = (
    "entropy",
    "entropy_deficit",
    "stable_rank",
    "stable_rank_ratio",
    "mp_softrank",
    "alpha",
    "alpha_low",
    "alpha_high",
    "n_tail",
    "spikes",
    "trained_p",
    "lambda_max",
    "log_norm",
    "log_spectral_norm",
    "rank_loss",
)
"""The numbers that are followed, in the order of the output; `phase` and `trained` are words beside them."""


@dataclass(frozen=True)
class Checkpoint:
    """One model of the sequence.

    Attributes
    ----------
    label : str
        What tells it from the others: the part of its path that differs, or the label given.
    model : str
        Its path.
    sha256 : str or None
        Hash of the model file.
    problem : str or None
        Why it has no numbers.
    coverage : float or None
        Share of its weights that was analysed.
    """

    label: str
    model: str
    sha256: str | None = None
    problem: str | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Course:
    """One layer over the checkpoints; every tuple has one place for each checkpoint.

    Attributes
    ----------
    name, tensor, role : str
        Of the layer where it first occurs.
    shape : tuple of int
        Of its tensor.
    N, M : int or None
        Rows and columns of its matrix.
    matched_by : tuple of str or None
        How the layer was found in each checkpoint: ``first``, ``tensor``, ``name``, ``values`` or
        ``place``; ``None`` where it was not.
    value_hashes : tuple of str or None
        Hash of the decoded values: equal ones have equal numbers.
    values : mapping of str to tuple of float or None
        The numbers of `TRACK_METRICS`.
    phases, verdicts : tuple of str or None
        Phase, and trained verdict.
    reasons : tuple of str or None
        Why the layer has no numbers, or no fit.
    scree_first, scree_last : tuple of float
        Eigenvalues over their sum, descending, in the first and last checkpoint that has them.
    """

    name: str
    tensor: str
    role: str
    shape: tuple[int, ...]
    N: int | None
    M: int | None
    matched_by: tuple[str | None, ...]
    value_hashes: tuple[str | None, ...]
    values: Mapping[str, tuple[float | None, ...]]
    phases: tuple[str | None, ...]
    verdicts: tuple[str | None, ...]
    reasons: tuple[str | None, ...]
    scree_first: tuple[float, ...] = ()
    scree_last: tuple[float, ...] = ()


@dataclass(frozen=True)
class Transition:
    """Something that changed between two checkpoints.

    Attributes
    ----------
    layer : str
        Name of the layer.
    kind : str
        ``phase``, ``trained``, ``spikes``, ``scale_jump`` or ``rank_loss``.
    before, after : int
        Places of the two checkpoints.
    from_value, to_value : str or float
        What was there, and what came.
    numbers : mapping of str to float
        What the judgement rests on.
    """

    layer: str
    kind: str
    before: int
    after: int
    from_value: str | float
    to_value: str | float
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Track:
    """All that was found out about one sequence of checkpoints: frozen, picklable, plain data."""

    schema_version: str
    tool: Tool
    source: str
    settings: Mapping[str, Any]
    checkpoints: tuple[Checkpoint, ...]
    layers: tuple[Course, ...]
    transitions: tuple[Transition, ...]
    notes: tuple[str, ...] = ()

    def course(self, name: str) -> Course:
        """Find a layer by its name or tensor.

        Raises
        ------
        KeyError
            There is none.
        """
        for course in self.layers:
            if name in (course.name, course.tensor):
                return course
        raise KeyError(name)

    def to_json(self) -> str:
        """Give the result as JSON text, ending in a newline."""
        return to_json(self)

    def rows(self) -> list[dict[str, Any]]:
        """Give one flat dictionary for each layer and checkpoint where it occurs."""
        return [
            {
                "layer": course.name,
                "tensor": course.tensor,
                "checkpoint": checkpoint.label,
                "model": checkpoint.model,
                "N": course.N,
                "M": course.M,
                **{name: course.values[name][place] for name in TRACK_METRICS if name in course.values},
                "phase": course.phases[place],
                "trained": course.verdicts[place],
                "reason": course.reasons[place],
                "value_hash": course.value_hashes[place],
            }
            for course in self.layers
            for place, checkpoint in enumerate(self.checkpoints)
            if course.matched_by[place] is not None
        ]
