"""Documents say what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import make_docs

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DECISIONS = ROOT / "docs" / "decisions"
STALE = "run `python tools/make_docs.py`"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metrics.md", make_docs.metrics_page),
        ("reasons.md", make_docs.reasons_page),
        ("json-schema/report-1.json", make_docs.schema_text),
        ("json-schema/series-1.json", lambda: make_docs.study_schemas()["series-1.json"]),
        ("json-schema/track-1.json", lambda: make_docs.study_schemas()["track-1.json"]),
    ],
)
def test_generated_documents_are_current(name: str, text) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text(), STALE


def test_the_readme_shows_help_and_an_analysis() -> None:
    commands = [found[2] for found in make_docs.BLOCK.finditer(README)]
    assert "onnxspec --help" in commands
    assert any(command.startswith("onnxspec analyze ") for command in commands)


@pytest.mark.parametrize("page", make_docs.pages_with_blocks(), ids=lambda page: page.name)
def test_output_blocks_are_what_the_program_prints(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert make_docs.with_output(text) == text, STALE


def test_a_block_that_is_out_of_date_is_made_again() -> None:
    old = "a\n<!-- output of: onnxspec --version -->\nnonsense\n<!-- end of output -->\nb\n"
    new = make_docs.with_output(old)
    assert re.fullmatch(
        r"a\n<!-- output of: onnxspec --version -->\n```console\n\$ onnxspec --version\nonnxspec \S+\n```\n"
        r"<!-- end of output -->\nb\n",
        new,
    )
    assert make_docs.with_output(new) == new


def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    monkeypatch.chdir(ROOT)
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, "README.md", "exec"), names)
        assert names["fit"].alpha > 1  # type: ignore[attr-defined]
    assert "4 of 4 slots" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_the_index_of_decisions_is_complete() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\((\d{3}-[a-z0-9-]+\.md)\)", index))
    assert listed == {path.name for path in DECISIONS.glob("[0-9]*.md")}
    for name in listed:
        title = (DECISIONS / name).read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {name[:3]}: "), name


def test_make_is_told_of_the_commands_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
