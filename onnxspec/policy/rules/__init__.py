"""Every rule, by code and name."""

from __future__ import annotations

from collections.abc import Iterator

from onnxspec.policy.context import Context, Hit, Rule
from onnxspec.policy.rules import coverage, file, numbers, quantization, training

__all__ = ["ALWAYS", "EXPIRED", "RULES", "UNUSED", "find", "suggest"]


def _by_evaluate(context: Context) -> Iterator[Hit]:
    """Find nothing: `onnxspec.policy.evaluate` looks at waivers, which need the other findings."""
    del context
    return iter(())


EXPIRED = Rule(
    "OS901",
    "waiver-expired",
    group="policy",
    severity="error",
    title="a waiver whose time is over",
    rationale="A waiver holds until a date, so that somebody looks again. After it the finding counts once more, and "
    "the waiver itself is a finding. The rule cannot be switched off.",
    remedy="Fix the finding, or renew the waiver with a new date and a reason that still holds.",
    look=_by_evaluate,
)
UNUSED = Rule(
    "OS902",
    "waiver-unused",
    group="policy",
    severity="warning",
    title="a waiver that fits no finding",
    rationale="The finding is gone, or the weights have changed and the waiver's hash no longer fits. The rule cannot "
    "be switched off.",
    remedy="Delete the waiver, or look at the new weights and give their hash.",
    look=_by_evaluate,
)
ALWAYS = (EXPIRED, UNUSED)
"""Rules that no policy can switch off."""

RULES: tuple[Rule, ...] = (
    *file.RULES,
    *numbers.RULES,
    *training.RULES,
    *quantization.RULES,
    *coverage.RULES,
    *ALWAYS,
)


def find(name: str) -> Rule | None:
    """Find a rule by its code or name, in any case; ``_`` counts as ``-``."""
    wanted = name.strip().lower().replace("_", "-")
    return next((rule for rule in RULES if wanted in (rule.code.lower(), rule.name)), None)


def suggest(name: str) -> tuple[str, ...]:
    """Give up to three codes or names that look like a wrong one."""
    from difflib import get_close_matches

    known = {word.lower(): word for rule in RULES for word in (rule.code, rule.name)}
    close = get_close_matches(name.strip().lower().replace("_", "-"), known, n=3, cutoff=0.6)
    return tuple(known[word] for word in close)
