"""Judgements as JSON: verdicts and findings, without the layers of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxspec.results.codec import encode, to_json
from onnxspec.results.findings import Judgement

__all__ = ["render"]


def render(judgements: Sequence[Judgement]) -> str:
    """Give one object for one judgement, an array for several."""
    found = [_judgement(judgement) for judgement in judgements]
    return to_json(found[0] if len(found) == 1 else found)


def _judgement(judgement: Judgement) -> dict[str, Any]:
    report = judgement.report
    return {
        "schema_version": "1",
        "tool": encode(report.tool) if report else None,
        "model": {"path": judgement.path, **judgement.facts()},
        "policy": {"name": judgement.policy, "hash": judgement.policy_hash, "fail_on": judgement.fail_on},
        "verdict": judgement.verdict,
        "problem": judgement.problem,
        "counts": judgement.counts(),
        "rules": [rule.code for rule in judgement.rules],
        "findings": [encode(finding) for finding in judgement.findings],
    }
