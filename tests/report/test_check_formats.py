"""Formats of check: valid for their readers, inert for hostile names, the same on every run."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from onnxspec.errors import UsageError
from onnxspec.policy import Waiver, check, profile, without_report
from onnxspec.report import junit, sarif
from onnxspec.report._plain import plain
from onnxspec.report.check_formats import CHECK_FORMATS, check_formatter
from onnxspec.results import ExternalFile
from onnxspec.results.findings import Judgement
from tests.policy.reports import failed, layer, report
from tests.report.sarif_schema import SARIF

EVIL = "x\x1b[2J\n::error::</script>|`*]]>&<a>\"'%0A\u202e\ud800,=cmd():\x00\r"
TODAY = datetime.date(2026, 1, 1)
POLICY = replace(profile("standard"), select=("all",), ignore=())


def mixed() -> Judgement:
    """Give a judgement with a finding of every state and severity."""
    noise = {"verdict": "noise", "p_value": 0.2, "p_adjusted": 0.3}
    healthy = [layer(str(n)) for n in range(30)]
    layers = [
        failed(EVIL, "non_finite", f"1 value {EVIL}"),
        failed("lost", "external_data_missing", "w is missing"),
        layer("noisy", trained=noise),
        layer("waived", trained=noise),
        layer("low", rank=3),
        layer("old", rank=3),
        *healthy,
    ]
    waiver = Waiver("OS301", "me", "why\x1b", TODAY, content_hash=layer("waived").content_hash)
    late = Waiver("OS301", "me", "late", datetime.date(2020, 1, 1), content_hash=f"blake3:{'0' * 64}")
    judged = report(*layers, external=(ExternalFile(EVIL, 5, None),), model={"path": f"dir/{EVIL}.onnx"})
    before = report(layer("old", rank=3), *healthy)
    return check(judged, replace(POLICY, waivers=(waiver, late)), today=TODAY, baseline=before)


def problems() -> list[Judgement]:
    return [
        without_report(f"{EVIL}.onnx", POLICY, "rejected", f"no model {EVIL}"),
        without_report("/abs/b c.onnx", POLICY, "inconclusive", "ended by SIGKILL"),
    ]


def empty() -> Judgement:
    return check(report(), POLICY, today=TODAY)


ALL = [*problems(), mixed(), empty(), empty()]


def test_the_example_holds_every_state() -> None:
    assert {f.state for f in mixed().findings} == {"new", "known", "waived", "inconclusive"}
    assert {f.severity for f in mixed().findings} >= {"error", "warning"}


@pytest.mark.parametrize("name", CHECK_FORMATS)
def test_every_format_is_deterministic_and_holds_no_control_characters(name: str) -> None:
    text = check_formatter(name)(ALL)
    assert text == check_formatter(name)([*problems(), mixed(), empty(), empty()])
    assert text.endswith("\n")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800]", text)
    text.encode()


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="cyclonedx"):
        check_formatter("xml")


def log(judgements: list[Judgement]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(check_formatter("sarif")(judgements))
    jsonschema.Draft7Validator(SARIF, format_checker=jsonschema.FormatChecker()).validate(found)
    return found


def test_sarif_is_valid_and_complete() -> None:
    run = log(ALL)["runs"][0]
    assert len(run["results"]) == len(mixed().findings)
    assert len(run["artifacts"]) == 4  # the same file twice is one artifact
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
        assert (result["kind"] == "open") == (result["level"] == "none")
    assert [n["level"] for n in run["invocations"][0]["toolExecutionNotifications"]] == ["error", "error"]
    assert not run["invocations"][0]["executionSuccessful"]
    kinds = {r["properties"]["state"]: r for r in run["results"]}
    assert kinds["known"]["baselineState"] == "unchanged"
    assert kinds["waived"]["suppressions"][0]["status"] == "accepted"
    assert log([empty()])["runs"][0]["results"] == []


def test_sarif_schema_can_fail() -> None:
    good = log([mixed()])
    good["runs"][0]["results"][0]["level"] = "fatal"
    assert not jsonschema.Draft7Validator(SARIF).is_valid(good)


def test_sarif_uris_lead_back_to_the_path() -> None:
    uris = [a["location"]["uri"] for a in log(ALL)["runs"][0]["artifacts"]]
    assert uris[1] == "file:///abs/b%20c.onnx"
    for uri in uris:
        assert uri.isascii()
        assert urlsplit(uri).scheme in ("", "file")
    assert unquote(uris[2], errors="surrogatepass").startswith("dir/x\x1b[2J")


def test_fingerprints_follow_content_and_place() -> None:
    def prints(name: str, salt: str) -> dict[str, str]:
        other = {"content_hash": f"blake3:{salt * 64}", "value_hash": f"blake3:{salt * 64}"}
        (result,) = log([check(report(layer(name, rank=3, **other)), POLICY, today=TODAY)])["runs"][0]["results"]
        found: dict[str, str] = result["partialFingerprints"]
        return found

    first, renamed, retrained = prints("a", "1"), prints("b", "1"), prints("a", "2")
    assert first["onnxspecContent/v1"] == renamed["onnxspecContent/v1"] != retrained["onnxspecContent/v1"]
    assert first["onnxspecPlace/v1"] == retrained["onnxspecPlace/v1"] != renamed["onnxspecPlace/v1"]


def test_sarif_stays_within_the_limits_of_github(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [layer(f"{n}", rank=3) for n in range(5_200)]
    judgement = check(report(*many, failed("bad", "non_finite")), POLICY, today=TODAY)
    run = log([judgement])["runs"][0]
    assert len(run["results"]) <= sarif.MAX_RESULTS
    assert run["results"][0]["level"] == "error"
    assert len(check_formatter("sarif")([judgement])) <= sarif.MAX_BYTES
    assert "left out" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    monkeypatch.setattr(sarif, "MAX_BYTES", 200_000)
    text = check_formatter("sarif")([judgement])
    assert len(text) <= 200_000
    assert len(json.loads(text)["runs"][0]["results"]) > 50


JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"properties", "testcase", "system-out"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"classname", "name"}, {"failure", "error", "skipped", "system-out"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}
"""Elements of the JUnit schema that Jenkins publishes: attributes and children that onnxspec uses."""


def test_junit_is_well_formed_and_counts_add_up() -> None:
    root = ElementTree.fromstring(check_formatter("junit")(ALL))
    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) == attributes
        assert {child.tag for child in element} <= children
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "")) == len(cases)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(name, "")) == len(suite.findall(f"testcase/{tag}"))
    counts = mixed().counts()
    assert len(root[2].findall("testcase/failure")) == counts["failing"] == 2
    assert [len(root[n].findall("testcase/error")) for n in (0, 1)] == [1, 1]
    assert all(not list(case) for case in root[3].findall("testcase"))
    assert int(root[3].get("tests", "")) == len(empty().rules)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_survives_xml(text: str) -> None:
    root = ElementTree.fromstring(f'<a b="{junit.xml_text(text)}">{junit.xml_text(text)}</a>')
    assert root.get("b") == (root.text or "") == plain(text)
    assert not text.isprintable() or root.get("b") == text


def test_github_annotations_are_one_line_each_and_escaped() -> None:
    lines = check_formatter("github")(ALL).splitlines()
    for line in lines:
        assert re.fullmatch(r"::(error|warning|notice) file=[^:,]*,title=[^:,]*::[^\n]*", line), line
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", line)
    assert sum(line.startswith("::error") for line in lines) == 5
    assert len(check_formatter("github")([empty()]).splitlines()) == 1


def test_json_holds_all_findings() -> None:
    data = json.loads(check_formatter("json")([mixed()]))
    assert data["verdict"] == "failed"
    assert len(data["findings"]) == len(mixed().findings) == sum(data["counts"].values())
    assert data["findings"][0]["layer"] == EVIL
    assert json.loads(check_formatter("json")(ALL))[0]["problem"].startswith("no model")


def test_markdown_keeps_names_in_code_spans() -> None:
    text = check_formatter("markdown")([mixed()])
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", re.sub(r"(`+).*?(?<!`)\1(?!`)", "", line))) == 6
    assert "<script" not in re.sub(r"(`+).*?(?<!`)\1(?!`)", "", text)


def test_the_table_says_what_decides() -> None:
    text = check_formatter("table")(ALL)
    assert "rejected by the policy standard" in text
    assert "passed by the policy standard: no findings of 32 rules" in text or "passed by the policy standard" in text
    for heading in ("Failing", "Undecided", "Reported, below error", "In the baseline already", "Waived"):
        assert f"\n{heading}\n" in text
    assert "safe" not in text


def test_the_table_is_shortened() -> None:
    many = check(report(*(layer(f"{n}", rank=3) for n in range(400))), POLICY, today=TODAY)
    text = check_formatter("table")([many])
    assert "and 200 more" in text
    assert len(text.splitlines()) < 500


def cyclonedx(judgements: list[Judgement]) -> dict[str, Any]:
    """Validate against the schema that CycloneDX publishes, as its Python library ships it."""
    folder = files("cyclonedx") / "schema" / "_res"
    names = ("bom-1.6", "spdx", "jsf-0.82")
    schemas = {name: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for name in names}
    resources = {f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json": schemas[name] for name in names}
    registry: Any = Registry().with_resources(
        [(uri, Resource.from_contents(contents)) for uri, contents in resources.items()]
    )
    found: dict[str, Any] = json.loads(check_formatter("cyclonedx")(judgements))
    jsonschema.Draft7Validator(schemas["bom-1.6"], registry=registry).validate(found)
    return found


def test_cyclonedx_is_valid_and_says_what_is_known() -> None:
    bom = cyclonedx(ALL)
    types = [component["type"] for component in bom["components"]]
    assert types == ["machine-learning-model", "data"]
    model = bom["components"][0]
    assert model["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    properties = {p["name"]: p["value"] for p in model["properties"]}
    assert properties["onnxspec:verdict"] == "failed"
    assert "hashes" not in bom["components"][1]
    assert "timestamp" not in json.dumps(bom)
    assert "safe" not in json.dumps(bom)
    assert len(bom["properties"]) == 2


def test_cyclonedx_serial_number_follows_the_content() -> None:
    assert cyclonedx([empty()])["serialNumber"] == cyclonedx([empty()])["serialNumber"]
    assert cyclonedx([empty()])["serialNumber"] != cyclonedx([mixed()])["serialNumber"]


def test_cyclonedx_schema_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxspec.report import cyclonedx as writer

    monkeypatch.setattr(writer, "_serial", lambda body: f"urn:uuid:{len(body)}")
    with pytest.raises(jsonschema.ValidationError, match="does not match"):
        cyclonedx([mixed()])
