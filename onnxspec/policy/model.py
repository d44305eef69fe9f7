"""The policy: what to look for, from where on it counts, and what is tolerated until when."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from onnxspec.results.findings import Severity

__all__ = ["FileRules", "Pins", "Policy", "Waiver"]


@dataclass(frozen=True)
class Waiver:
    """A finding that somebody answers for, until a date, for these very weights.

    Attributes
    ----------
    rule : str
        Code or name.
    owner, reason : str
        Who answers, and why.
    expires : date
        Last day on which it holds.
    layer : str or None
        Glob on id, name or tensor.
    content_hash : str or None
        Of the layer: its ``content_hash`` or ``value_hash``.
    sha256 : str or None
        Of the model file. One of the two hashes is needed.
    """

    rule: str
    owner: str
    reason: str
    expires: datetime.date
    layer: str | None = None
    content_hash: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class FileRules:
    """What a file may be.

    Attributes
    ----------
    external_data : bool
        Whether weights may lie in files beside the model.
    max_bytes : int or None
        Of the model and its external files together.
    opset_min, opset_max : int or None
        Of ONNX's own operators.
    domains : tuple of str
        Globs of operator domains; ``""`` is ONNX's own.
    dtypes : tuple of str
        Globs of the types in which weights are stored.
    """

    external_data: bool = True
    max_bytes: int | None = None
    opset_min: int | None = None
    opset_max: int | None = None
    domains: tuple[str, ...] = ("*",)
    dtypes: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Pins:
    """Hashes that must be what they are.

    Attributes
    ----------
    sha256 : tuple of str
        The model file is one of these.
    external : Mapping of str to str
        SHA-256 of external files by location.
    layers : Mapping of str to str
        ``content_hash`` or ``value_hash`` of layers by glob.
    """

    sha256: tuple[str, ...] = ()
    external: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """A whole policy; docs/policy.md says what each part means.

    Attributes
    ----------
    name : str
        Of the profile or file.
    fail_on : {"info", "warning", "error"}
        Least severity that fails.
    effort : {"fast", "standard", "full"}
        Of the analysis where a model is checked and no effort is given.
    select, ignore : tuple of str
        Codes, beginnings of codes, names, or ``all``.
    severity : Mapping of str to str
        By code.
    file, pins : FileRules, Pins
        Facts that a file must fulfil.
    coverage : Mapping of str to float
        Shares of ``slots`` and ``parameters`` that must be analysed.
    thresholds, role_thresholds, layer_thresholds : Mapping
        Numbers of the rules; by role and by glob.
    waivers : tuple of Waiver
    """

    name: str
    fail_on: Severity
    effort: str
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    severity: Mapping[str, Severity]
    file: FileRules
    pins: Pins
    coverage: Mapping[str, float]
    thresholds: Mapping[str, float]
    role_thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    layer_thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()

    def digest(self) -> str:
        """Give the SHA-256 of what the policy demands; its name does not count."""
        data = {key: value for key, value in asdict(self).items() if key != "name"}
        data["layer_thresholds"] = list(self.layer_thresholds.items())  # their order counts
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()
