"""JSON Schemas of results, from the type hints of the dataclasses that they are made of."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin

from onnxspec.catalogue import Entry, find
from onnxspec.results import SCHEMA_VERSION, Layer, Layers, Report
from onnxspec.results.series import SERIES_SCHEMA_VERSION, Series
from onnxspec.results.tracking import TRACK_SCHEMA_VERSION, Track

__all__ = ["comparison_schema", "report_schema", "series_schema", "track_schema"]

_PREFIXES = {"Relation": "series", "Paradox": "series"}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of what `Report.to_json` writes.

    It is as strict as `Report.from_json`: unknown keys and wrong types are refused.

    Returns
    -------
    dict
        Ready for `json.dumps`.
    """
    told = f"Report of one model, version {SCHEMA_VERSION}. Several models are an array of reports."
    return _schema(Report, "report", SCHEMA_VERSION, told)


def series_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of what `Series.to_json` writes.

    Returns
    -------
    dict
        Ready for `json.dumps`.
    """
    told = f"What series found out, version {SERIES_SCHEMA_VERSION}. A group that is null means all models."
    return _schema(Series, "series", SERIES_SCHEMA_VERSION, told)


def track_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of what `Track.to_json` writes.

    Returns
    -------
    dict
        Ready for `json.dumps`.
    """
    told = f"What track found out, version {TRACK_SCHEMA_VERSION}. Arrays in layers have one place a checkpoint."
    return _schema(Track, "track", TRACK_SCHEMA_VERSION, told)


def _schema(cls: type, name: str, version: str, description: str, *, key: str = "schema_version") -> dict[str, Any]:
    """Describe one kind of file."""
    definitions: dict[str, Any] = {}
    root = _object(cls, definitions)
    root["properties"][key] = {"const": version}
    return {
        "$schema": DIALECT,
        "$id": f"urn:onnxspec:{name}:{version}",
        "title": f"onnxspec {name}",
        "description": description,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def comparison_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of what `Comparison.to_json` writes.

    Returns
    -------
    dict
        Ready for `json.dumps`.
    """
    from onnxspec.results.comparison import COMPARISON_VERSION, Comparison

    told = f"What became of model a in model b, version {COMPARISON_VERSION}."
    return _schema(Comparison, "comparison", COMPARISON_VERSION, told, key="comparison_version")


def _object(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """Describe one dataclass."""
    hints = typing.get_type_hints(cls)
    properties = {}
    required = []
    for f in fields(cls):
        described = _described(hints[f.name], definitions)
        entry = _entry_of(cls, f.name)
        properties[f.name] = described if entry is None else {"description": _sentence(entry), **described}
        if f.default is MISSING and f.default_factory is MISSING:
            required.append(f.name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _entry_of(cls: type, name: str) -> Entry | None:
    """Find what the catalogue says about a field, under its full name or, of layers and summary, its own."""
    full = f"{_PREFIXES.get(cls.__name__, cls.__name__.lower())}.{name}"
    found = [entry for candidate in (full, name) for entry in find(candidate, "metric") if entry.name == candidate]
    return found[0] if found and (found[0].name == full or cls.__name__ in ("Layer", "Summary")) else None


def _sentence(entry: Entry) -> str:
    return f"{entry.title}: {entry.formula}" if entry.formula else entry.title


def _described(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Describe one type."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin in (Union, types.UnionType):
        options = [_described(arg, definitions) for arg in args]
        kinds = [option["type"] for option in options if set(option) == {"type"}]
        return {"type": kinds} if len(kinds) == len(options) else {"anyOf": options}
    if origin is Literal:
        return {"enum": list(args)}
    if hint is Layers:
        return {"type": "array", "items": _described(Layer, definitions)}
    if origin is tuple:
        return _array(args, definitions)
    if origin is Mapping:
        values = _described(args[1], definitions)
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return {"type": names[hint]}


def _array(args: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    """Describe a tuple: of any length, or of these items."""
    if len(args) == 2 and args[1] is Ellipsis:
        return {"type": "array", "items": _described(args[0], definitions)}
    items = [_described(arg, definitions) for arg in args]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
