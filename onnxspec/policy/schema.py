"""What a policy file may hold: one JSON Schema, which is published and enforced."""

from __future__ import annotations

from typing import Any

from onnxspec.results.findings import SEVERITIES

__all__ = ["EFFORTS", "MODEL_THRESHOLDS", "PROFILES", "THRESHOLDS", "policy_schema"]

PROFILES = ("lenient", "standard", "strict")
EFFORTS = ("fast", "standard", "full")
MAX_ITEMS = 10_000

THRESHOLDS: dict[str, tuple[float, float, str]] = {
    "alpha_low": (1.0, 10.0, "over-trained: the whole interval of alpha lies below"),
    "alpha_high": (1.0, 1000.0, "under-trained: the whole interval of alpha lies above"),
    "noise_min_side": (10.0, 1e6, "not-told-from-noise: fewest columns of a matrix that is tested"),
    "outlier_z": (3.0, 1e6, "outlier-layer: least robust z, also where the correction for many layers asks for less"),
    "denormal_share": (0.0, 1.0, "denormal-weights: largest share of weights"),
    "rank_loss_share": (0.0, 1.0, "rank-collapse: largest share of missing directions; 1 switches it off"),
    "clipped_share": (0.0, 1.0, "clipped-codes: largest share of codes at an end of the range"),
    "unused_share": (0.0, 1.0, "unused-codes: largest share of codes without a weight"),
    "rounded_bits": (0.0, 16.0, "rounded-floats: most bits that count as rounded; 0 switches it off"),
    "noise_to_signal": (0.0, 1e6, "step-above-noise-floor: largest rounding error, relative to the weights"),
}
"""Numbers that may differ by role and layer: least and largest value, and what each is for."""

MODEL_THRESHOLDS: dict[str, tuple[float, float, str]] = {
    "noise_share": (0.0, 1.0, "mostly-noise: largest share of layers that are not told from noise"),
}

TENSOR_HASH = "^(blake3|sha256):[0-9a-f]{64}$"
SHA256 = "^[0-9a-f]{64}$"


def policy_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a policy, as a TOML reader sees it.

    Returns
    -------
    dict
        Ready for `json.dumps`. `onnxspec.policy.load` refuses what it refuses.
    """
    by_layer = _table({name: _number(*facts) for name, facts in THRESHOLDS.items()})
    everything = {name: _number(*facts) for name, facts in (THRESHOLDS | MODEL_THRESHOLDS).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:onnxspec:policy:1",
        "title": "onnxspec policy",
        "description": "Policy of `onnxspec check`, version 1, written in TOML.",
        **_table(
            {
                "profile": _choice(PROFILES, "profile that this file starts from (standard)"),
                "fail_on": _choice(SEVERITIES, "least severity that fails"),
                "effort": _choice(EFFORTS, "effort of the analysis where a model is checked and --effort is not given"),
                "select": _texts("rules to apply: codes, beginnings of codes, names, or all"),
                "ignore": _texts("rules to leave out"),
                "severity": _map({"enum": list(SEVERITIES)}, "severity by code or name of the rule"),
                "file": _file(),
                "pins": _pins(),
                "coverage": _table(
                    {
                        "slots": _number(0.0, 1.0, "share of the slots that must be analysed"),
                        "parameters": _number(0.0, 1.0, "share of the parameters that must be analysed"),
                    }
                ),
                "thresholds": _table(
                    {
                        **everything,
                        "roles": _map(by_layer, "thresholds of layers of a role"),
                        "layers": _map(by_layer, "thresholds of layers by glob on id, name or tensor; the last counts"),
                    }
                ),
                "waivers": {"type": "array", "items": _waiver(), "maxItems": MAX_ITEMS},
            }
        ),
    }


def _file() -> dict[str, Any]:
    return _table(
        {
            "external_data": {"type": "boolean", "description": "whether weights may lie outside the model file"},
            "max_bytes": _count("largest size of the model with its external files"),
            "opset_min": _count("oldest opset of ONNX's own operators"),
            "opset_max": _count("newest opset of ONNX's own operators"),
            "domains": _texts('globs of allowed operator domains; "" is ONNX\'s own', empty=True),
            "dtypes": _texts("globs of allowed types of stored weights"),
        }
    )


def _pins() -> dict[str, Any]:
    return _table(
        {
            "sha256": {
                "type": "array",
                "items": {"type": "string", "pattern": SHA256},
                "maxItems": MAX_ITEMS,
                "description": "the model file must be one of these",
            },
            "external": _map({"type": "string", "pattern": SHA256}, "SHA-256 of external files by location"),
            "layers": _map({"type": "string", "pattern": TENSOR_HASH}, "content or value hash of layers by glob"),
        }
    )


def _waiver() -> dict[str, Any]:
    table = _table(
        {
            "rule": _text("code or name of the rule"),
            "layer": _text("glob on id, name or tensor"),
            "owner": _text("who answers for it"),
            "reason": _text("why the finding is tolerated"),
            "expires": {"type": "string", "format": "date", "description": "last day, as a TOML date: 2027-01-31"},
            "content_hash": {"type": "string", "pattern": TENSOR_HASH, "description": "content or value hash"},
            "sha256": {"type": "string", "pattern": SHA256, "description": "of the model file"},
        }
    )
    needed = {"required": ["rule", "owner", "reason", "expires"]}
    return {**table, **needed, "anyOf": [{"required": ["content_hash"]}, {"required": ["sha256"]}]}


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _map(values: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "description": description}


def _choice(values: tuple[str, ...], description: str) -> dict[str, Any]:
    return {"enum": list(values), "description": description}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description}


def _texts(description: str, *, empty: bool = False) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "string"} if empty else {"type": "string", "minLength": 1}
    return {"type": "array", "items": item, "maxItems": MAX_ITEMS, "description": description}


def _number(least: float, largest: float, description: str) -> dict[str, Any]:
    return {"type": "number", "minimum": least, "maximum": largest, "description": description}


def _count(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "description": description}
