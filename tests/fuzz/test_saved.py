"""Changed reports, policies and configuration files: a result or one sentence, never anything else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxspec
from onnxspec.cli import main, saved
from onnxspec.cli.config import defaults
from onnxspec.errors import OnnxspecError, ReportError, UsageError
from onnxspec.policy import check, parse_policy, template
from onnxspec.report.check_formats import CHECK_FORMATS
from onnxspec.report.interface import FORMATS
from onnxspec.results import reports_from_json

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"
EXAMPLES = int(os.environ.get("ONNXSPEC_TEST_EXAMPLES", "100"))

SLOW = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**400, 0.0, -1.0, 1e308, 1e-320, 0.5]),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "ok", "failed", "noise", "non_finite", "\x1b[31m", "</script>", "=cmd()", "\u202e", "\ud800", "a\nb"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.integers(-3, 3), max_size=3),
    st.dictionaries(st.sampled_from(["verdict", "p_value", "a", "count"]), st.integers(-2, 2), max_size=2),
)


@pytest.fixture(scope="module")
def sound() -> list[str]:
    """Give saved reports, of which each value is changed in turn."""
    return [
        onnxspec.analyze(MODELS / "unhealthy.onnx").to_json(),
        onnxspec.analyze(MODELS / "conv2d.onnx", effort="full").to_json(),
        onnxspec.inspect(MODELS / "lenet5.onnx").to_json(),
    ]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Give every place of a tree: the container and the key."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found.append((value, key))
        found.extend(places(item))
    return found


def changed(text: str, changes: list[tuple[int, Any]]) -> str:
    """Put values into places of a report; where a number is negative the place goes."""
    data = json.loads(text)
    for number, value in changes:
        all_places = places(data)
        container, key = all_places[abs(number) % len(all_places)]
        if number < 0:
            del container[key]
        else:
            container[key] = value
    return json.dumps(data)


CHANGES = st.lists(st.tuples(st.integers(-(10**6), 10**6), VALUES), min_size=1, max_size=4)


@SLOW
@given(which=st.integers(0, 2), changes=CHANGES)
def test_reports(sound: list[str], scratch: Path, which: int, changes: list[tuple[int, Any]]) -> None:
    path = scratch / "report.json"
    path.write_text(changed(sound[which], changes))
    checks = [part for name in CHECK_FORMATS for part in ("-o", f"{name}={scratch / name}")]
    shown = [part for name in FORMATS if name != "parquet" for part in ("-o", f"{name}={scratch / name}")]
    for arguments in (
        ["check", path, *checks],
        ["check", path, "--profile", "strict", "--baseline", path, "-o", f"table={scratch / 'table'}"],
        ["render", path, *shown],
    ):
        code, err = called(*map(str, arguments))
        assert code in (0, 1, 3, 4), err
        assert "Traceback" not in err
        assert all(line.startswith("onnxspec: ") and line.isprintable() for line in err.splitlines()), err
    for name in (*CHECK_FORMATS, *FORMATS):
        written = scratch / name
        if written.exists():
            assert b"\x1b" not in written.read_bytes()
            written.unlink()


def called(*arguments: str) -> tuple[int, str]:
    """Run the program in this process; give its exit code and what it says."""
    err = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["onnxspec", *arguments])
        patch.setattr(saved, "READ", [])
        with pytest.raises(SystemExit) as stop:
            main()
    return int(stop.value.code or 0), err.getvalue()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@SLOW
@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_report(data: bytes) -> None:
    with pytest.raises(ReportError):
        reports_from_json(data)


def mutated_toml(text: str, number: int) -> bytes:
    """Change a policy in its text: characters, lines, values."""
    rng = random.Random(number)
    data = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data))
        way = rng.randrange(5)
        if way == 0:
            data[at] = rng.randrange(256)
        elif way == 1:
            del data[at : at + rng.randrange(1, 40)]
        elif way == 2:
            start = rng.randrange(len(data))
            data[at:at] = data[start : start + rng.randrange(1, 80)]
        elif way == 3:
            data[at:at] = rng.choice(
                (b"[", b"]", b"=", b"'", b"nan", b"1e999", b"-1", b"\n[[waivers]]\n", b"\x00", b"{}", b"true")
            )
        else:
            lines = data.split(b"\n")
            rng.shuffle(lines)
            data = bytearray(b"\n".join(lines))
    return bytes(data)


WAIVER = (
    '\n[[waivers]]\nrule = "OS301"\nowner = "me"\nreason = "r"\nexpires = 2027-01-31\nsha256 = "' + "0" * 64 + '"\n'
)


@SLOW
@given(number=st.integers(0, 2**32), name=st.sampled_from(["lenient", "standard", "strict"]))
def test_policies(sound: list[str], number: int, name: str) -> None:
    plain = "\n".join(line for line in template(name).splitlines() if not line.startswith("#"))
    data = mutated_toml(plain + WAIVER, number)
    try:
        policy = parse_policy(data, "p.toml")
    except UsageError as error:
        message = str(error)
        assert message.startswith("p.toml")
        assert "\x1b" not in message
        return
    check(onnxspec.Report.from_json(sound[0]), policy)


@SLOW
@given(number=st.integers(0, 2**32))
def test_configuration_files(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    known = {"check": {"effort": "effort", "max_cpu": "max_cpu"}, "analyze": {"effort": "effort"}}
    folder = tmp_path_factory.mktemp("config")
    data = mutated_toml('effort = "fast"\n[check]\nmax_cpu = 3\n[analyze]\neffort = "full"\n', number)
    (folder / "onnxspec.toml").write_bytes(data)
    try:
        found = defaults(lambda: known, folder)
    except OnnxspecError as error:
        assert "onnxspec.toml" in str(error)  # noqa: PT017
        return
    tomllib.loads(data.decode())
    assert set(found) <= set(known)
