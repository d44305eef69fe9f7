"""What `check` finds: rules, findings and the judgement of one model, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from onnxspec.results import Report

__all__ = ["SEVERITIES", "Finding", "Group", "Judgement", "RuleFacts", "Severity", "State", "Verdict"]

Severity = Literal["info", "warning", "error"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""From the least to the most severe."""

State = Literal["new", "worse", "known", "waived", "inconclusive"]
Verdict = Literal["passed", "failed", "inconclusive", "rejected"]
Group = Literal["file", "numbers", "training", "quantization", "coverage", "policy"]


@dataclass(frozen=True)
class RuleFacts:
    """What is written about one rule; plain text.

    Attributes
    ----------
    code, name : str
        ``OS201`` and ``non-finite``: both are stable.
    group : str
        What it is about.
    severity : {"info", "warning", "error"}
        Unless the policy says otherwise.
    title : str
        What it finds, in a few words.
    rationale, remedy : str
        Why that matters, and what to do.
    thresholds : tuple of str
        Keys of the policy that it reads.
    """

    code: str
    name: str
    group: Group
    severity: Severity
    title: str
    rationale: str
    remedy: str
    thresholds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A rule that fired, or could not be decided, on one subject.

    Attributes
    ----------
    code, name : str
        Of the rule.
    severity : {"info", "warning", "error"}
        After the policy's overrides.
    state : str
        ``new``; ``worse`` or ``known``: against the baseline; ``waived``; ``inconclusive``.
    message, subject : str
        One sentence, and what it is about.
    layer : str or None
        Id of the layer.
    content_hash : str or None
        Of the layer's stored bytes.
    fingerprint : str
        Of the rule and the content: the same weights give the same one under any name.
    place : str
        Of the rule and the name: the same layer of another checkpoint gives the same one.
    badness : float or None
        A number that grows with the fault.
    waiver : str or None
        Owner, reason and end of the waiver.
    fails : bool
        Whether it makes the policy fail, or leaves it inconclusive.
    """

    code: str
    name: str
    severity: Severity
    state: State
    message: str
    subject: str
    layer: str | None
    content_hash: str | None
    fingerprint: str
    place: str
    badness: float | None = None
    waiver: str | None = None
    fails: bool = False


@dataclass(frozen=True)
class Judgement:
    """What a policy says about one model.

    Attributes
    ----------
    path : str
        As given.
    verdict : {"passed", "failed", "inconclusive", "rejected"}
        ``rejected``: the input could not be read as a model or report at all.
    policy : str
        Name of the profile or policy file.
    policy_hash : str
        SHA-256 of the policy in canonical form.
    fail_on : str
        Least severity that fails.
    findings : tuple of Finding
        By severity, code and subject.
    rules : tuple of RuleFacts
        Every rule that the policy selected.
    problem : str or None
        Why there is no report.
    report : Report or None
        What was judged.
    """

    path: str
    verdict: Verdict
    policy: str
    policy_hash: str
    fail_on: Severity
    findings: tuple[Finding, ...] = ()
    rules: tuple[RuleFacts, ...] = ()
    problem: str | None = None
    report: Report | None = None

    def counts(self) -> dict[str, int]:
        """Count the findings by what follows from them."""
        found = {"failing": 0, "undecided": 0, "reported": 0, "known": 0, "waived": 0}
        for finding in self.findings:
            found[_consequence(finding)] += 1
        return found

    def facts(self) -> dict[str, Any]:
        """Give hash, size and coverage of the model, null without a report."""
        model = self.report.model if self.report else None
        coverage = self.report.coverage if self.report else None
        return {
            "sha256": model.sha256 if model else None,
            "bytes": model.bytes if model else None,
            "slots": coverage.slots if coverage else None,
            "slots_analyzed": coverage.slots_analyzed if coverage else None,
            "parameters_total": coverage.parameters_total if coverage else None,
            "parameters_analyzed": coverage.parameters_analyzed if coverage else None,
        }


def _consequence(finding: Finding) -> str:
    if finding.state in ("known", "waived"):
        return finding.state
    if finding.state == "inconclusive":
        return "undecided"
    return "failing" if finding.fails else "reported"
