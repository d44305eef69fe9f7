"""Check plain TOML data against a schema; the error names the key."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Path", "PolicyFault", "validate"]

Path = tuple[str | int, ...]
"""Keys and positions from the top of the file to a value."""


class PolicyFault(Exception):  # noqa: N818 - it becomes a UsageError with its line
    """What is wrong, and where."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def validate(schema: Mapping[str, Any], value: Any, path: Path = ()) -> None:
    """Refuse what the schema does not allow.

    Parameters
    ----------
    schema : Mapping
        In the part of JSON Schema that `onnxspec.policy.schema` uses.
    value : object
        From a TOML reader.
    path : tuple
        Where the value stands.

    Raises
    ------
    PolicyFault
        Names the first key that is wrong.
    """
    if "enum" in schema:
        if value not in schema["enum"] or isinstance(value, bool):
            raise PolicyFault(path, f"is {_shown(value)}; it must be one of {', '.join(map(str, schema['enum']))}")
        return
    kind = schema["type"]
    if kind == "object":
        _table(schema, value, path)
    elif kind == "array":
        _array(schema, value, path)
    elif kind == "string":
        _string(schema, value, path)
    elif kind == "boolean":
        _expect(isinstance(value, bool), path, value, "true or false")
    else:
        _number(schema, value, path)


def _table(schema: Mapping[str, Any], value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        raise PolicyFault(path, f"is {_shown(value)}; it must be a table")
    known, others = schema.get("properties", {}), schema["additionalProperties"]
    for key, item in value.items():
        if key in known:
            validate(known[key], item, (*path, key))
        elif others is False:
            from difflib import get_close_matches

            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise PolicyFault((*path, key), f"is unknown; {hint}")
        else:
            validate(others, item, (*path, key))
    for key in schema.get("required", ()):
        if key not in value:
            raise PolicyFault(path, f"lacks {key}")
    options = [option["required"][0] for option in schema.get("anyOf", ())]
    if options and not any(option in value for option in options):
        raise PolicyFault(path, f"needs {' or '.join(options)}")


def _array(schema: Mapping[str, Any], value: Any, path: Path) -> None:
    if not isinstance(value, list):
        raise PolicyFault(path, f"is {_shown(value)}; it must be an array")
    if len(value) > schema["maxItems"]:
        raise PolicyFault(path, f"has {len(value)} items, more than {schema['maxItems']}")
    for position, item in enumerate(value):
        validate(schema["items"], item, (*path, position))


def _string(schema: Mapping[str, Any], value: Any, path: Path) -> None:
    if schema.get("format") == "date":
        is_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
        _expect(is_date, path, value, "a date without quotes, such as 2027-01-31")
        return
    _expect(isinstance(value, str), path, value, "a text in quotes")
    _expect(len(value) >= schema.get("minLength", 0), path, value, "a text that is not empty")
    if "pattern" in schema:
        _expect(re.fullmatch(schema["pattern"], value) is not None, path, value, "a hash, as reports print it")


def _number(schema: Mapping[str, Any], value: Any, path: Path) -> None:
    whole = schema["type"] == "integer"
    numeric = isinstance(value, int) if whole else isinstance(value, (int, float))
    _expect(numeric and not isinstance(value, bool), path, value, "an integer" if whole else "a number")
    least, largest = schema["minimum"], schema.get("maximum", 2**63)
    inside = math.isfinite(value) if isinstance(value, float) else True
    _expect(inside and least <= value <= largest, path, value, f"between {least:g} and {largest:g}")


def _expect(condition: bool, path: Path, value: Any, what: str) -> None:
    if not condition:
        raise PolicyFault(path, f"is {_shown(value)}; it must be {what}")


def _shown(value: Any) -> str:
    """Show a value, shortened and without control characters."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "an integer of more than 64 bits"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
