"""The calls of the package: from the path of a model to its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxspec.engine.assemble import assemble
from onnxspec.engine.blas import one_blas_thread
from onnxspec.engine.job import Job, sort_options
from onnxspec.engine.plan import patterns_of, refusal
from onnxspec.engine.reuse import stored
from onnxspec.engine.run import run_layers
from onnxspec.errors import TensorError
from onnxspec.graph import SurveyOptions, WeightMatrix, survey
from onnxspec.layers.blank import without_numbers
from onnxspec.reading import Source, open_model
from onnxspec.results import Report
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["analyze", "inspect", "iter_weights", "weightwatcher_rows"]


def analyze(
    path: str | Path | Source,
    settings: Settings | None = None,
    *,
    layer: str | Sequence[str] | None = None,
    base: str | Path | Source | None = None,
    job: Job | None = None,
    **options: Any,
) -> Report:
    """Analyse every weight matrix of an ONNX model.

    Parameters
    ----------
    path : str, Path or Source
        The model. Its external data must lie in its own folder.
    settings : Settings, optional
        What to compute, and how.
    layer : str or sequence of str, optional
        Globs on id, name or tensor; other layers are skipped with the reason ``not_selected``.
    base : str, Path or Source, optional
        A base model: then the layers are the differences to their counterparts in it, and layers
        without one are skipped with the reason ``no_base``.
    job : Job, optional
        How to run.
    **options
        Fields of `Settings` or of `Job`, such as ``conv="unfold"`` or ``jobs=2``.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        The model was rejected as a whole.
    UsageError
        An option does not exist or has a wrong value.
    """
    chosen, how = sort_options(settings, job, options)
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model:
        wanted = _wanted(chosen)
        found = survey(model, how.limits, wanted, runtime_folding=how.runtime_folding)
        if base is not None:
            from onnxspec.engine.base import analyze_delta, opened_base

            with opened_base(base, wanted, how) as opened:
                return analyze_delta(model, found, opened, chosen, how, patterns_of(layer))
        with stored(how.store) as store:
            if how.executor is None:
                layers = run_layers(found, chosen, how, patterns_of(layer), store=store, beside=model.source.sha256)
            else:
                from onnxspec.engine.remote import run_remotely, sent

                asked = sent(model, wanted, how)
                layers = run_remotely(found, chosen, how, patterns_of(layer), how.executor, asked, store)
        return assemble(model, found, layers, chosen)


def inspect(path: str | Path | Source, *, job: Job | None = None, **options: Any) -> Report:
    """List the weights of an ONNX model and how much of the file they are, without any numerics.

    The layers of the report have the status ``skipped`` and the reason
    ``not_computed``, or ``failed`` where the values cannot be read.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    """
    chosen, how = sort_options(None, job, options)
    with open_model(path, how.limits, allow_hard_links=how.allow_hard_links) as model:
        found = survey(model, how.limits, _wanted(chosen), runtime_folding=how.runtime_folding)
        layers = [
            without_numbers(weight, "failed", weight.problem.code, weight.problem.message)
            if weight.problem is not None
            else without_numbers(weight, "skipped", "not_computed", "inspect computes no numbers")
            for weight in found.weights
        ]
        return assemble(model, found, layers, None)


def iter_weights(path: str | Path | Source, *, job: Job | None = None, **options: Any) -> Iterator[WeightMatrix]:
    """Give the weight matrices of a model one by one; `WeightMatrix.load` reads the values.

    They may be collected and loaded later: the model's files stay open as long as a weight is held.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    """
    chosen, how = sort_options(None, job, options)
    model = open_model(path, how.limits, allow_hard_links=how.allow_hard_links)
    try:
        weights = survey(model, how.limits, _wanted(chosen), runtime_folding=how.runtime_folding).weights
    except BaseException:
        model.close()
        raise
    yield from weights


def weightwatcher_rows(
    path: str | Path | Source, *, base: str | Path | Source | None = None, job: Job | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Give WeightWatcher's details of every weight, or of its difference to a base model, in its names and conventions.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    """
    from onnxspec.weightwatcher import COLUMNS, details

    _, how = sort_options(None, job, options)
    rows = []
    with ExitStack() as opened, one_blas_thread():
        model = opened.enter_context(open_model(path, how.limits, allow_hard_links=how.allow_hard_links))
        everything = SurveyOptions(include=("*",))
        found = survey(model, how.limits, everything, runtime_folding=how.runtime_folding)
        whole = [weight for weight in found.weights if weight.slot.part is None or weight.role != "dense"]
        less = None
        if base is not None:
            from onnxspec.engine.base import counterparts, opened_base

            _, others = opened.enter_context(opened_base(base, everything, how))
            less = counterparts(whole, others.weights, how)
        for number, weight in enumerate(whole):
            row: dict[str, Any] = dict.fromkeys(COLUMNS)
            refused = refusal(weight, Settings(), how, (), None)
            try:
                if refused is not None:
                    raise TensorError(refused.reason or "unknown", "")
                values = weight.constant.load()
                if less is not None:
                    values = _difference(values, less.get(id(weight)))
                row |= details(values, kind="conv" if "conv" in weight.role else "dense")
            except TensorError as error:
                row |= {"status": "failed", "warning": error.code}
            rows.append(row | {"layer_id": number, "name": weight.tensor or weight.name, "longname": weight.name})
    return rows


def _difference(values: NDArray[Any], base: WeightMatrix | None) -> NDArray[Any]:
    """Take the base's values off, in the type of the weights, as WeightWatcher does.

    Raises
    ------
    TensorError
        There is no base, or it is stored in another shape.
    """
    if base is None:
        raise TensorError("no_base", "the base model has no layer that it may come from")
    other = base.constant.load()
    if other.shape != values.shape:
        raise TensorError("no_base", "its counterpart in the base model is stored in another shape")
    difference: NDArray[Any] = values - other
    return difference


def _wanted(settings: Settings) -> SurveyOptions:
    """Give what the settings ask of the survey."""
    return SurveyOptions(settings.gates, settings.include, settings.exclude, settings.roles)
