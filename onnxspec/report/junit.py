"""JUnit XML: one suite a model, one case a rule or finding; no times, so that equal runs give equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from onnxspec.report._plain import plain
from onnxspec.report.findings_table import coverage_line, headline
from onnxspec.results.findings import Finding, Judgement

__all__ = ["render", "xml_text"]


def render(judgements: Sequence[Judgement]) -> str:
    """Give the judgements as JUnit XML."""
    suites = [_suite(judgement) for judgement in judgements]
    totals = {name: sum(counts[name] for counts, _ in suites) for name in ("tests", "failures", "errors", "skipped")}
    attributes = " ".join(f'{name}="{count}"' for name, count in totals.items() if name != "skipped")
    body = "".join(text for _, text in suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="onnxspec" {attributes}>\n{body}</testsuites>\n'


def xml_text(text: str) -> str:
    """Escape text for XML, in attributes too; what is not printable, which XML may not hold, becomes an escape."""
    return escape(plain(text), {'"': "&quot;", "'": "&apos;"})


def _suite(judgement: Judgement) -> tuple[dict[str, int], str]:
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    lines = []
    for kind, text in _cases(judgement):
        counts["tests"] += 1
        if kind:
            counts[kind] += 1
        lines.append(text)
    facts = judgement.facts()
    properties = {"verdict": judgement.verdict, "policy": judgement.policy, "policy_hash": judgement.policy_hash}
    if facts["sha256"]:
        properties["sha256"] = facts["sha256"]
    listed = "".join(f'   <property name="{key}" value="{xml_text(value)}"/>\n' for key, value in properties.items())
    attributes = " ".join(f'{name}="{count}"' for name, count in counts.items())
    return counts, (
        f' <testsuite name="{xml_text(judgement.path)}" {attributes}>\n'
        f"  <properties>\n{listed}  </properties>\n{''.join(lines)}"
        f"  <system-out>{xml_text(headline(judgement))}&#10;{xml_text(coverage_line(judgement))}</system-out>\n"
        f" </testsuite>\n"
    )


def _cases(judgement: Judgement) -> Iterator[tuple[str, str]]:
    """Give each case with the count that it raises."""
    if judgement.problem is not None:
        yield "errors", _case(judgement, "input", f"   <error{_about(judgement.verdict, judgement.problem)}/>\n")
        return
    fired = {finding.code for finding in judgement.findings}
    for rule in judgement.rules:
        if rule.code not in fired:
            yield "", _case(judgement, f"{rule.code} {rule.name}", "")
    for finding in judgement.findings:
        kind, inner = _result(finding)
        yield kind, _case(judgement, f"{finding.code} {finding.name}: {finding.subject}", inner)


def _result(finding: Finding) -> tuple[str, str]:
    """Say what a finding is to JUnit: it knows failures, errors and skips alone."""
    if finding.state in ("known", "waived"):
        note = f"waived by {finding.waiver}" if finding.waiver else "in the baseline"
        return "skipped", f'   <skipped message="{xml_text(f"{note}: {finding.message}")}"/>\n'
    if finding.state == "inconclusive":
        if finding.fails:
            return "errors", f"   <error{_about('inconclusive', finding.message)}/>\n"
        return "skipped", f'   <skipped message="{xml_text(f"undecided: {finding.message}")}"/>\n'
    if finding.fails:
        return "failures", f"   <failure{_about(finding.severity, finding.message)}/>\n"
    return "", f"   <system-out>{xml_text(f'{finding.severity}: {finding.message}')}</system-out>\n"


def _about(kind: str, message: str) -> str:
    return f' type="{xml_text(kind)}" message="{xml_text(message)}"'


def _case(judgement: Judgement, name: str, inner: str) -> str:
    opening = f'  <testcase classname="{xml_text(judgement.path)}" name="{xml_text(name)}"'
    return f"{opening}>\n{inner}  </testcase>\n" if inner else f"{opening}/>\n"
