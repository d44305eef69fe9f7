"""Policies from TOML: bounded, checked key by key, and without anything that could run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from onnxspec._files import read_bounded
from onnxspec.errors import UsageError
from onnxspec.policy.model import FileRules, Pins, Policy, Waiver
from onnxspec.policy.rules import ALWAYS, RULES, find, suggest
from onnxspec.policy.schema import MODEL_THRESHOLDS, PROFILES, THRESHOLDS, policy_schema
from onnxspec.policy.validate import Path, PolicyFault, validate

__all__ = ["load_policy", "parse_policy", "profile", "template"]

POLICY_BYTES = 2**18
LINE_LENGTH = 1000
"""Caps on a policy file: a TOML reader needs quadratic time for long dotted keys."""

FOLDER = FilePath(__file__).parent / "profiles"


def profile(name: str = "standard") -> Policy:
    """Give a shipped profile: lenient, standard or strict.

    Raises
    ------
    UsageError
        There is no such profile.
    """
    if name not in PROFILES:
        raise UsageError(f"There is no profile {name[:60]!r}; there are {', '.join(PROFILES)}.")
    return _policy(_profile_data(name), name)


def load_policy(path: str | FilePath, base: str | None = None) -> Policy:
    """Read a policy file.

    Parameters
    ----------
    path : str or Path
        TOML, of 256 KiB at most.
    base : str, optional
        Profile that it starts from; otherwise the file says so, or it is ``standard``.

    Returns
    -------
    Policy

    Raises
    ------
    UsageError
        The file cannot be read, or something in it is wrong; names file, line and key.
    """
    try:
        data = read_bounded(path, POLICY_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: the policy cannot be read: {reason}.") from None
    return parse_policy(data, str(path), base)


def parse_policy(data: bytes, name: str, base: str | None = None) -> Policy:
    """Read a policy from the bytes of a file.

    Raises
    ------
    UsageError
        Something in it is wrong; names file, line and key.
    """
    text = _text(data, name)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: the policy is no valid TOML: {_short(str(error))}.") from None
    except (RecursionError, ValueError, OverflowError):
        raise UsageError(f"{name}: the policy is no valid TOML: nested too deep, or a number too long.") from None
    try:
        validate(policy_schema(), parsed)
        _check_rules(parsed)
        start = base or str(parsed.get("profile", "standard"))
        return _policy(_merged(_profile_data(start), parsed), name)
    except PolicyFault as fault:
        end = "" if fault.message.endswith("?") else "."
        raise UsageError(f"{name}:{line_of(text, fault.path)}: {_key(fault.path)} {fault.message}{end}") from None


def template(name: str = "standard") -> str:
    """Give a policy file that starts from a profile, with a comment on every key."""
    from onnxspec.policy.commented import commented

    return commented(profile(name))


def _text(data: bytes, name: str) -> str:
    """Decode a policy file that is small enough."""
    if len(data) > POLICY_BYTES:
        raise UsageError(f"{name}: the policy is larger than {POLICY_BYTES:,} bytes; no policy is.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: the policy is no UTF-8 text (byte {error.start}).") from None
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_LENGTH:
            raise UsageError(f"{name}:{number}: the line has more than {LINE_LENGTH:,} characters.")
    return text


def _profile_data(name: str) -> dict[str, Any]:
    """Read a shipped profile, on top of the one that it starts from."""
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    start = data.pop("profile", None)
    return data if start is None else _merged(_profile_data(start), data)


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Put one table on top of another; arrays replace."""
    result = dict(base)
    for key, value in top.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _check_rules(data: Mapping[str, Any]) -> None:
    """Refuse rules that do not exist, and switching off what cannot be."""
    for key in ("select", "ignore"):
        for position, name in enumerate(data.get(key, ())):
            if not _covers(name):
                raise _unknown_rule((key, position), name)
    for position, name in enumerate(data.get("ignore", ())):
        rule = find(name)
        if rule in ALWAYS:
            raise PolicyFault(("ignore", position), f"is {rule.code}, which cannot be switched off")
    for name in data.get("severity", {}):
        rule = find(name)
        if rule is None:
            raise _unknown_rule(("severity", name), name)
        if rule in ALWAYS:
            raise PolicyFault(("severity", name), f"is {rule.code}, whose severity is fixed")
    for position, waiver in enumerate(data.get("waivers", ())):
        rule = find(waiver["rule"])
        if rule is None:
            raise _unknown_rule(("waivers", position, "rule"), waiver["rule"])
        if rule in ALWAYS:
            raise PolicyFault(("waivers", position, "rule"), f"is {rule.code}, which cannot be waived")


def _covers(name: str) -> bool:
    return name == "all" or find(name) is not None or any(rule.code.startswith(name) for rule in RULES)


def _unknown_rule(path: Path, name: str) -> PolicyFault:
    close = suggest(name)
    hint = f"did you mean {' or '.join(close)}?" if close else "`onnxspec explain` lists the rules"
    return PolicyFault(path, f"names no rule: {ascii(name)[:60]}; {hint}")


def _policy(data: Mapping[str, Any], name: str) -> Policy:
    """Build a policy from data that were checked."""
    file, pins, thresholds = data.get("file", {}), data.get("pins", {}), data["thresholds"]
    numbers = {key: float(thresholds[key]) for key in (*THRESHOLDS, *MODEL_THRESHOLDS)}
    codes = {rule.code: level for key, level in data.get("severity", {}).items() if (rule := find(key)) is not None}
    return Policy(
        name=name,
        fail_on=data["fail_on"],
        effort=data["effort"],
        select=tuple(data["select"]),
        ignore=tuple(data["ignore"]),
        severity=codes,
        file=FileRules(
            external_data=file["external_data"],
            max_bytes=file.get("max_bytes"),
            opset_min=file.get("opset_min"),
            opset_max=file.get("opset_max"),
            domains=tuple(file["domains"]),
            dtypes=tuple(file["dtypes"]),
        ),
        pins=Pins(
            sha256=tuple(pins.get("sha256", ())),
            external=dict(pins.get("external", {})),
            layers=dict(pins.get("layers", {})),
        ),
        coverage=dict(data["coverage"]),
        thresholds=numbers,
        role_thresholds=_numbers(thresholds.get("roles", {})),
        layer_thresholds=_numbers(thresholds.get("layers", {})),
        waivers=tuple(Waiver(**waiver) for waiver in data.get("waivers", ())),
    )


def _numbers(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {name: {key: float(value) for key, value in table.items()} for name, table in tables.items()}


def _key(path: Path) -> str:
    """Write a path as TOML would."""
    parts = ""
    for step in path:
        if isinstance(step, int):
            parts += f"[{step}]"
        else:
            shown = step if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", step) else ascii(_short(step, 60))
            parts += f".{shown}" if parts else shown
    return parts or "the policy"


def line_of(text: str, path: Path) -> int:
    """Find the line of a key: the deepest table header on its way, then the key below it.

    Returns
    -------
    int
        Counted from 1; of the last part of the path that is found.
    """
    lines = text.splitlines()
    names = [step for step in path if isinstance(step, str)]
    count = next((step for step in path if isinstance(step, int)), 0)
    start = _header(lines, names, count)
    for name in reversed(names):
        wanted = re.compile(rf"""(?:^|[\s.{{,\[])["']?{re.escape(name)}["']?\s*(?:[.=\]]|$)""")
        for number in range(start, len(lines)):
            if wanted.search(lines[number].partition("#")[0] if '"' not in lines[number] else lines[number]):
                return number + 1
    return start + 1


def _header(lines: list[str], names: list[str], count: int) -> int:
    """Give the index of the table header that holds a key, 0 without one."""
    best, depth = 0, 0
    seen: dict[int, int] = {}
    for number, line in enumerate(lines):
        found = re.match(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$", line)
        if found is None:
            continue
        keys = [part.strip("\"' ") for part in re.findall(r""""[^"]*"|'[^']*'|[^.\s]+""", found[2])]
        if not keys or names[: len(keys)] != keys or len(keys) < depth:
            continue
        seen[len(keys)] = seen.get(len(keys), 0) + 1
        if found[1] == "[" or seen[len(keys)] == count + 1:
            best, depth = number, len(keys)
    return best


def _short(text: str, length: int = 200) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
