"""Policies: what they say is what they do, and a wrong or hostile one is refused with its line."""

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from onnxspec.errors import UsageError
from onnxspec.policy import load_policy, parse_policy, profile, template
from onnxspec.policy.load import LINE_LENGTH, POLICY_BYTES
from onnxspec.policy.rules import RULES
from onnxspec.policy.schema import MODEL_THRESHOLDS, PROFILES, THRESHOLDS, policy_schema

HASH = "0" * 64
WAIVER = f"""
[[waivers]]
rule = "OS301"
owner = "me"
reason = "unused"
expires = 2027-01-31
sha256 = "{HASH}"
"""


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_load_and_their_templates_say_the_same(name: str) -> None:
    assert profile(name).name == name
    assert parse_policy(template(name).encode(), "file").digest() == profile(name).digest()


def test_profiles_differ_in_the_right_direction() -> None:
    lenient, standard, strict = (profile(name) for name in PROFILES)
    assert len({lenient.digest(), standard.digest(), strict.digest()}) == 3
    assert lenient.coverage["slots"] < standard.coverage["slots"] < strict.coverage["slots"]
    assert (standard.fail_on, strict.fail_on) == ("error", "warning")


def test_the_template_names_every_rule_and_key() -> None:
    text = template()
    for rule in RULES:
        assert rule.code in text or rule.group == "policy"
    for key in (*THRESHOLDS, *MODEL_THRESHOLDS):
        assert f"\n{key} = " in text


def test_a_file_goes_on_top_of_a_profile() -> None:
    policy = parse_policy(b"[thresholds]\nalpha_low = 1.5\n[file]\ndomains = ['']\n", "p")
    assert policy.thresholds["alpha_low"] == 1.5
    assert policy.thresholds["alpha_high"] == profile().thresholds["alpha_high"]
    assert policy.file.domains == ("",)
    assert parse_policy(b"profile = 'strict'", "p").digest() == profile("strict").digest()
    assert parse_policy(b"profile = 'strict'", "p", base="lenient").digest() == profile("lenient").digest()


def test_waivers_and_overrides_are_read() -> None:
    text = (
        "[severity]\nover-trained = 'error'\n"
        "[thresholds.roles.conv]\nalpha_high = 9\n[thresholds.layers.'enc.*']\nalpha_low = 1.5\n" + WAIVER
    )
    policy = parse_policy(text.encode(), "p")
    assert policy.severity == {"OS302": "error"}
    assert policy.role_thresholds == {"conv": {"alpha_high": 9.0}}
    assert policy.layer_thresholds == {"enc.*": {"alpha_low": 1.5}}
    assert policy.waivers[0].expires == datetime.date(2027, 1, 31)


WRONG = [
    ("fail_on = 'never'", 1, "fail_on is 'never'"),
    ("\n\nfail_no = 'error'", 3, "did you mean fail_on?"),
    ("[file]\n# domains\nmax_byte = 3", 3, "file.max_byte is unknown; did you mean max_bytes?"),
    ("[file]\nmax_bytes = 'a'", 2, "must be an integer"),
    ("[file]\nmax_bytes = true", 2, "must be an integer"),
    ("[file]\nexternal_data = 1", 2, "true or false"),
    ("[thresholds]\nalpha_low = nan", 2, "between 1 and 10"),
    ("[thresholds]\nalpha_low = 1\nalpha_high = inf", 3, "between"),
    ("[thresholds]\nalpha_low = '2'", 2, "must be a number"),
    ("[thresholds]\n[thresholds.roles.conv]\nalpha_hi = 2", 3, "thresholds.roles.conv.alpha_hi is unknown"),
    ("[thresholds.layers.'a.b*']\nnoise_share = 0.5", 2, "noise_share is unknown"),
    ("[coverage]\nslots = 1.5", 2, "between 0 and 1"),
    ("select = 'all'", 1, "must be an array"),
    ("select = ['all', 'OS999']", 1, "names no rule"),
    ("ignore = ['OS901']", 1, "cannot be switched off"),
    ("[severity]\nOS301 = 'error'\nOS902 = 'info'", 3, "whose severity is fixed"),
    ("[severity]\nover-traned = 'error'", 2, "did you mean over-trained"),
    ("[pins]\nsha256 = ['abc']", 2, "must be a hash"),
    ("[pins.layers]\n'a' = 'md5:0'", 2, "must be a hash"),
    (WAIVER.replace("2027-01-31", "'2027-01-31'"), 6, "must be a date without quotes"),
    (WAIVER.replace("2027-01-31", "2027-01-31T00:00:00"), 6, "must be a date"),
    (WAIVER.replace("OS301", "OS000"), 3, "names no rule"),
    (WAIVER.replace("OS301", "waiver-expired"), 3, "cannot be waived"),
    (WAIVER.replace(f'sha256 = "{HASH}"', ""), 2, "needs content_hash or sha256"),
    (WAIVER.replace('owner = "me"', ""), 2, "lacks owner"),
    (WAIVER.replace('"unused"', '""'), 5, "not empty"),
    (WAIVER + WAIVER.replace("me", "you").replace("OS301", "OS3xx"), 10, "waivers[1].rule names no rule"),
    ("waivers = 3", 1, "must be an array"),
    ("plugin = 'os.system'", 1, "plugin is unknown"),
    ("file = 3", 1, "file is 3; it must be a table"),
]


@pytest.mark.parametrize(("text", "line", "says"), WRONG)
def test_errors_name_file_line_and_key(text: str, line: int, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_policy(text.encode(), "my.toml")
    assert str(raised.value).startswith(f"my.toml:{line}: ")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a = ", "no valid TOML"),
        (b"a = 1\na = 2", "no valid TOML"),
        (b"\xff\xfe", "no UTF-8"),
        (b"#" * (POLICY_BYTES + 1), "larger than"),
        (b"a = " + b"[" * 900, "no valid TOML"),
        (b"x = [\n" + b"[" * 500 + b"\n" + b"[" * 900 + b"\n" + b"[" * 900, "no valid TOML"),
        (b"a." * LINE_LENGTH + b"a = 1", "characters"),
        (b"fail_on = " + b"9" * 900, "an integer of more than 64 bits"),
        (b"a = 99999-99-99", "no valid TOML"),
        (b"\x00", "no valid TOML"),
    ],
    ids=range(10),
)
def test_hostile_files_are_refused_in_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_policy(data, "p")
    assert says in str(raised.value)
    assert len(str(raised.value)) < 400
    assert "\x00" not in str(raised.value)


def test_slow_dotted_keys_stay_bounded() -> None:
    import time

    line = "a." * (LINE_LENGTH // 2 - 8)
    text = "".join(f"k{n}.{line}a = 1\n" for n in range(POLICY_BYTES // (LINE_LENGTH + 20)))
    start = time.process_time()
    with pytest.raises(UsageError):
        parse_policy(text.encode(), "p")
    assert time.process_time() - start < 20


def test_missing_files_and_profiles(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        load_policy(tmp_path)
    with pytest.raises(UsageError, match="lenient, standard, strict"):
        profile("loose")


def plain(value: Any) -> Any:
    """Show TOML data as JSON would, so that a JSON Schema applies."""
    return json.loads(json.dumps(value, default=str))


def test_the_published_schema_is_valid_and_takes_what_the_reader_takes() -> None:
    schema = policy_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in PROFILES:
        validator.validate(plain(tomllib.loads(template(name))))
    validator.validate(plain(tomllib.loads(WAIVER)))


def test_the_published_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(policy_schema())
    by_the_schema = 0
    for text, _, _ in WRONG:
        try:
            data = plain(tomllib.loads(text))
            by_the_schema += not validator.is_valid(data)
        except (ValueError, json.JSONDecodeError):
            by_the_schema += 1
    assert by_the_schema >= len(WRONG) - 10  # the schema knows no rules, dates are texts in JSON, and NaN is a number
