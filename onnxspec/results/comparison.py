"""Results of comparing two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from onnxspec.errors import ReportError
from onnxspec.results.codec import decode, parse, to_json
from onnxspec.results.report import Diagnostic, ModelInfo, Tool

__all__ = [
    "CHANGES",
    "COMPARISON_VERSION",
    "Change",
    "ChangeKind",
    "Comparison",
    "LayerPair",
    "MatchedBy",
    "Measure",
    "ModelMeasure",
    "Unmatched",
]

COMPARISON_VERSION = "1"

ChangeKind = Literal[
    "identical",
    "cast",
    "rounding",
    "pruned",
    "sparse_update",
    "low_rank_update",
    "batch_norm_folded",
    "channels_scaled",
    "scale_change_only",
    "permuted",
    "transposed",
    "same_spectrum",
    "dense_fine_tune",
    "reinitialised",
    "unrelated",
    "not_finite",
    "undecided",
]
CHANGES: tuple[ChangeKind, ...] = get_args(ChangeKind)
"""What can have happened to a layer."""

MatchedBy = Literal["values", "content", "spectrum", "name", "place"]


@dataclass(frozen=True)
class Change:
    """One thing that happened to a layer, with its evidence.

    Attributes
    ----------
    kind : str
        One of `CHANGES`.
    what : str
        One sentence.
    evidence : mapping
        The statistics that led to it.
    background : mapping
        The values that statistics of these names take where it did not happen.
    """

    kind: ChangeKind
    what: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    background: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One metric of a layer before and after.

    Attributes
    ----------
    name : str
        As in the report.
    a, b : float or None
        Its values in the two models.
    delta : float or None
        ``b - a``.
    stderr_a, stderr_b : float or None
        Standard errors of the two.
    stderr : float or None
        Standard error of the difference, where both have one.
    """

    name: str
    a: float | None
    b: float | None
    delta: float | None
    stderr_a: float | None = None
    stderr_b: float | None = None
    stderr: float | None = None


@dataclass(frozen=True)
class ModelMeasure:
    """One metric of the whole model: its mean over the pairs that can be compared.

    Attributes
    ----------
    name : str
        As in the report of a layer.
    pairs : int
        Pairs in which both layers have it.
    a, b : float
        Means.
    delta_mean : float
        Mean of ``b - a``.
    delta_min, delta_max : float
        Its range.
    raised, lowered : int
        Pairs in which it is larger, and smaller, in b.
    sign_p : float or None
        Two-sided p-value of the sign test; null where nothing moved.
    """

    name: str
    pairs: int
    a: float
    b: float
    delta_mean: float
    delta_min: float
    delta_max: float
    raised: int
    lowered: int
    sign_p: float | None


@dataclass(frozen=True)
class LayerPair:
    """One layer in both models, and what happened to it from a to b.

    Attributes
    ----------
    a, b : str
        Ids of the layers.
    name_a, name_b, role, parameters
        As in the reports; role and parameters of a.
    shape_a, shape_b : tuple of int
        Of the constants.
    matched_by : {"values", "content", "spectrum", "name", "place"}
        Why these two are taken for the same layer.
    verdict : str
        The first of `changes`: what happened, one of `CHANGES`.
    changes : tuple of Change
        Everything that happened, in the order in which it explains b from a.
    reversed : bool
        Whether a is what became of b (a is the cast, rounded, pruned or updated one).
    comparable : bool
        Whether metrics of the two may be held against each other.
    reason : str or None
        Why there is no more: ``needs_models``, ``memory_limit``, ...
    elements : mapping or None
        Of the values: ``relative_change`` ``||B-A||/||A||``, ``cosine``, ``share_equal``, ``max_change``.
    subspace : mapping or None
        ``overlap``: mean cos^2 between the leading singular vectors; ``vectors``, ``side``, ``background``.
    difference : mapping or None
        Spectrum of B - A.
    measures : tuple of Measure
        Metrics side by side.
    phase_a, phase_b : str or None
        Phases of training.
    audit : mapping or None
        What quantisation cost, where one of the two is quantised.
    """

    a: str
    b: str
    name_a: str
    name_b: str
    role: str
    parameters: int
    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    matched_by: MatchedBy
    verdict: ChangeKind
    changes: tuple[Change, ...]
    reversed: bool = False
    comparable: bool = True
    reason: str | None = None
    elements: Mapping[str, Any] | None = None
    subspace: Mapping[str, Any] | None = None
    difference: Mapping[str, Any] | None = None
    measures: tuple[Measure, ...] = ()
    phase_a: str | None = None
    phase_b: str | None = None
    audit: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Unmatched:
    """A layer of one model that has no counterpart in the other.

    Attributes
    ----------
    id, name, role, shape
        As in the report.
    reason : str
        ``no_layer_of_shape`` or ``no_layer_left``.
    """

    id: str
    name: str
    role: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Comparison:
    """What became of model a in model b: frozen, picklable, plain data."""

    comparison_version: str
    tool: Tool
    settings: Mapping[str, Any]
    a: ModelInfo
    b: ModelInfo
    from_reports: bool
    pairs: tuple[LayerPair, ...]
    unmatched_a: tuple[Unmatched, ...]
    unmatched_b: tuple[Unmatched, ...]
    verdicts: Mapping[str, int]
    measures: tuple[ModelMeasure, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    def to_json(self) -> str:
        """Give the comparison as JSON text (docs/json-schema), ending in a newline."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Comparison:
        """Read a comparison that `to_json` wrote.

        Raises
        ------
        ReportError
            The text is no comparison, is of another version, or has unknown keys.
        """
        data = parse(text)
        if not isinstance(data, dict) or "comparison_version" not in data:
            raise ReportError("This JSON is no onnxspec comparison: it has no comparison_version.")
        if data["comparison_version"] != COMPARISON_VERSION:
            raise ReportError(
                f"The comparison has version {str(data['comparison_version'])[:20]!r}; this onnxspec reads version "
                f"{COMPARISON_VERSION}. Make it again with this version."
            )
        found: Comparison = decode(Comparison, data, "comparison")
        return found
