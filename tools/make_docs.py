"""Write what the program can say about itself into the documents.

    python tools/make_docs.py            writes
    python tools/make_docs.py --check    says what is out of date and ends with 1

docs/metrics.md, docs/reasons.md and docs/json-schema/ come from the catalogue and the dataclasses, docs/rules/ from
the rules of `check`.
In README.md and docs/*.md, what stands between ``<!-- output of: COMMAND -->`` and ``<!-- end of output -->`` is
replaced by what the command prints in the root of the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from onnxspec.catalogue import Entry, entries
from onnxspec.policy.rules import RULES
from onnxspec.policy.schema import policy_schema
from onnxspec.results.findings import RuleFacts
from onnxspec.results.schema import comparison_schema, report_schema, series_schema, track_schema

ROOT = Path(__file__).resolve().parent.parent
GENERATED = "<!-- Written by tools/make_docs.py from onnxspec/catalogue; edit it there. -->\n"
RULES_GENERATED = "<!-- Written by tools/make_docs.py from onnxspec/policy/rules; edit it there. -->\n"
GROUPS = {
    "file": "the file",
    "numbers": "numbers",
    "training": "training",
    "quantization": "quantisation",
    "coverage": "coverage",
    "policy": "the policy itself",
}
BLOCK = re.compile(r"(<!-- output of: (onnxspec [^\n]*?) -->\n).*?(<!-- end of output -->)", re.DOTALL)
PROGRAM = "import sys; from onnxspec.cli import main; sys.argv[0] = 'onnxspec'; main()"

SYMBOLS = """\
Symbols: W is one weight matrix, turned so that it has N rows and M <= N columns; sv are its singular values,
descending; X = W^T W / N; lambda = sv^2 / N are the eigenvalues of X. A layer of several matrices (the kernel
positions of a convolution) has K = num_matrices M eigenvalues, which are taken together. R of them are above the rank
tolerance. log10 is the decimal logarithm, ln the natural one; x are the positive eigenvalues, ascending.

A number that does not exist is null, and `reasons` (or the layer's `reason`) says why: see [reasons.md](reasons.md).
**Scale** means that multiplying W by a number changes the metric, **shape** that it does not, **mixed** that both the
scale and the shape of the spectrum enter. The same text on the command line: `onnxspec explain NAME`.
"""


def metrics_page() -> str:
    """Give docs/metrics.md."""
    parts = [GENERATED, "# Metrics, phases, verdicts and words\n", SYMBOLS]
    parts += ["## Words\n", _table(("word", "meaning"), ((e.name, _what(e)) for e in entries("term")))]
    parts += ["## Roles\n", _table(("role", "meaning"), ((e.name, f"{e.title}. {e.what}") for e in entries("role")))]
    parts += ["## Settings\n", _table(("setting", "meaning"), ((e.name, _what(e)) for e in entries("setting")))]
    for kind in ("metric", "phase", "verdict"):
        for group, members in _groups(entries(kind)).items():
            parts.append(f"## {group}\n")
            parts += [_section(entry) for entry in members]
    return "\n".join(parts)


def reasons_page() -> str:
    """Give docs/reasons.md."""
    parts = [
        GENERATED,
        "# Reasons and diagnostics\n",
        "Why a number is null, why a layer or slot has no result, and what is odd about a file. The codes are stable.\n"
        "`onnxspec explain CODE` says the same on the command line.\n",
    ]
    for group, members in _groups(entries("reason")).items():
        rows = ((e.name, f"**{_text(e.title)}.** {_text(e.what)}", _text(e.how_to_read or "")) for e in members)
        parts += [f"## {group}\n", _table(("code", "meaning", "what to do, or how to read it"), rows, raw=True)]
    return "\n".join(parts)


def schema_text() -> str:
    """Give docs/json-schema/report-1.json."""
    return json.dumps(report_schema(), indent=1) + "\n"


def comparison_schema_text() -> str:
    """Give docs/json-schema/comparison-1.json."""
    return json.dumps(comparison_schema(), indent=1) + "\n"


def study_schemas() -> dict[str, str]:
    """Give docs/json-schema/series-1.json and track-1.json."""
    found = {"series": series_schema(), "track": track_schema()}
    return {f"{name}-1.json": json.dumps(schema, indent=1) + "\n" for name, schema in found.items()}


def policy_schema_text() -> str:
    """Give docs/json-schema/policy-1.json."""
    return json.dumps(policy_schema(), indent=1) + "\n"


def rule_pages() -> dict[str, str]:
    """Give docs/rules/: a page for each group of rules, and the list of all."""
    groups: dict[str, list[RuleFacts]] = {}
    for rule in RULES:
        groups.setdefault(rule.group, []).append(rule)
    pages = {f"{group}.md": _rule_page(group, rules) for group, rules in groups.items()}
    rows = "".join(
        f"| {rule.code} | [{rule.name}]({rule.group}.md#{rule.code.lower()}-{rule.name}) | {rule.severity} "
        f"| {_text(rule.title)} |\n"
        for rule in RULES
    )
    intro = (
        "What `onnxspec check` looks for. [policy.md](../policy.md) says how to choose, tune and waive rules; "
        "`onnxspec explain CODE` prints the same text.\n\nA rule that could not look at what it needs says so "
        "(inconclusive); that is never a pass.\n"
    )
    pages["README.md"] = (
        f"{RULES_GENERATED}\n# Rules\n\n{intro}\n| code | name | severity | finds |\n|---|---|---|---|\n{rows}"
    )
    return pages


def _rule_page(group: str, rules: Iterable[RuleFacts]) -> str:
    """Give the page of one group."""
    parts = [f"{RULES_GENERATED}\n# Rules about {GROUPS[group]}\n"]
    for rule in rules:
        lines = [
            f"## {rule.code} {rule.name}",
            "",
            f"**{_text(rule.title)}** ({rule.severity}). {_text(rule.rationale)}",
        ]
        lines += ["", f"*What to do:* {_text(rule.remedy)}"]
        if rule.thresholds:
            lines += ["", f"*Keys of the policy:* {', '.join(f'`{key}`' for key in rule.thresholds)}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def with_output(text: str) -> str:
    """Give a document with its output blocks made again."""
    return BLOCK.sub(lambda found: f"{found[1]}```console\n$ {found[2]}\n{_run(found[2])}```\n{found[3]}", text)


def _run(command: str) -> str:
    """Run one onnxspec command and give its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONNXSPEC_")}
    environment |= {"NO_COLOR": "1", "COLUMNS": "80", "LINES": "24", "TERM": "dumb", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *shlex.split(command)[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr.decode()}")
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.decode().splitlines())


def _groups(found: Iterable[Entry]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in found:
        groups.setdefault(entry.group, []).append(entry)
    return groups


def _what(entry: Entry) -> str:
    return " ".join(
        part
        for part in (entry.what, entry.formula and f"{entry.formula}.", entry.how_to_read, entry.not_meaning)
        if part
    )


def _section(entry: Entry) -> str:
    """Give one entry as a section of its own."""
    nature = f" ({entry.scale_or_shape})" if entry.scale_or_shape not in (None, "neither") else ""
    lines = [f"### {entry.name}", "", f"**{_text(entry.title)}**{nature}. {_text(entry.what)}"]
    if entry.formula:
        lines += ["", "```", entry.formula, "```"]
    for label, text in (
        ("How to read it", entry.how_to_read),
        ("What it does not mean", entry.not_meaning),
        ("Source", entry.source),
    ):
        if text:
            lines += ["", f"*{label}:* {_text(text)}"]
    return "\n".join(lines) + "\n"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, raw: bool = False) -> str:
    """Give a table whose first column is code."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for name, *cells in rows:
        shown = cells if raw else [_text(cell) for cell in cells]
        lines.append(f"| `{name}` | {' | '.join(cell.replace('|', chr(92) + '|') for cell in shown)} |")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Escape plain text for Markdown."""
    return re.sub(r"([*<\[\]])", r"\\\1", text)


def documents() -> dict[Path, str]:
    """Give every generated document with its text."""
    with_blocks = {page: page.read_text(encoding="utf-8") for page in pages_with_blocks()}
    return {
        ROOT / "docs" / "metrics.md": metrics_page(),
        ROOT / "docs" / "reasons.md": reasons_page(),
        ROOT / "docs" / "json-schema" / "report-1.json": schema_text(),
        ROOT / "docs" / "json-schema" / "policy-1.json": policy_schema_text(),
        ROOT / "docs" / "json-schema" / "comparison-1.json": comparison_schema_text(),
        **{ROOT / "docs" / "json-schema" / name: text for name, text in study_schemas().items()},
        **{ROOT / "docs" / "rules" / name: text for name, text in rule_pages().items()},
        **{page: with_output(text) for page, text in with_blocks.items()},
    }


def pages_with_blocks() -> list[Path]:
    """Give README.md and the pages of docs/ that hold output of commands."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in pages if BLOCK.search(page.read_text(encoding="utf-8"))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated parts of the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 where something is out of date")
    check = parser.parse_args().check
    stale = 0
    for path, text in documents().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{path.relative_to(ROOT)}: {'out of date' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
