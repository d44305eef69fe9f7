"""Judgements as Markdown for pull requests; everything from the file stands in code spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxspec.report.findings_table import coverage_line
from onnxspec.report.markdown import code
from onnxspec.results.findings import Finding, Judgement

__all__ = ["render"]

MAX_FINDINGS = 100  # a comment on GitHub may have 65,536 characters


def render(judgements: Sequence[Judgement]) -> str:
    """Give the judgements as GitHub-flavoured Markdown."""
    return "\n".join("\n".join(_judgement(judgement)) + "\n" for judgement in judgements)


def _judgement(judgement: Judgement) -> Iterator[str]:
    yield f"## {code(judgement.path)}: {judgement.verdict}"
    yield ""
    counts = judgement.counts()
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    yield f"- **Policy** {code(judgement.policy)}: {told or f'no findings of {len(judgement.rules)} rules'}"
    if judgement.problem is not None:
        yield f"- **Problem**: {code(judgement.problem, 300)}"
    yield f"- {coverage_line(judgement)}"
    open_ones = [finding for finding in judgement.findings if finding.state not in ("known", "waived")]
    rest = [finding for finding in judgement.findings if finding.state in ("known", "waived")]
    if open_ones:
        yield ""
        yield from _table(open_ones)
    if rest:
        yield ""
        yield f"<details><summary>In the baseline or waived ({len(rest)})</summary>"
        yield ""
        yield from _table(rest)
        yield ""
        yield "</details>"


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    yield "| | rule | severity | subject | finding |"
    yield "|:--|:--|:--|:--|:--|"
    for finding in findings[:MAX_FINDINGS]:
        mark = "**fails**" if finding.fails and finding.state != "inconclusive" else finding.state
        note = f" waived by {code(finding.waiver, 200)}" if finding.waiver else ""
        yield (
            f"| {mark} | {finding.code} {finding.name} | {finding.severity} | {code(finding.subject)} "
            f"| {code(finding.message, 300)}{note} |"
        )
    if len(findings) > MAX_FINDINGS:
        yield ""
        yield f"{len(findings) - MAX_FINDINGS} more findings are in the JSON output."
