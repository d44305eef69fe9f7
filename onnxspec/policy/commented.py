"""The policy that ``onnxspec init-policy`` writes: every key, with what it means."""

from __future__ import annotations

import json
from typing import Any

from onnxspec.policy.model import Policy
from onnxspec.policy.rules import ALWAYS, RULES
from onnxspec.policy.schema import policy_schema

__all__ = ["commented"]

HEAD = """\
# Policy of `onnxspec check`. Keys that are missing here come from the profile.
# `onnxspec explain CODE` says what a rule is about; `onnxspec schema policy` prints the schema of this file.
"""

WAIVERS = """\
# A waiver tolerates one finding until a date. It holds for these very weights: give the layer's content_hash or
# value_hash, or the SHA-256 of the model file. After the date the finding counts again, and the waiver is one too.
# [[waivers]]
# rule = "OS301"
# layer = "pooler.*"
# owner = "name@example.com"
# reason = "the pooler is not used by this product"
# expires = 2027-01-31
# content_hash = "blake3:0123..."
"""

PINS = """\
# [pins]
# sha256 = ["0123..."]                               # the model file is one of these
# external = { "model.onnx.data" = "0123..." }       # external files
# layers = { "backbone.*.weight" = "blake3:0123..." }
"""

OVERRIDES = """\
# [thresholds.roles.conv]
# alpha_high = 8.0

# [thresholds.layers."classifier*"]
# alpha_high = 10.0
"""


def commented(policy: Policy) -> str:
    """Write a profile out as a TOML file with comments."""
    known: dict[str, Any] = policy_schema()["properties"]
    top = (
        ("profile", policy.name),
        ("fail_on", policy.fail_on),
        ("effort", policy.effort),
        ("select", list(policy.select)),
        ("ignore", list(policy.ignore)),
    )
    parts = [HEAD, _lines(known, top)]
    rules = "".join(
        f"# {rule.code} = {_value(rule.severity):<10}# {rule.name}: {rule.title}\n" for rule in _open_rules()
    )
    parts.append(f"[severity]\n{rules}")
    parts.append("[file]\n" + _lines(known["file"]["properties"], _file(policy)))
    parts.append("[coverage]\n" + _lines(known["coverage"]["properties"], tuple(policy.coverage.items())))
    parts.append("[thresholds]\n" + _lines(known["thresholds"]["properties"], tuple(policy.thresholds.items())))
    return "\n".join([*parts, OVERRIDES, PINS, WAIVERS])


def _open_rules() -> list[Any]:
    return [rule for rule in RULES if rule not in ALWAYS]


def _file(policy: Policy) -> tuple[tuple[str, Any], ...]:
    file = policy.file
    return (
        ("external_data", file.external_data),
        ("max_bytes", file.max_bytes),
        ("opset_min", file.opset_min),
        ("opset_max", file.opset_max),
        ("domains", list(file.domains)),
        ("dtypes", list(file.dtypes)),
    )


def _lines(known: dict[str, Any], pairs: tuple[tuple[str, Any], ...]) -> str:
    """Write keys with their descriptions; what is not set is commented out."""
    out = []
    for key, value in pairs:
        text = f"{key} = {_value(value)}" if value is not None else f"# {key} = 0"
        out.append(f"{text:<46}  # {known[key]['description']}\n")
    return "".join(out)


def _value(value: Any) -> str:
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() and value > 1 else value)
