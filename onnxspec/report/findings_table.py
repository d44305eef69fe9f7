"""Judgements as plain text: verdict, coverage, and one entry a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from onnxspec.report._plain import plain, shortened
from onnxspec.results.findings import Finding, Judgement

__all__ = ["coverage_line", "headline", "render"]

WIDTH = 100
MAX_SHOWN = 200


def render(judgements: Sequence[Judgement]) -> str:
    """Give the judgements as plain text."""
    return "\n".join("\n".join(_judgement(judgement)) + "\n" for judgement in judgements)


def headline(judgement: Judgement) -> str:
    """Say in one line what the policy says."""
    counts = judgement.counts()
    words = {
        "failing": "that fail",
        "undecided": "undecided",
        "reported": "reported only",
        "known": "in the baseline",
        "waived": "waived",
    }
    told = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts[key])
    findings = told or f"no findings of {len(judgement.rules)} rules"
    if judgement.problem is not None:
        findings = plain(judgement.problem)
    return f"{judgement.verdict} by the policy {plain(judgement.policy)}: {findings}"


def coverage_line(judgement: Judgement) -> str:
    """Say how much was looked at."""
    facts = judgement.facts()
    if facts["slots"] is None:
        return "Coverage: nothing was looked at"
    return (
        f"Coverage: {facts['slots_analyzed']} of {facts['slots']} weight slots, "
        f"{facts['parameters_analyzed']:,} of {facts['parameters_total']:,} parameters"
    )


def _judgement(judgement: Judgement) -> Iterator[str]:
    yield f"{plain(judgement.path)}: {headline(judgement)}"
    yield coverage_line(judgement)
    groups: dict[str, list[Finding]] = {}
    for finding in judgement.findings:
        groups.setdefault(_heading(finding, judgement), []).append(finding)
    shown = 0
    for heading, findings in groups.items():
        yield ""
        yield heading
        for finding in findings[: max(MAX_SHOWN - shown, 0)]:
            yield from _finding(finding)
        hidden = len(findings) - max(MAX_SHOWN - shown, 0)
        shown += len(findings)
        if hidden > 0:
            yield f"  and {hidden} more; -f json lists them all"


def _heading(finding: Finding, judgement: Judgement) -> str:
    if finding.state == "known":
        return "In the baseline already"
    if finding.state == "waived":
        return "Waived"
    if finding.state == "inconclusive":
        return "Undecided" if finding.fails else "Undecided, below what fails"
    return "Failing" if finding.fails else f"Reported, below {judgement.fail_on}"


def _finding(finding: Finding) -> Iterator[str]:
    worse = "worse than the baseline; " if finding.state == "worse" else ""
    yield f"  {finding.code} {finding.severity:<7} {finding.name}: {plain(shortened(finding.subject, 60))}"
    text = f"{worse}{plain(finding.message)}"
    if finding.waiver:
        text += f" (waived by {plain(finding.waiver)})"
    yield from wrap(text, WIDTH, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
