"""Selection, severities, waivers and baselines."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from onnxspec.policy import Policy, Waiver, check, profile
from onnxspec.policy.evaluate import selected
from onnxspec.results import Report
from onnxspec.results.findings import Finding
from tests.policy.reports import failed, layer, report

DAY = datetime.date(2026, 6, 1)
POLICY = replace(profile("standard"), select=("all",), ignore=())
STRICT = replace(POLICY, fail_on="warning")


def codes(policy: Policy) -> set[str]:
    return {rule.code for rule in selected(policy)}


def test_select_and_ignore() -> None:
    only = replace(POLICY, select=("OS2",), ignore=())
    assert codes(only) == {f"OS20{n}" for n in range(1, 7)} | {"OS901", "OS902"}
    assert "OS203" not in codes(replace(only, ignore=("dead-layer",)))
    assert "OS301" in codes(replace(POLICY, select=("all", "OS301"), ignore=("OS3",)))
    assert "OS302" not in codes(replace(POLICY, select=("all", "OS301"), ignore=("OS3",)))
    assert codes(replace(POLICY, select=())) == {"OS901", "OS902"}
    assert "OS304" not in codes(profile("standard"))
    assert "OS304" in codes(profile("strict"))


def test_severity_decides_what_fails() -> None:
    odd = report(layer(rank=3))
    assert check(odd, POLICY).verdict == "passed"
    assert check(odd, STRICT).verdict == "failed"
    assert check(odd, replace(POLICY, severity={"OS205": "error"})).verdict == "failed"
    assert check(odd, replace(STRICT, severity={"OS205": "info"})).verdict == "passed"
    (finding,) = check(odd, replace(POLICY, severity={"OS205": "error"})).findings
    assert (finding.severity, finding.fails) == ("error", True)


def test_undecided_counts_only_where_it_could_fail_and_failed_comes_first() -> None:
    fast = report(layer(trained=None, reasons={"trained": "effort"}), layer("b"))
    only = replace(POLICY, select=("OS301",))
    assert check(fast, only).verdict == "passed"
    assert len(check(fast, only).findings) == 1
    assert check(fast, replace(only, fail_on="warning")).verdict == "inconclusive"
    both = report(*(layer(str(n)) for n in range(20)), failed("x", "payload_missing"), failed("y", "non_finite"))
    assert check(both, POLICY).verdict == "failed"


def test_findings_are_ordered_and_deterministic() -> None:
    judged = report(*(layer(name, rank=3) for name in "cab"), failed("z", "non_finite"))
    findings = check(judged, POLICY).findings
    assert [f.subject for f in findings if f.code == "OS205"] == ["a", "b", "c"]
    assert findings[0].severity == "error"
    assert check(judged, POLICY) == check(judged, POLICY)
    assert len({f.fingerprint for f in findings}) == len(findings)


def waiver(**values: object) -> Waiver:
    facts = {"rule": "OS205", "owner": "me", "reason": "known", "expires": DAY, **values}
    return Waiver(**facts)  # type: ignore[arg-type]


def judged(odd: Report, *waivers: Waiver, day: datetime.date = DAY) -> dict[str, tuple[str, bool]]:
    judgement = check(odd, replace(STRICT, waivers=waivers), today=day)
    return {f.code: (f.state, f.fails) for f in judgement.findings}


ODD = report(layer("pooler", rank=3))
HASH = ODD.layers[0].content_hash


def test_a_waiver_holds_for_these_weights_until_its_day() -> None:
    for good in (
        waiver(content_hash=HASH),
        waiver(content_hash=ODD.layers[0].value_hash),
        waiver(rule="rank-collapse", sha256="ab" * 32),
        waiver(content_hash=HASH, layer="pool*"),
        waiver(content_hash=HASH, layer="pooler.weight"),
    ):
        assert judged(ODD, good) == {"OS205": ("waived", False)}
    judgement = check(ODD, replace(STRICT, waivers=(waiver(content_hash=HASH),)), today=DAY)
    assert judgement.verdict == "passed"
    assert judgement.findings[0].waiver == "me until 2026-06-01: known"


def test_an_expired_waiver_fails_closed_and_is_a_finding() -> None:
    late = DAY + datetime.timedelta(days=1)
    found = judged(ODD, waiver(content_hash=HASH), day=late)
    assert found == {"OS205": ("new", True), "OS901": ("new", True)}
    healthy = check(report(), replace(POLICY, select=(), waivers=(waiver(content_hash=HASH),)), today=late)
    assert healthy.verdict == "failed"  # although no other rule is selected and nothing else fails


@pytest.mark.parametrize(
    "wrong",
    [
        {"content_hash": f"blake3:{'0' * 64}"},
        {"sha256": "0" * 64},
        {"content_hash": HASH, "rule": "OS301"},
        {"content_hash": HASH, "layer": "encoder*"},
    ],
    ids=str,
)
def test_a_waiver_for_something_else_waives_nothing_and_is_reported(wrong: dict[str, str]) -> None:
    assert judged(ODD, waiver(**wrong)) == {"OS205": ("new", True), "OS902": ("new", True)}


def test_an_undecided_rule_can_be_waived_for_a_file() -> None:
    lost = report(*(layer(str(n)) for n in range(20)), failed("x", "payload_missing"))
    tolerant = replace(POLICY, waivers=(waiver(rule="OS504", sha256="ab" * 32),))
    assert check(lost, tolerant, today=DAY).verdict == "passed"


def states(now: Report, before: Report) -> list[tuple[str, str]]:
    found: list[Finding] = list(check(now, STRICT, baseline=before).findings)
    return [(f.subject, f.state) for f in found]


def test_a_baseline_hides_what_was_there_already() -> None:
    before = report(layer("a", rank=3))
    assert states(before, before) == [("a", "known")]
    assert check(before, STRICT, baseline=before).verdict == "passed"
    assert states(report(layer("a", rank=3), layer("b", rank=3)), before) == [("b", "new"), ("a", "known")]
    other = {"content_hash": "blake3:1", "value_hash": "blake3:1"}
    assert states(report(replace(before.layers[0], id="x", name="x")), before) == [("x", "known")]
    assert states(report(layer("a", rank=4, **other)), before) == [("a", "known")]


def test_what_got_worse_fails() -> None:
    before = report(layer("a", rank=100))
    other = {"content_hash": "blake3:1", "value_hash": "blake3:1"}
    now = report(layer("a", rank=60, **other))
    assert states(now, before) == [("a", "worse")]
    assert check(now, STRICT, baseline=before).verdict == "failed"
    assert states(report(layer("a", rank=98, **other)), before) == [("a", "known")]


def test_coverage_that_fell_is_worse_than_the_baseline() -> None:
    before = report(coverage={"parameters_analyzed": 80})
    assert states(report(coverage={"parameters_analyzed": 80}), before) == [("model", "known")]
    assert states(report(coverage={"parameters_analyzed": 40}), before) == [("model", "worse")]


def test_a_baseline_never_hides_what_was_not_looked_at() -> None:
    lost = report(*(layer(str(n)) for n in range(20)), failed("x", "payload_missing"))
    assert check(lost, POLICY, baseline=lost).verdict == "inconclusive"


def test_the_digest_sees_every_demand() -> None:
    assert POLICY.digest() == replace(POLICY, name="other").digest()
    globs = {"a*": {"alpha_low": 1.0}, "*b": {"alpha_low": 1.5}}
    turned = dict(reversed(list(globs.items())))
    assert replace(POLICY, layer_thresholds=globs).digest() != replace(POLICY, layer_thresholds=turned).digest()
    assert POLICY.digest() != STRICT.digest()
