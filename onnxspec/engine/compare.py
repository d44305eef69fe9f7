"""Compare two models: analyse both, pair their layers, and look at the values of each pair."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onnxspec.engine.assemble import assemble
from onnxspec.engine.blas import one_blas_thread
from onnxspec.engine.cores import usable_cores
from onnxspec.engine.job import Job, sort_options
from onnxspec.engine.plan import patterns_of
from onnxspec.engine.run import run_layers
from onnxspec.errors import TensorError
from onnxspec.graph import Survey, SurveyOptions, WeightMatrix, survey
from onnxspec.layers.blank import blank_layer
from onnxspec.reading import Source, open_model
from onnxspec.results import Layer, Report
from onnxspec.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from onnxspec.comparing.align import Candidate, Match
    from onnxspec.graph.values import Values
    from onnxspec.results import Quantization
    from onnxspec.results.comparison import Comparison, LayerPair

    Array = NDArray[np.float64]

__all__ = ["Compared", "compare", "compare_fully"]

COPIES = 8
"""Float64 copies of a layer that comparing its values needs at most."""

FLOPS = 2e9
_OWN = (
    *("id", "name", "op_type", "role", "tensor", "used_by", "shape", "dtype", "quantization", "parameters"),
    *("chain", "copies", "place", "depth", "batch_norm", "averaged"),
)
"""Fields of a layer that say where it stands and not what its values are."""


def compare(
    a: str | Path | Source | Report,
    b: str | Path | Source | Report,
    settings: Settings | None = None,
    *,
    layer: str | Sequence[str] | None = None,
    job: Job | None = None,
    **options: Any,
) -> Comparison:
    """Say what became of every layer of model a in model b.

    Parameters
    ----------
    a, b : str, Path, Source or Report
        Two models. If one of them is a report, the comparison says what reports hold:
        hashes, metrics and leading eigenvalues.
    settings : Settings, optional
        How the two are analysed; by default with ``effort="fast"``.
    layer : str or sequence of str, optional
        Globs on the layers of a; all of b are candidates.
    job : Job, optional
        How to run.
    **options
        Fields of `Settings` or of `Job`.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        A model was rejected as a whole.
    UsageError
        An option does not exist or has a wrong value.
    """
    return compare_fully(a, b, settings, layer=layer, job=job, **options).comparison


@dataclass(frozen=True)
class Compared:
    """A comparison, and the reports of the two models that were made for it."""

    comparison: Comparison
    reports: tuple[Report, Report]


def compare_fully(
    a: str | Path | Source | Report,
    b: str | Path | Source | Report,
    settings: Settings | None = None,
    *,
    layer: str | Sequence[str] | None = None,
    job: Job | None = None,
    **options: Any,
) -> Compared:
    """Compare as `compare` does, and give the reports of the two models too."""
    from onnxspec.comparing.assemble import compare_reports
    from onnxspec.engine.analysis import analyze

    chosen, how = sort_options(settings or Settings(effort="fast"), job, options)
    if isinstance(a, Report) or isinstance(b, Report):
        reports = [x if isinstance(x, Report) else analyze(x, chosen, job=how) for x in (a, b)]
        return Compared(compare_reports(reports[0], reports[1]), (reports[0], reports[1]))
    limits = how.limits
    with (
        open_model(a, limits, allow_hard_links=how.allow_hard_links) as model_a,
        open_model(b, limits, allow_hard_links=how.allow_hard_links) as model_b,
    ):
        options_of_survey = SurveyOptions(chosen.gates, chosen.include, chosen.exclude, chosen.roles)
        found_a, found_b = (
            survey(model, limits, options_of_survey, runtime_folding=how.runtime_folding)
            for model in (model_a, model_b)
        )
        same_file = (
            model_a.source.sha256() == model_b.source.sha256()
            and not model_a.external_files()
            and len(found_a.weights) == len(found_b.weights)
        )
        sides = _Sides(found_a, found_b, chosen, how, patterns_of(layer), same_file=same_file)
        reports = [
            assemble(model_a, found_a, sides.layers_a, chosen),
            assemble(model_b, found_b, sides.layers_b, chosen),
        ]
        return Compared(sides.compared((reports[0], reports[1])), (reports[0], reports[1]))


class _Sketching:
    """A weight that is read once, and of which some values are kept."""

    def __init__(self, weight: WeightMatrix, limit: int) -> None:
        self._weight, self._limit = weight, limit
        self._held: tuple[Values, Quantization | None] | None = None
        self._hash: str | None = None
        self.sketch: Array | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._weight, name)

    def content_hash(self) -> str:
        """Hash as `WeightMatrix.content_hash` does, once."""
        if self._hash is None:
            self._hash = self._weight.content_hash()
        return self._hash

    def read(self) -> tuple[Values, Quantization | None]:
        """Read as `WeightMatrix.read` does."""
        from onnxspec.comparing.align import sketch

        if self._held is None:
            self._held = self._weight.read()
            if 8 * self._weight.parameters <= self._limit:
                self.sketch = sketch(self._held[0].canonical())
        return self._held


class _Sides:
    """Both models while their layers are compared."""

    def __init__(
        self,
        found_a: Survey,
        found_b: Survey,
        settings: Settings,
        job: Job,
        patterns: tuple[str, ...],
        *,
        same_file: bool,
    ) -> None:
        self._weights = (found_a.weights, found_b.weights)
        self._job = job
        self._deadline = None if job.timeout is None else time.monotonic() + job.timeout
        self._sketches: dict[int, Array | None] = {}
        self._known: dict[Hashable, Layer] = {}
        self.layers_a = run_layers(found_a, settings, job, patterns, task=self._analysed)
        for weight, layer in zip(found_a.weights, self.layers_a):
            if layer.value_hash is not None and layer.status == "ok":
                self._known[_values_key(weight, layer.value_hash)] = layer
                if layer.content_hash is not None and weight.quantization is None:
                    self._known[_bytes_key(weight, layer.content_hash)] = layer
        self._twins: dict[int, Layer] = {}
        if same_file:
            self._twins = {id(weight): layer for weight, layer in zip(found_b.weights, self.layers_a)}
        self._seen = {
            (weight.kernel_shape, sketch.tobytes())
            for weight in found_a.weights
            if (sketch := self._sketches.get(id(weight))) is not None
        }
        self.layers_b = run_layers(found_b, settings, job, (), task=self._looked_up)

    def _analysed(self, weight: WeightMatrix, settings: Settings) -> Layer:
        """Analyse a layer of a and keep some of its values."""
        from onnxspec.layers.analyze import analyze_layer

        watched = _Sketching(weight, self._job.limits.matrix_bytes)
        layer = analyze_layer(cast("WeightMatrix", watched), settings)
        self._sketches[id(weight)] = watched.sketch
        return layer

    def _looked_up(self, weight: WeightMatrix, settings: Settings) -> Layer:
        """Take the numbers of a layer of a with the same values; analyse it where there is none."""
        from onnxspec.layers.analyze import analyze_layer
        from onnxspec.layers.value_facts import facts_of

        twin = self._twins.get(id(weight))
        if twin is not None and twin.status == "ok":
            return twin
        watched = _Sketching(weight, self._job.limits.matrix_bytes)
        if weight.quantization is None:
            try:
                content = watched.content_hash()
                known = self._known.get(_bytes_key(weight, content))
                if known is None:
                    values = watched.read()[0]
                    if self._looks_known(weight, watched.sketch):
                        known = self._known.get(_values_key(weight, facts_of(values).value_hash or ""))
                if known is not None:
                    blank = blank_layer(weight)
                    own = {name: getattr(blank, name) for name in _OWN}
                    return replace(known, **own, content_hash=content)
            except (TensorError, ValueError):
                pass  # the analysis says what is wrong with it
        layer = analyze_layer(cast("WeightMatrix", watched), settings)
        self._sketches[id(weight)] = watched.sketch
        return layer

    def _looks_known(self, weight: WeightMatrix, sketch: Array | None) -> bool:
        """Say whether a layer of a has the same values where both were looked at, before all are hashed."""
        return sketch is None or (weight.kernel_shape, sketch.tobytes()) in self._seen

    def compared(self, reports: tuple[Report, Report]) -> Comparison:
        """Pair the layers and compare each pair."""
        from onnxspec.comparing.align import Alignment, align
        from onnxspec.comparing.assemble import assemble_comparison

        picked = [
            i for i, layer in enumerate(self.layers_a) if layer.reason != "not_selected"
        ]  # what --layer left out is nobody's counterpart, and is not missing either
        candidates = [
            [self._candidate(weight, layer) for weight, layer in zip(weights, layers)]
            for weights, layers in zip(self._weights, (self.layers_a, self.layers_b))
        ]
        found = align([candidates[0][i] for i in picked], candidates[1])
        matches = [replace(match, a=picked[match.a]) for match in found.matches]
        some = len(picked) < len(self.layers_a)
        alignment = Alignment(tuple(matches), tuple(picked[i] for i in found.left_a), () if some else found.left_b)
        workers = max(1, min(self._job.jobs or usable_cores(), len(matches)))
        with one_blas_thread():
            if workers == 1:
                pairs = [self._pair(match) for match in matches]
            else:
                with ThreadPoolExecutor(workers) as pool:
                    pairs = list(pool.map(self._pair, matches))
        return assemble_comparison(reports, pairs, alignment)

    def _candidate(self, weight: WeightMatrix, layer: Layer) -> Candidate:
        """Give what is known of a layer for finding its counterpart."""
        from onnxspec.comparing.assemble import candidate_of

        groups, outputs, inputs, positions = weight.kernel_shape
        turnable = groups == 1 and positions == 1
        sides = tuple(sorted((outputs, inputs))) if turnable else (outputs, inputs)
        shape = (groups, positions, *sides)
        hashes = (layer.value_hash,) if layer.value_hash else (layer.content_hash,) if layer.content_hash else ()
        sketch = self._sketches.get(id(weight))
        return replace(candidate_of(layer), shape=shape, hashes=hashes, sketch=sketch)

    def _pair(self, match: Match) -> LayerPair:
        """Compare one pair."""
        from onnxspec.comparing.pairs import compared_pair, plain_pair
        from onnxspec.results.comparison import Change

        a, b = self.layers_a[match.a], self.layers_b[match.b]
        if match.matched_by == "values":
            change = Change("identical", "Every value is the same.", {"share_equal": 1.0, "elements": a.parameters})
            return plain_pair(a, b, match.matched_by, [change])
        problem = self._problem(a, b)
        if problem is None:
            weights = self._weights[0][match.a], self._weights[1][match.b]
            try:
                values = weights[0].read()[0].canonical(), weights[1].read()[0].canonical()
                return compared_pair((a, b), values, match.matched_by)
            except TensorError as error:
                problem = error.code, error.message
        change = Change("undecided", f"The values were not compared: {problem[1]}.")
        return plain_pair(a, b, match.matched_by, [change], reason=problem[0])

    def _problem(self, a: Layer, b: Layer) -> tuple[str, str] | None:
        """Say why the values of a pair are not to be compared."""
        for layer in (a, b):
            if layer.status != "ok" and layer.reason != "non_finite":
                return layer.reason or "failed", layer.warnings[0] if layer.warnings else "a layer failed"
        needed = COPIES * 8 * a.parameters
        if needed > self._job.limits.matrix_bytes:
            return "memory_limit", f"they need about {needed / 2**30:.1f} GiB of memory"
        cost = 2.0 * a.parameters * (a.M or 1) / FLOPS
        if self._deadline is not None and time.monotonic() + cost > self._deadline:
            return "time_limit", "no time was left"
        return None


def _values_key(weight: WeightMatrix, digest: str) -> Hashable:
    """Give what two layers must have in common to have the same numbers."""
    return "values", digest, weight.role, weight.dtype, weight.quantization is None


def _bytes_key(weight: WeightMatrix, digest: str) -> Hashable:
    """Give the same by the stored bytes, which says enough only where the bytes arrive in the same way."""
    slot = weight.slot
    folded = weight.constant.node is not None
    return "bytes", digest, weight.role, weight.shape, weight.kernel_shape, slot.form, slot.part, folded and id(weight)
