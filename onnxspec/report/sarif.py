"""SARIF 2.1.0, within the limits of GitHub code scanning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from onnxspec import __version__
from onnxspec.report._plain import plain, shortened
from onnxspec.results.findings import Finding, Judgement, RuleFacts

__all__ = ["MAX_BYTES", "MAX_RESULTS", "render"]

MAX_RESULTS = 5_000
"""Results of one run that GitHub shows."""

MAX_BYTES = 10_000_000
"""Largest file that GitHub takes (compressed there, plain here)."""

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
TEXT_LENGTH = 1000


def render(judgements: Sequence[Judgement]) -> str:
    """Give the judgements as one SARIF run; the most severe findings come first."""
    artifacts, places = _artifacts(judgements)
    results = _results(judgements, places)
    kept = min(len(results), MAX_RESULTS)
    while True:
        text = (
            json.dumps(_log(judgements, artifacts, results[:kept], len(results) - kept), indent=1, ensure_ascii=True)
            + "\n"
        )
        if len(text) <= MAX_BYTES or kept == 0:
            return text
        kept = kept * 9 // 10


def _log(
    judgements: Sequence[Judgement], artifacts: list[dict[str, Any]], results: list[dict[str, Any]], left_out: int
) -> dict[str, Any]:
    """Put the log together."""
    rules = _rules(judgements)
    notifications = [_notification(judgement) for judgement in judgements if judgement.problem]
    if left_out:
        text = f"{left_out} findings are left out, as GitHub shows {MAX_RESULTS} and takes {MAX_BYTES} bytes."
        notifications.append({"level": "warning", "message": {"text": text}})
    invocation: dict[str, Any] = {"executionSuccessful": not any(judgement.problem for judgement in judgements)}
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    driver = {"name": "onnxspec", "version": __version__, "semanticVersion": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "artifacts": artifacts,
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"onnxspec": [_properties(judgement) for judgement in judgements]},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rules(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    rules = {rule.code: rule for judgement in judgements for rule in judgement.rules}
    return [_rule(rules[code]) for code in sorted(rules)]


def _rule(rule: RuleFacts) -> dict[str, Any]:
    """Describe a rule."""
    words = "".join(part.capitalize() for part in rule.name.split("-"))
    return {
        "id": rule.code,
        "name": words,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.rationale},
        "help": {
            "text": f"{rule.rationale}\n\nWhat to do: {rule.remedy}",
            "markdown": f"{rule.rationale}\n\n**What to do:** {rule.remedy}\n\n`onnxspec explain {rule.code}`",
        },
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": ["onnx", rule.group], "problem.severity": _github_severity(rule.severity)},
    }


def _github_severity(severity: str) -> str:
    return {"error": "error", "warning": "warning"}.get(severity, "recommendation")


def _artifacts(judgements: Sequence[Judgement]) -> tuple[list[dict[str, Any]], list[int]]:
    """Give the files, each once as SARIF demands, and the place of each judgement's file among them."""
    artifacts: list[dict[str, Any]] = []
    places = []
    for judgement in judgements:
        artifact = _artifact(judgement)
        if artifact not in artifacts:
            artifacts.append(artifact)
        places.append(artifacts.index(artifact))
    return artifacts, places


def _results(judgements: Sequence[Judgement], files: Sequence[int]) -> list[dict[str, Any]]:
    """Give every finding as a result, failing ones of all models first."""
    codes = sorted({rule.code for judgement in judgements for rule in judgement.rules})
    places = {code: index for index, code in enumerate(codes)}
    found = [(judgement, at, finding) for at, judgement in zip(files, judgements) for finding in judgement.findings]
    found.sort(key=lambda item: not item[2].fails)
    return [_result(judgement, at, finding, places) for judgement, at, finding in found]


def _result(judgement: Judgement, at: int, finding: Finding, places: dict[str, int]) -> dict[str, Any]:
    """Describe one finding; what could not be decided is of the kind ``open``."""
    undecided = finding.state == "inconclusive"
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(judgement.path), "index": at},
            "region": {"startLine": 1},
        },
        "logicalLocations": [
            {"name": _text(finding.subject, 256), "kind": "layer" if finding.layer is not None else "model"}
        ],
    }
    result: dict[str, Any] = {
        "ruleId": finding.code,
        **({"ruleIndex": places[finding.code]} if finding.code in places else {}),
        "kind": "open" if undecided else "fail",
        "level": "none" if undecided else LEVELS[finding.severity],
        "message": {"text": f"{_text(finding.subject, 256)}: {_text(finding.message, TEXT_LENGTH)}"},
        "locations": [location],
        "partialFingerprints": {"onnxspecContent/v1": finding.fingerprint, "onnxspecPlace/v1": finding.place},
        "properties": {"state": finding.state, "fails": finding.fails},
    }
    if finding.content_hash is not None:
        result["properties"]["contentHash"] = _text(finding.content_hash, 100)
    if finding.badness is not None:
        result["properties"]["badness"] = finding.badness
    if finding.state in ("known", "worse"):
        result["baselineState"] = "unchanged" if finding.state == "known" else "updated"
    if finding.state == "waived":
        note = _text(finding.waiver or "", TEXT_LENGTH)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": note}]
    return result


def _artifact(judgement: Judgement) -> dict[str, Any]:
    facts = judgement.facts()
    artifact: dict[str, Any] = {"location": {"uri": _uri(judgement.path)}, "roles": ["analysisTarget"]}
    if facts["bytes"] is not None:
        artifact["length"] = facts["bytes"]
    if facts["sha256"]:
        artifact["hashes"] = {"sha-256": facts["sha256"]}
    return artifact


def _properties(judgement: Judgement) -> dict[str, Any]:
    return {
        "path": plain(judgement.path),
        "verdict": judgement.verdict,
        "policy": judgement.policy,
        "policyHash": judgement.policy_hash,
        "counts": judgement.counts(),
        "coverage": judgement.facts(),
    }


def _notification(judgement: Judgement) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": _text(judgement.problem or "", TEXT_LENGTH)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(judgement.path)}}}],
    }


def _uri(path: str) -> str:
    """Give a path as a URI reference: relative ones stay relative."""
    pure = PurePath(path)
    prefix = "file://" if pure.is_absolute() else ""
    try:
        path_bytes = pure.as_posix().encode("utf-8", "surrogateescape")  # as the file system has it
    except UnicodeEncodeError:
        path_bytes = pure.as_posix().encode("utf-8", "surrogatepass")
    return prefix + quote(path_bytes, safe="/~!$&'()*+,;=@")


def _text(text: str, length: int) -> str:
    return shortened(plain(text), length)
