"""Annotations of GitHub Actions: one workflow command a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxspec.report._plain import plain, shortened
from onnxspec.report.findings_table import headline
from onnxspec.results.findings import Finding, Judgement

__all__ = ["render"]

LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def render(judgements: Sequence[Judgement]) -> str:
    """Give the findings that count as annotations, and each verdict as a notice.

    GitHub shows 10 annotations of a level for each step; the most severe come first.
    """
    return "".join(f"{line}\n" for judgement in judgements for line in _judgement(judgement))


def _judgement(judgement: Judgement) -> Iterator[str]:
    for finding in judgement.findings:
        if finding.state not in ("known", "waived"):
            yield _command(LEVELS[finding.severity], judgement.path, _title(finding), finding.message, finding.subject)
    level = {"passed": "notice", "inconclusive": "warning"}.get(judgement.verdict, "error")
    yield _command(level, judgement.path, "onnxspec", headline(judgement), None)


def _title(finding: Finding) -> str:
    state = {"inconclusive": " (undecided)", "worse": " (worse)"}.get(finding.state, "")
    return f"{finding.code} {finding.name}{state}"


def _command(level: str, path: str, title: str, message: str, subject: str | None) -> str:
    text = message if subject is None else f"{shortened(subject, 200)}: {message}"
    return f"::{level} file={_property(plain(path))},title={_property(title)}::{_data(plain(text))}"


def _data(text: str) -> str:
    """Escape the text of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
