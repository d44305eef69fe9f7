"""Frozen results to JSON and back, by their type hints; anything unknown is refused."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from json.encoder import encode_basestring_ascii as _text
from typing import Any, Literal, Union, get_args, get_origin

from onnxspec.errors import ReportError
from onnxspec.limits import DEFAULT_LIMITS

__all__ = ["decode", "encode", "parse", "to_json"]


_SCALARS = {str, float, int, bool}


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))


def encode(value: Any) -> Any:
    """Turn frozen results into what `json.dumps` takes."""
    if value is None or type(value) in _SCALARS:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: encode(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [encode(item) for item in value]
    return value


def to_json(value: Any) -> str:
    """Give results as JSON text; NaN and infinities are a bug and raise ValueError."""
    return _written(encode(value), 0) + "\n"


def _written(value: Any, depth: int) -> str:
    """Write what ``json.dumps(value, indent=1)`` does; that has no compiled encoder for indented text."""
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if not isinstance(value, (dict, list)) or not value:
        return _encoder(0).encode(value)
    pad = "\n" + " " * (depth + 1)
    if not any(isinstance(item, (dict, list)) for item in (value.values() if isinstance(value, dict) else value)):
        body = _encoder(depth + 1).encode(value)[1:-1]
    elif isinstance(value, dict):
        body = f",{pad}".join(f"{_text(key)}: {_written(item, depth + 1)}" for key, item in value.items())
    else:
        body = f",{pad}".join(_written(item, depth + 1) for item in value)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{pad}{body}{pad[:-1]}{closing}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    return repr(value)


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: repr,
    float: _number,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
"""How single values are written: an encoder takes ten times as long to make ready."""


@cache
def _encoder(depth: int) -> json.JSONEncoder:
    """Give the encoder of values that hold no further container, one to a line."""
    return json.JSONEncoder(allow_nan=False, ensure_ascii=True, separators=(",\n" + " " * depth, ": "))


def parse(text: str | bytes) -> Any:
    """Read JSON text of a bounded size; NaN, infinities and endless nesting are refused."""
    if len(text) > DEFAULT_LIMITS.report_bytes:
        raise ReportError(f"The report is larger than {DEFAULT_LIMITS.report_bytes} bytes.")
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"The report is no valid JSON: {error}.") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    """Read a number; ``1e999`` is valid JSON and infinite."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def decode(hint: Any, data: Any, where: str) -> Any:
    """Check `data` against a type hint and build what it describes."""
    if hint is Any:
        return data
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        return decode(next(arg for arg in args if arg is not type(None)), data, where)
    if origin is Literal:
        if data not in args:
            raise ReportError(f"{where} is {str(data)[:40]!r}; expected one of {', '.join(map(str, args))}.")
        return data
    item = getattr(hint, "ITEM", None)
    if item is not None:
        _expect(isinstance(data, list), data, where, "an array")
        return hint([decode(item, value, f"{where}[{index}]") for index, value in enumerate(data)])
    if origin is tuple:
        return _items(hint, data, where)
    if origin is Mapping:
        _expect(isinstance(data, dict), data, where, "an object")
        return {key: decode(args[1], item, f"{where}.{key[:60]}") for key, item in data.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return _decode_dataclass(hint, data, where)
    if hint is float:
        _expect(isinstance(data, (int, float)) and not isinstance(data, bool), data, where, "a number")
        _expect(isinstance(data, float) or abs(data) <= 2**1023, data, where, "a number of float64's range")
        return float(data)
    if hint is int:
        _expect(isinstance(data, int) and not isinstance(data, bool), data, where, "an integer")
        return data
    _expect(isinstance(data, hint), data, where, f"a {hint.__name__}")
    return data


def _items(hint: Any, data: Any, where: str) -> tuple[Any, ...]:
    args = get_args(hint)
    _expect(isinstance(data, list), data, where, "an array")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(decode(args[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    _expect(len(data) == len(args), data, where, f"an array of {len(args)}")
    return tuple(decode(arg, item, f"{where}[{index}]") for index, (arg, item) in enumerate(zip(args, data)))


def _decode_dataclass(cls: type, data: Any, where: str) -> Any:
    _expect(isinstance(data, dict), data, where, "an object")
    known = {f.name: f for f in fields(cls)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ReportError(f"{where} has the unknown key {unknown[0][:60]!r}; was it written by a newer onnxspec?")
    hints = _hints(cls)
    values = {}
    for name, f in known.items():
        if name in data:
            values[name] = decode(hints[name], data[name], f"{where}.{name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ReportError(f"{where} lacks the key {name!r}.")
    return cls(**values)


def _expect(condition: bool, data: Any, where: str, what: str) -> None:
    if not condition:
        raise ReportError(f"{where} is {type(data).__name__}; expected {what}.")
