"""``onnxspec explain``: what a metric, reason, phase, verdict or setting means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from onnxspec.catalogue import Entry
    from onnxspec.results.findings import RuleFacts

__all__ = ["explain", "explanation", "rule_explanation"]

WIDTH = 80


def explain(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="alpha, too_small, OS301, ...; all names without it.")
    ] = None,
) -> None:
    """Say what a metric, reason, phase, verdict, role, setting or rule of check means."""
    from onnxspec.catalogue import find, suggest
    from onnxspec.cli.output import write_text
    from onnxspec.policy import rules

    if name is None:
        write_text(_names(), None)
        return
    found = [explanation(entry) for entry in find(name)]
    rule = rules.find(name)
    if rule is not None:
        found.append(rule_explanation(rule))
    if not found:
        close = (*suggest(name), *rules.suggest(name))[:3]
        hint = f"did you mean {' or '.join(close)}?" if close else "`onnxspec explain` lists every name."
        raise UsageError(f"there is no {name[:60]!r} in the catalogue; {hint}")
    write_text("\n".join(found), None)


def explanation(entry: Entry) -> str:
    """Give an entry as plain text of 80 columns."""
    parts = (
        ("formula", entry.formula),
        ("how to read it", entry.how_to_read),
        ("what it does not mean", entry.not_meaning),
        ("depends on", _nature(entry)),
        ("source", entry.source),
    )
    lines = [f"{entry.name} ({entry.kind}): {entry.title}", "", *_wrapped(entry.what, "  ")]
    for label, text in parts:
        if text:
            lines += ["", f"  {label}", *_wrapped(text, "    ")]
    return "\n".join(lines) + "\n"


def rule_explanation(rule: RuleFacts) -> str:
    """Give a rule as plain text of 80 columns."""
    lines = [f"{rule.code} {rule.name} (rule, {rule.severity}): {rule.title}"]
    parts = (("why it matters", rule.rationale), ("what to do", rule.remedy), ("keys", ", ".join(rule.thresholds)))
    for label, text in parts:
        if text:
            lines += ["", f"  {label}", *_wrapped(text, "    ")]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _nature(entry: Entry) -> str | None:
    """Say in words what a metric depends on."""
    texts = {
        "scale": "the scale of W: multiplying all weights by a number changes it",
        "shape": "the shape of the spectrum alone: multiplying all weights by a number changes nothing",
        "mixed": "the scale of W and the shape of its spectrum",
    }
    return texts.get(entry.scale_or_shape or "")


def _names() -> str:
    """List every name with its title, by kind."""
    from onnxspec.catalogue import KINDS, entries
    from onnxspec.policy.rules import RULES

    blocks = []
    for kind, heading in KINDS.items():
        found = entries(kind)
        width = min(max(len(entry.name) for entry in found), 26)
        blocks.append("\n".join([heading, *(f"  {entry.name:<{width}}  {entry.title}" for entry in found)]))
    blocks.append("\n".join(["Rules", *(f"  {rule.code}  {rule.name}: {rule.title}" for rule in RULES)]))
    return "\n\n".join(blocks) + "\n"
