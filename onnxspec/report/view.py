"""Which layers a table shows, and in which order: ``--where``, ``--sort`` and ``--top``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from onnxspec.errors import UsageError
from onnxspec.results import Layer, Layers, Report

__all__ = ["View", "view"]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*")
_SHORT = {"trained": "trained.verdict", "health": "health.tail"}


@dataclass(frozen=True)
class View:
    """What of a report a table shows; numbers and summary stay those of the whole report.

    Attributes
    ----------
    where : tuple of str
        Conditions such as ``alpha>6`` or ``trained=noise``; all must hold. A missing value
        fulfils none but ``=null``; ``!=null`` finds what is there.
    sort : str or None
        Field to sort by, largest first with a minus before it; missing values come last.
    top : int or None
        Layers at most.
    layer : tuple of str
        Globs on id, name or tensor, one of which must fit.
    """

    where: tuple[str, ...] = ()
    sort: str | None = None
    top: int | None = None
    layer: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != View()


def view(report: Report, wanted: View) -> Report:
    """Give the report with the layers that are wanted, in the order that is wanted.

    Raises
    ------
    UsageError
        A field does not exist, or a condition cannot be read.
    """
    layers = [layer for layer in report.layers if not wanted.layer or _fits(layer, wanted.layer)]
    for condition in wanted.where:
        holds = _condition(condition)
        layers = [layer for layer in layers if holds(layer)]
    if wanted.sort is not None:
        layers = _sorted(layers, wanted.sort)
    return replace(report, layers=Layers(layers[: wanted.top]))


def _fits(layer: Layer, globs: Sequence[str]) -> bool:
    names = (layer.id, layer.name, layer.tensor)
    return any(name == glob or fnmatchcase(name, glob) for name in names for glob in globs)


def _condition(text: str) -> Callable[[Layer], bool]:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(f"--where is {text!r}; it must be FIELD, one of < <= > >= = !=, and a value, as in 'alpha>6'.")
    name, sign, value = found.groups()
    get, compare = _getter(name), _COMPARE[sign]
    number = _number(value)

    def holds(layer: Layer) -> bool:
        actual = get(layer)
        if value == "null":
            return compare(actual is None, True)
        if actual is None:
            return False
        if isinstance(actual, (int, float)) and not isinstance(actual, bool):
            return number is not None and compare(float(actual), number)
        return sign in ("=", "!=") and compare(str(actual).lower(), value.lower())

    return holds


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _sorted(layers: Sequence[Layer], name: str) -> list[Layer]:
    get, falling = _getter(name.removeprefix("-")), name.startswith("-")
    known = [layer for layer in layers if get(layer) is not None]
    kinds = {isinstance(get(layer), (int, float)) for layer in known}
    by: Callable[[Layer], Any] = get if kinds == {True} else lambda layer: str(get(layer))
    return sorted(known, key=by, reverse=falling) + [layer for layer in layers if get(layer) is None]


def _getter(name: str) -> Callable[[Layer], Any]:
    """Give what reads a field, or a key of a nested field as in ``mp.sigma_mp``."""
    first, *rest = _SHORT.get(name, name).split(".")
    if first not in {f.name for f in fields(Layer)}:
        known = ", ".join(f.name for f in fields(Layer) if f.name not in ("plot", "evals", "reasons"))
        raise UsageError(f"Layers have no field {first!r}; they have {known}.")

    def get(layer: Layer) -> Any:
        value: Any = getattr(layer, first)
        for key in rest:
            value = value.get(key) if hasattr(value, "get") else getattr(value, key, None)
        return value

    return get
