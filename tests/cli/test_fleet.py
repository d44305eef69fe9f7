"""Several models in one run: a file for each, a line for each, on a terminal a bar over them."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from onnxspec.cli.output import progress_of_models
from tests.cli.conftest import Run


@pytest.fixture
def fleet(fixtures: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "fleet"
    for name, source in (("a", "lenet5"), ("b", "unhealthy"), ("b/c", "conv2d")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(fixtures / f"models/{source}.onnx", folder / name / "model.onnx")
    (folder / "broken.onnx").write_text("no model")
    return folder


def test_a_folder_of_models_gives_a_table_of_them(run: Run, fleet: Path) -> None:
    done = run("analyze", "fleet", "--effort", "fast")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "4 models: 2 done, 1 incomplete, 1 rejected" in done.stdout or "4 models: 2 done" in done.stdout
    found = {line.split()[0]: line.split()[-1] for line in lines[-4:]}
    assert found == {"a/model.onnx": "0", "b/c/model.onnx": "0", "b/model.onnx": "4", "broken.onnx": "3"}
    assert done.stdout.count("Coverage:") == 3


def test_one_model_has_no_such_table(run: Run, fleet: Path) -> None:
    assert "1 models" not in run("analyze", "fleet/a", "--effort", "fast").stdout


def test_rejected_models_alone_still_give_the_table(run: Run, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / f"{name}.onnx").write_text("text")
    done = run("analyze", "x.onnx", "y.onnx", "nothing*.onnx")
    assert done.returncode == 3
    assert "3 models: 3 rejected" in done.stdout
    assert "nothing*.onnx" in done.stdout


def test_an_output_folder_gets_a_file_for_each_model(run: Run, fleet: Path, tmp_path: Path) -> None:
    done = run("analyze", "fleet", "--effort", "fast", "-o", "reports/", "-o", "csv=tables/", "-o", "all.json")
    assert done.returncode == 3
    assert done.stdout == ""
    files = sorted(str(p.relative_to(tmp_path / "reports")) for p in (tmp_path / "reports").rglob("*") if p.is_file())
    assert files == ["a/model.onnx.json", "b/c/model.onnx.json", "b/model.onnx.json"]
    assert (tmp_path / "tables/a/model.onnx.csv").read_text().startswith("id,name,")
    together = json.loads((tmp_path / "all.json").read_text())
    assert [report["model"]["path"] for report in together] == [
        "fleet/a/model.onnx",
        "fleet/b/c/model.onnx",
        "fleet/b/model.onnx",
    ]
    for report, name in zip(together, files):
        assert json.loads((tmp_path / "reports" / name).read_text()) == report


def test_a_file_is_there_as_soon_as_its_model_is_done(run: Run, fleet: Path, tmp_path: Path) -> None:
    """The third argument ends the run with a usage error; what was done before is kept."""
    done = run("analyze", "fleet/a/model.onnx", "fleet/b/c/model.onnx", "--layer", "conv1", "-o", "reports/")
    assert done.returncode == 2
    assert (tmp_path / "reports/a/model.onnx.json").is_file()


def test_the_same_model_twice_gives_two_files(run: Run, fleet: Path, tmp_path: Path) -> None:
    model = "fleet/b/c/model.onnx"
    run("analyze", model, model, "--effort", "fast", "-o", "reports/")
    assert sorted(p.name for p in (tmp_path / "reports").iterdir()) == ["model.onnx-2.json", "model.onnx.json"]


def test_saved_reports_of_paths_elsewhere_stay_in_the_folder(run: Run, fleet: Path, tmp_path: Path) -> None:
    run("analyze", "fleet/b/c/model.onnx", "--effort", "fast", "-o", "one.json")
    report = json.loads((tmp_path / "one.json").read_text())
    reports = [{**report, "model": {**report["model"], "path": p}} for p in ("../../up/a.onnx", "/etc/b.onnx")]
    (tmp_path / "several.json").write_text(json.dumps(reports))
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    done = run("render", "several.json", "-f", "html", "-o", "inner/pages/")
    assert done.returncode == 0, done.stderr
    new = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert len(new) == 2
    assert all((tmp_path / "inner/pages") in p.parents for p in new)


def test_inspect_writes_folders_too(run: Run, fleet: Path, tmp_path: Path) -> None:
    done = run("inspect", "fleet/a", "fleet/b/c", "-o", "lists/")
    assert done.returncode == 0
    assert (tmp_path / "lists/a/model.onnx.json").is_file()
    assert "models:" not in run("inspect", "fleet/a", "fleet/b/c").stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_counts_models() -> None:
    terminal = Terminal()
    with progress_of_models(2, quiet=False, stream=terminal) as bar:
        for label in ("first.onnx", "second.onnx"):
            with bar(label) as progress:
                assert progress is not None
                progress("layer", 1, 2)
    assert "2/2" in terminal.getvalue()


def test_no_bar_without_a_terminal_or_when_quiet() -> None:
    for number, quiet, stream in ((2, False, io.StringIO()), (2, True, Terminal()), (1, False, io.StringIO())):
        with progress_of_models(number, quiet=quiet, stream=stream) as bar, bar("x") as progress:
            assert progress is None
        assert stream.getvalue() == ""
