"""Markdown of reports: what it says, and that nothing in a file's names can act."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import onnxspec
from onnxspec.report.markdown import MAX_LAYERS, MAX_NOTES, code, render
from onnxspec.results import Layers, Report

HOSTILE = (
    "<script>alert(1)</script>",
    "`x` **b**",
    "``` fence",
    "a|b",
    r"a\|b",
    r"a\\|b\\",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "@everyone #1 https://evil.example www.evil.example",
    "line\nbreak\r\n| new | row |",
    "\x1b[31mred\x1b[0m",
    "\u202edesrever",
    "</details>",
    "`",
    "|",
    "\\",
    " padded ",
    "# heading",
    "<!-- comment",
    "&lt;b&gt;",
)
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.fixture(scope="module")
def report() -> Report:
    models = Path(__file__).resolve().parents[2] / "fixtures" / "models"
    return onnxspec.analyze(models / "unhealthy.onnx")


def spans(markdown: str) -> list[str]:
    """Give the content of all code spans, as a parser sees it."""
    return [
        child.content
        for token in PARSER.parse(markdown)
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def kinds(markdown: str) -> set[str]:
    """Give the kinds of everything inline, and of all HTML."""
    tokens = PARSER.parse(markdown)
    return {child.type for token in tokens for child in token.children or ()} | {
        token.type for token in tokens if "html" in token.type
    }


def rows(markdown: str) -> list[int]:
    """Give the number of cells in each row of the tables."""
    counts: list[int] = []
    for token in PARSER.parse(markdown):
        if token.type == "tr_open":
            counts.append(0)
        elif token.type in ("td_open", "th_open"):
            counts[-1] += 1
    return counts


def in_cell(name: str) -> str:
    return f"| a | b |\n|---|---|\n| {code(name)} | end |\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_in_a_paragraph_and_in_a_cell(name: str) -> None:
    for markdown in (code(name) + "\n", in_cell(name)):
        assert kinds(markdown) <= {"text", "code_inline"}
        assert len(spans(markdown)) == 1
    assert rows(in_cell(name)) == [2, 2]


@given(st.text(alphabet=st.sampled_from("`|\\ab <>*_[]()!&#@\n\x1b"), max_size=24))
def test_no_text_leaves_its_cell(name: str) -> None:
    markdown = in_cell(name)
    assert rows(markdown) == [2, 2]
    assert kinds(markdown) <= {"text", "code_inline"}
    assert len(spans(markdown)) == (1 if name.strip(" ") else 0)


@given(st.text(alphabet=st.sampled_from("`|abc.:/ é<>"), min_size=1, max_size=24))
def test_a_name_reads_as_it_is(name: str) -> None:
    """But for backslashes before a bar, which Markdown has no way to write."""
    found = spans(in_cell(name))
    assert found == ([name] if name.strip(" ") else [])


def test_long_names_are_cut_and_control_characters_shown() -> None:
    assert len(code("x" * 1000)) < 100
    assert "\x1b" not in code("\x1b[2J")
    assert code("\x1b[2J") == r"`\x1b[2J`"
    assert code("") == "(no name)"


def test_a_report_says_coverage_summary_layers_and_skips(report: Report) -> None:
    markdown = render([report])
    assert "**Coverage**: 4 of 5 weight slots analysed, 0 skipped, 1 failed" in markdown
    assert "`non_finite` 1" in markdown
    assert "**Summary**: 6 layers, 5 averaged, 1 with a power-law fit" in markdown
    assert rows(markdown) == [11] * (len(report.layers) + 1)
    healthy = report.layers["healthy"]
    assert f"{healthy.alpha:.2f} ({healthy.alpha_ci[0]:.2f} to {healthy.alpha_ci[1]:.2f})" in markdown
    assert "Skipped or failed slots (1)" in markdown
    assert markdown.endswith("\n")
    assert kinds(markdown) <= {"text", "code_inline", "strong_open", "strong_close", "softbreak", "html_block"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_with_hostile_names_keeps_its_form(report: Report, name: str) -> None:
    layers = [replace(layer, name=name, role=name, phase=name, trained={"verdict": name}) for layer in report.layers]
    skips = tuple(replace(skip, slot=name, reason=name, detail=name) for skip in report.skipped)
    hostile = replace(
        report,
        model=replace(report.model, path=name, producer=name, sha256=name),
        layers=Layers(layers),
        skipped=skips,
        coverage=replace(report.coverage, by_reason={name: 1}, unsupported_ops={name: 2}),
        diagnostics=tuple(replace(d, code=name, message=name, subject=f"{name}!") for d in report.diagnostics),
    )
    markdown = render([hostile])
    assert rows(markdown) == [11] * (len(layers) + 1)
    assert kinds(markdown) <= {"text", "code_inline", "strong_open", "strong_close", "softbreak", "html_block"}
    html = [token.content for token in PARSER.parse(markdown) if token.type == "html_block"]
    assert all(block.startswith(("<details><summary>", "</details>")) for block in html)
    assert [token.tag for token in PARSER.parse(markdown) if token.type == "heading_open"] == ["h2"]
    assert "\x1b" not in markdown


def test_large_reports_fit_a_comment(report: Report) -> None:
    many = Layers([replace(report.layers[0], name=f"layer.{i}") for i in range(1000)])
    skips = report.skipped * 500
    markdown = render([replace(report, layers=many, skipped=skips)])
    assert len(markdown) < 65_536
    assert f"{1000 - MAX_LAYERS} more layers" in markdown
    assert f"and {len(skips) - MAX_NOTES} more" in markdown


def test_inspected_and_empty_models_have_a_page(fixtures: Path, report: Report) -> None:
    inspected = onnxspec.inspect(fixtures / "models" / "linear_gemm.onnx")
    assert "not_computed" in render([inspected])
    assert "Summary" not in render([inspected])
    assert "No layers." in render([replace(report, layers=Layers())])
    two = render([inspected, report])
    assert two.count("\n## ") + two.startswith("## ") == 2
