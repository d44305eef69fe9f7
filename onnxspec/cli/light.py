"""A command whose texts are taken as they are: typer loads pydantic (0.2 s of processor time) to check each option.

Where typer has no such step, or a value needs more than a look at its type, everything is left to typer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand

__all__ = ["LightCommand", "lighten"]


_NUMBERS: dict[Any, tuple[re.Pattern[str], type[int | float]]] = {
    int: (re.compile(r"[0-9]{1,9}"), int),
    float: (re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?"), float),
}


class _Light:
    """Stands for typer's coercion of one option until it is needed."""

    def __init__(self, descriptor: Any) -> None:
        self._descriptor = descriptor

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Give texts, and defaults that are of their type already, as they are."""
        annotation = self._descriptor.annotation
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if several and annotation == list[str] and isinstance(value, (list, tuple)):
            if all(isinstance(item, str) for item in value):
                return list(value)
        elif not several and type(value) is annotation and annotation in (str, int, float):
            return value
        elif not several and isinstance(value, str) and annotation in _NUMBERS:
            number = _number(value, self._descriptor)
            if number is not None:
                return number
        from typer._coercion import build_runtime_param

        return build_runtime_param(self._descriptor).coerce(value, param=param, ctx=ctx)


def _number(text: str, descriptor: Any) -> int | float | None:
    """Read a plain number within the option's bounds; None leaves the rest, and the message, to typer."""
    plain, kind = _NUMBERS[descriptor.annotation]
    info = descriptor.parameter_info
    if not plain.fullmatch(text) or info.parser is not None or info.clamp:
        return None
    number: int | float = kind(text)
    below = info.min is not None and number < info.min
    above = info.max is not None and number > info.max
    return None if below or above else number


def lighten(params: Iterable[Any]) -> None:
    """Put off typer's coercion of parameters until it is needed."""
    for param in params:
        descriptor = getattr(param, "type_descriptor", None)
        if descriptor is not None and getattr(param, "_runtime_param", param) is None:
            vars(param)["_runtime_param"] = _Light(descriptor)


class LightCommand(TyperCommand):
    """A typer command that starts without pydantic where it can."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does, with light coercion."""
        lighten(self.get_params(ctx))
        return super().parse_args(ctx, args)
