"""The objects of SARIF 2.1.0 that onnxspec writes, as the published schema has them.

Transcribed by hand: no package that the tests may install carries the schema. Each object lists
only what onnxspec uses, so it allows less than the original and never more.
"""

from __future__ import annotations

from typing import Any

LEVEL = {"enum": ["none", "note", "warning", "error"]}
TEXT = {"type": "string"}
INDEX = {"type": "integer", "minimum": -1}
BAG = {
    "type": "object",
    "properties": {"tags": {"type": "array", "uniqueItems": True, "items": TEXT}},
    "additionalProperties": True,
}


def only(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def several(items: Any, *, unique: bool = False) -> dict[str, Any]:
    return {"type": "array", "items": items, "uniqueItems": unique}


MESSAGE = only(("text",), text=TEXT)
FORMATTED = only(("text",), text=TEXT, markdown=TEXT)
ARTIFACT_LOCATION = only(uri={"type": "string", "format": "uri-reference"}, index=INDEX)
PHYSICAL = only(
    ("artifactLocation",),
    artifactLocation=ARTIFACT_LOCATION,
    region=only(startLine={"type": "integer", "minimum": 1}),
)
LOCATION = only(
    physicalLocation=PHYSICAL, logicalLocations=several(only(name=TEXT, kind=TEXT), unique=True), properties=BAG
)
RULE = only(
    ("id",),
    id=TEXT,
    name=TEXT,
    shortDescription=FORMATTED,
    fullDescription=FORMATTED,
    help=FORMATTED,
    defaultConfiguration=only(level=LEVEL),
    properties=BAG,
)
ARTIFACT = only(
    location=ARTIFACT_LOCATION,
    length={"type": "integer", "minimum": -1},
    roles=several({"enum": ["analysisTarget"]}, unique=True),
    hashes={"type": "object", "additionalProperties": TEXT},
)
NOTIFICATION = only(("message",), message=MESSAGE, level=LEVEL, locations=several(LOCATION, unique=True))
RESULT = only(
    ("message",),
    ruleId=TEXT,
    ruleIndex=INDEX,
    kind={"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},
    level=LEVEL,
    message=MESSAGE,
    locations=several(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    baselineState={"enum": ["new", "unchanged", "updated", "absent"]},
    suppressions=several(
        only(
            ("kind",),
            kind={"enum": ["inSource", "external"]},
            status={"enum": ["accepted", "underReview", "rejected"]},
            justification=TEXT,
        ),
        unique=True,
    ),
    properties=BAG,
)
RUN = only(
    ("tool",),
    tool=only(
        ("driver",),
        driver=only(("name",), name=TEXT, version=TEXT, semanticVersion=TEXT, rules=several(RULE, unique=True)),
    ),
    invocations=several(
        only(
            ("executionSuccessful",),
            executionSuccessful={"type": "boolean"},
            toolExecutionNotifications=several(NOTIFICATION),
        )
    ),
    artifacts=several(ARTIFACT, unique=True),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=several(RESULT),
    properties=BAG,
)
SARIF = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    **only(
        ("version", "runs"),
        **{"$schema": {"type": "string", "format": "uri"}, "version": {"enum": ["2.1.0"]}, "runs": several(RUN)},
    ),
}
