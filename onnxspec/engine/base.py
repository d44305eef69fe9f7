"""The layers of a model less those of a base model: what fine-tuning added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onnxspec._digest import TensorDigest
from onnxspec.engine.assemble import assemble
from onnxspec.engine.job import Job
from onnxspec.engine.run import run_layers
from onnxspec.errors import TensorError
from onnxspec.graph import Survey, SurveyOptions, WeightMatrix, survey
from onnxspec.layers.blank import without_numbers
from onnxspec.reading import Model, Source, open_model
from onnxspec.results import Diagnostic, Layer, Report
from onnxspec.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from onnxspec.comparing.align import Candidate
    from onnxspec.graph.values import Values

    Array = NDArray[np.float64]

__all__ = ["analyze_delta", "counterparts", "opened_base"]

TRUSTED = frozenset({"values", "content", "name"})
"""Ways of finding a counterpart that make a difference worth analysing; equal shape and place alone do not."""


@contextmanager
def opened_base(path: str | Path | Source, options: SurveyOptions, how: Job) -> Iterator[tuple[Model, Survey]]:
    """Open a base model and find its weights."""
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model:
        yield model, survey(model, how.limits, options, runtime_folding=how.runtime_folding)


def analyze_delta(
    model: Model,
    found: Survey,
    base: tuple[Model, Survey],
    settings: Settings,
    how: Job,
    patterns: tuple[str, ...],
) -> Report:
    """Analyse A - B for every layer of A that has a counterpart in B.

    Parameters
    ----------
    model, found : Model, Survey
        A.
    base : (Model, Survey)
        B.
    settings, how, patterns
        As in `onnxspec.analyze`.

    Returns
    -------
    Report
        Its layers are differences; those without a counterpart are skipped with the reason ``no_base``.
    """
    pairs = counterparts(found.weights, base[1].weights, how)

    def task(weight: WeightMatrix, chosen: Settings) -> Layer:
        from onnxspec.layers.analyze import analyze_layer

        other = pairs.get(id(weight))
        if other is None:
            return without_numbers(weight, "skipped", "no_base", "the base model has no layer that it may come from")
        return analyze_layer(cast("WeightMatrix", _Delta(weight, other)), chosen)

    layers = run_layers(found, settings, how, patterns, task=task)
    report = assemble(model, found, layers, settings)
    missing = sum(layer.reason == "no_base" for layer in layers)
    said = f"layers are differences to {base[0].source.path}; {missing} of {len(layers)} have no counterpart there"
    note = Diagnostic("base_model", "warning" if missing else "info", said, None)
    facts = {"path": base[0].source.path, "sha256": base[0].source.sha256()}
    return replace(report, settings={**report.settings, "base": facts}, diagnostics=(note, *report.diagnostics))


def counterparts(a: list[WeightMatrix], b: list[WeightMatrix], how: Job) -> Mapping[int, WeightMatrix]:
    """Find for each weight of a the one of b that it may come from, by values, content or name.

    Returns
    -------
    mapping
        From ``id(weight)`` of a to the weight of b.
    """
    from onnxspec.comparing.align import align

    sides = [[_candidate(weight, how) for weight in weights] for weights in (a, b)]
    found = align(sides[0], sides[1])
    return {id(a[m.a]): b[m.b] for m in found.matches if m.matched_by in TRUSTED}


def _candidate(weight: WeightMatrix, how: Job) -> Candidate:
    """Read a weight once for finding its counterpart."""
    from onnxspec.comparing.align import Candidate, sketch
    from onnxspec.layers.value_facts import facts_of

    known = Candidate(weight.id, weight.name, weight.kernel_shape)
    try:
        values = weight.read()[0]
        digest = facts_of(values).value_hash
        small = 8 * weight.parameters <= how.limits.matrix_bytes
        return replace(known, hashes=(digest,) if digest else (), sketch=sketch(values.canonical()) if small else None)
    except TensorError:
        return known


class _Delta:
    """A weight less its counterpart, for `onnxspec.layers.analyze.analyze_layer`."""

    dtype = "float32"
    quantization = None

    def __init__(self, weight: WeightMatrix, base: WeightMatrix) -> None:
        self._weight, self._base = weight, base

    def __getattr__(self, name: str) -> Any:
        return getattr(self._weight, name)

    def read(self) -> tuple[Values, None]:
        """Give the difference in float64."""
        import numpy as np

        from onnxspec.graph.values import Values

        own, other = self._weight.canonical(), self._base.canonical()
        with np.errstate(invalid="ignore", over="ignore"):
            difference = own - other
        return Values(self._weight.kernel_shape, difference), None

    def content_hash(self) -> str:
        """Hash the hashes of the two."""
        both = f"{self._weight.content_hash()} - {self._base.content_hash()}"
        return TensorDigest(both).name()
