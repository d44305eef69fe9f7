"""From a report and a policy to a judgement."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from onnxspec.policy.context import Context, Hit, Rule
from onnxspec.policy.load import profile
from onnxspec.policy.model import Policy, Waiver
from onnxspec.policy.rules import ALWAYS, EXPIRED, RULES, UNUSED, find
from onnxspec.results import Layer, Report
from onnxspec.results.findings import SEVERITIES, Finding, Judgement, RuleFacts, Severity, Verdict

__all__ = ["check", "selected", "without_report"]

WORSE = 0.1
"""A finding on other weights of the same name is worse where its badness grew by more than this share."""


def check(
    report: Report,
    policy: Policy | None = None,
    *,
    today: datetime.date | None = None,
    baseline: Report | None = None,
) -> Judgement:
    """Judge one report by a policy.

    Parameters
    ----------
    report : Report
        Of `onnxspec.analyze`, or a saved one.
    policy : Policy, optional
        By default the profile ``standard``.
    today : date, optional
        The day on which waivers must hold; by default the clock's.
    baseline : Report, optional
        Report of an accepted model: what it has already does not fail unless it is worse.

    Returns
    -------
    Judgement
        The same for the same arguments; no clock enters it but through `today`.
    """
    chosen = policy or profile()
    day = today or datetime.date.today()
    rules = selected(chosen)
    context = Context(report, chosen)
    findings = _findings(context, rules)
    if baseline is not None:
        before = _findings(Context(baseline, chosen), rules)
        findings = _against(findings, before)
    findings = _waived(findings, context, day)
    findings = [replace(f, fails=_fails(f, chosen.fail_on)) for f in findings]
    findings.sort(key=_order)
    return Judgement(
        path=report.model.path,
        verdict=_verdict(findings),
        policy=chosen.name,
        policy_hash=chosen.digest(),
        fail_on=chosen.fail_on,
        findings=tuple(findings),
        rules=tuple(_facts(rule, chosen) for rule in rules),
        report=report,
    )


def without_report(path: str, policy: Policy, verdict: Verdict, problem: str) -> Judgement:
    """Give the judgement of an input that gave no report."""
    return Judgement(
        path=path,
        verdict=verdict,
        policy=policy.name,
        policy_hash=policy.digest(),
        fail_on=policy.fail_on,
        rules=tuple(_facts(rule, policy) for rule in selected(policy)),
        problem=problem,
    )


def selected(policy: Policy) -> tuple[Rule, ...]:
    """Give the rules that a policy selects; the more exact of select and ignore counts, then ignore."""
    return tuple(
        rule for rule in RULES if rule in ALWAYS or _exactness(rule, policy.select) > _exactness(rule, policy.ignore)
    )


def _exactness(rule: Rule, names: Sequence[str]) -> int:
    """Say how exactly a list names a rule: 0 not at all, 1 by ``all``, more by a longer beginning of its code."""
    best = 0
    for name in names:
        if find(name) is rule:
            best = max(best, 10)
        elif rule.code.startswith(name):
            best = max(best, 1 + len(name))
        elif name == "all":
            best = max(best, 1)
    return best


def _facts(rule: Rule, policy: Policy) -> RuleFacts:
    """Give what is written about a rule, with the policy's severity."""
    return RuleFacts(
        code=rule.code,
        name=rule.name,
        group=rule.group,
        severity=policy.severity.get(rule.code, rule.severity),
        title=rule.title,
        rationale=rule.rationale,
        remedy=rule.remedy,
        thresholds=rule.thresholds,
    )


def _findings(context: Context, rules: Sequence[Rule]) -> list[Finding]:
    """Run the rules; equal findings on equal content are told apart by their order."""
    found: list[Finding] = []
    seen: dict[str, int] = {}
    for rule in rules:
        severity = context.policy.severity.get(rule.code, rule.severity)
        for hit in rule.look(context):
            finding = _finding(rule, severity, hit)
            count = seen[finding.fingerprint] = seen.get(finding.fingerprint, 0) + 1
            if count > 1:
                finding = replace(finding, fingerprint=_hash(finding.fingerprint, str(count)))
            found.append(finding)
    return found


def _finding(rule: Rule, severity: Severity, hit: Hit) -> Finding:
    """Make a finding of what a rule says."""
    undecided = "undecided" if hit.inconclusive else ""
    content = (hit.content_hash or hit.layer) if hit.layer else hit.subject
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=severity,
        state="inconclusive" if hit.inconclusive else "new",
        message=hit.message,
        subject=hit.subject,
        layer=hit.layer,
        content_hash=hit.content_hash,
        fingerprint=_hash(rule.code, content or "", hit.key, undecided),
        place=_hash(rule.code, hit.subject, hit.key, undecided),
        badness=hit.badness,
    )


def _hash(*parts: str) -> str:
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _against(findings: Sequence[Finding], before: Sequence[Finding]) -> list[Finding]:
    """Mark what the baseline has already: the same weights, or the same place and no worse."""
    contents = {finding.fingerprint for finding in before}
    places = {finding.place: finding for finding in before}
    result = []
    for finding in findings:
        old = places.get(finding.place)
        if finding.state == "inconclusive":
            result.append(finding)
        elif finding.fingerprint in contents and (finding.layer is not None or not _worse(finding, old)):
            result.append(replace(finding, state="known"))
        elif old is not None and old.state != "inconclusive":
            result.append(replace(finding, state="worse" if _worse(finding, old) else "known"))
        else:
            result.append(finding)
    return result


def _worse(finding: Finding, old: Finding | None) -> bool:
    if old is None or finding.badness is None or old.badness is None:
        return False
    return finding.badness > old.badness + WORSE * abs(old.badness)


def _waived(findings: Sequence[Finding], context: Context, day: datetime.date) -> list[Finding]:
    """Mark what valid waivers tolerate, and add what is wrong with the others."""
    waivers = context.policy.waivers
    used: set[int] = set()
    result = []
    for finding in findings:
        fitting = [i for i, waiver in enumerate(waivers) if _fits(waiver, finding, context.report)]
        used.update(fitting)
        valid = [waivers[i] for i in fitting if waivers[i].expires >= day]
        note = f"{valid[0].owner} until {valid[0].expires}: {valid[0].reason}" if valid else None
        result.append(replace(finding, state="waived", waiver=note) if valid else finding)
    return [*result, *_about_waivers(waivers, used, day)]


def _fits(waiver: Waiver, finding: Finding, report: Report) -> bool:
    """Say whether a waiver is about a finding: rule, layer, and the content that it was given for."""
    rule = find(waiver.rule)
    if rule is None or rule.code != finding.code:
        return False
    layer = _layer(report, finding)
    if waiver.layer is not None:
        names = (finding.subject,) if layer is None else (layer.id, layer.name, layer.tensor)
        if not any(name == waiver.layer or fnmatchcase(name, waiver.layer) for name in names):
            return False
    if waiver.content_hash is not None and (
        layer is None or waiver.content_hash not in (layer.content_hash, layer.value_hash)
    ):
        return False
    return waiver.sha256 is None or waiver.sha256 == report.model.sha256.lower()


def _layer(report: Report, finding: Finding) -> Layer | None:
    if finding.layer is None:
        return None
    return next((layer for layer in report.layers if layer.id == finding.layer), None)


def _about_waivers(waivers: Sequence[Waiver], used: set[int], day: datetime.date) -> Iterator[Finding]:
    """Report waivers that are over, or fit nothing."""
    for position, waiver in enumerate(waivers):
        subject = f"waiver of {waiver.rule}" + (f" for {waiver.layer}" if waiver.layer else "")
        key = f"{waiver.layer} {waiver.content_hash} {waiver.sha256} {waiver.expires}"
        if waiver.expires < day:
            message = f"the waiver of {waiver.owner} ended on {waiver.expires}: {waiver.reason}"
            yield _finding(EXPIRED, EXPIRED.severity, Hit(subject, message, key=key))
        elif position not in used:
            message = f"the waiver of {waiver.owner} fits no finding: {waiver.reason}"
            yield _finding(UNUSED, UNUSED.severity, Hit(subject, message, key=key))


def _fails(finding: Finding, fail_on: Severity) -> bool:
    """Say whether a finding decides the verdict."""
    counts = SEVERITIES.index(finding.severity) >= SEVERITIES.index(fail_on)
    return counts and finding.state in ("new", "worse", "inconclusive")


def _verdict(findings: Sequence[Finding]) -> Verdict:
    """Failed before inconclusive before passed."""
    deciding = [finding for finding in findings if finding.fails]
    if any(finding.state != "inconclusive" for finding in deciding):
        return "failed"
    return "inconclusive" if deciding else "passed"


def _order(finding: Finding) -> tuple[int, int, str, str, str]:
    states = ("new", "worse", "inconclusive", "known", "waived")
    return (
        states.index("new" if finding.state == "worse" else finding.state),
        -SEVERITIES.index(finding.severity),
        finding.code,
        finding.subject,
        finding.fingerprint,
    )
