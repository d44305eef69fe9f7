"""``plot`` and ``theory``: the files they write."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import onnxspec
from onnxspec.cli import app
from onnxspec.errors import UsageError
from onnxspec.laws import marchenko_pastur
from tests.cli.conftest import Run

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the program inside this process; errors come out as exceptions."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str | Path):
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        if isinstance(done.exception, onnxspec.OnnxspecError):
            raise done.exception
        return done

    return invoke


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plot") / "lenet.json"
    path.write_text(onnxspec.analyze(MODELS / "lenet5.onnx", effort="fast").to_json())
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_model_gives_alpha_by_depth_and_one_sheet_a_layer(run: Run, tmp_path: Path) -> None:
    done = run("plot", MODELS / "lenet5.onnx", "-o", "a")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    names = ["a-001-conv1.png", "a-002-conv2.png", "a-003-fc1.png", "a-004-fc2.png", "a-alpha.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert done.stderr.count("wrote a-") == 5


def test_a_saved_report_gives_the_chosen_layers(call, saved: Path, tmp_path: Path) -> None:
    done = call("plot", saved, "--layer", "fc*", "-f", "svg", "--kind", "esd", "-q")
    assert done.exit_code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lenet-003-fc1.svg", "lenet-004-fc2.svg"]
    first = (tmp_path / "lenet-003-fc1.svg").read_bytes()
    assert b"<svg" in first
    call("plot", saved, "--layer", "fc1", "-f", "svg", "--kind", "esd", "-q")
    assert (tmp_path / "lenet-003-fc1.svg").read_bytes() == first


def test_names_of_layers_lead_to_no_other_folder(call, saved: Path, tmp_path: Path) -> None:
    data = json.loads(saved.read_text())
    for layer in data["layers"]:
        layer["name"] = "../../" + "e" * 300 + "\u202e/evil"
    (tmp_path / "evil.json").write_text(json.dumps(data))
    done = call("plot", "evil.json", "--kind", "scree", "-q")
    assert done.exit_code == 0, done.output
    written = sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".png")
    assert len(written) == 5
    assert all(name.isascii() and len(name) < 100 for name in written)


def test_several_reports_get_a_number_each(call, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text(f"[{saved.read_text()},{saved.read_text()}]")
    call("plot", "two.json", "--layer", "fc1", "--kind", "scree", "-q")
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["two-1-003-fc1.png", "two-2-003-fc1.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kind", "pie"], "--kind is 'pie'"),
        (["-f", "gif"], "--format is 'gif'"),
        (["--layer", "nothing"], "no layer matches nothing"),
        (["--layer", "fc1", "-o", "no/such/folder"], "cannot be written"),
    ],
)
def test_plot_refuses_in_one_sentence(call, saved: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call("plot", saved, *arguments)


def test_a_report_without_spectra_is_incomplete(call, saved: Path, tmp_path: Path) -> None:
    data = json.loads(saved.read_text())
    for layer in data["layers"]:
        layer |= {"alpha": None, "plot": None}
    (tmp_path / "bare.json").write_text(json.dumps(data))
    done = call("plot", "bare.json")
    assert done.exit_code == 4
    assert "no layer has a spectrum" in done.stderr


def test_theory_mp(call, tmp_path: Path) -> None:
    done = call("theory", "mp", "-o", "x", "--M", "40", "--Q", "2", "--sigma", "0.5")
    assert done.exit_code == 0, done.output
    found = rows(tmp_path / "x.csv")
    assert {(r["varies"], r["Q"], r["sigma"]) for r in found} == {("Q", "2.0", "1.0"), ("sigma", "3.0", "0.5")}
    for row in found:
        Q, sigma = float(row["Q"]), float(row["sigma"])
        if row["kind"] == "law":
            assert float(row["density"]) == marchenko_pastur.density(float(row["x"]), Q, sigma)
            assert float(row["cdf"]) == marchenko_pastur.cdf(float(row["x"]), Q, sigma)
    assert sum(r["kind"] == "sample" for r in found) == 80
    before = (tmp_path / "x.png").read_bytes(), (tmp_path / "x.csv").read_bytes()
    call("theory", "mp", "-o", "x", "--M", "40", "--Q", "2", "--sigma", "0.5")
    assert ((tmp_path / "x.png").read_bytes(), (tmp_path / "x.csv").read_bytes()) == before
    call("theory", "mp", "-o", "x", "--M", "40", "--Q", "2", "--sigma", "0.5", "--seed", "1")
    assert (tmp_path / "x.csv").read_bytes() != before[1]


def test_theory_heavy_tailed(call, tmp_path: Path) -> None:
    assert call("theory", "heavy-tailed", "--N", "90", "--M", "30", "--mu", "1", "--mu", "4").exit_code == 0
    found = rows(tmp_path / "heavy-tailed.csv")
    assert {r["mu"]: r["scale"] for r in found} == {"1.0": "0.01", "4.0": "1.0"}
    assert len(found) == 60
    one = [float(r["eval"]) for r in found if r["mu"] == "1.0"]
    assert onnxspec.fit_power_law(one, ks="seed2018", min_tail=2).alpha == float(found[0]["alpha"])
    assert (tmp_path / "heavy-tailed.png").stat().st_size > 10_000


def test_theory_alpha_mu(call, tmp_path: Path) -> None:
    options = ["--M", "60", "--count", "3", "--draws", "2", "--mu-min", "1", "--mu-max", "5"]
    assert call("theory", "alpha-mu", *options, "--entries", "lomax", "--entries", "sym").exit_code == 0
    found = rows(tmp_path / "alpha-mu.csv")
    assert [(r["entries"], float(r["mu"])) for r in found[::2]] == [
        (entries, mu) for entries in ("lomax", "sym") for mu in (1.0, 3.0, 5.0)
    ]
    assert [r["alpha_limit"] for r in found[:6:2]] == ["1.5", "2.5", ""]
    assert (tmp_path / "alpha-mu.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mp", "--Q", "0.5"], "Q is 0.5"),
        (["mp", "--sigma", "-1"], "sigma is -1.0"),
        (["alpha-mu", "--entries", "cauchy"], "entries is 'cauchy'"),
        (["alpha-mu", "--ks", "best"], "ks is 'best'"),
        (["alpha-mu", "--mu-min", "-1"], "mu is -1.0"),
        (["alpha-mu", "--mu-min", "nan"], "mu is nan"),
        (["heavy-tailed", "--N", "10", "--M", "20"], "needs N >= M"),
        (["vsdl", "--student", "quantum"], "student is 'quantum'"),
        (["vsdl", "--noise", "0.5"], "noise is 0.5"),
        (["vsdl", "-t", "nan"], "temperature is nan"),
        (["vsdl", "--load-max", "0"], "highest load"),
    ],
)
def test_theory_refuses_in_one_sentence(call, arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call("theory", *arguments)


def test_theory_vsdl(call, tmp_path: Path) -> None:
    options = ["--points", "21", "-t", "0.2", "-t", "1"]
    assert call("theory", "vsdl", *options, "--load-max", "4").exit_code == 0
    found = rows(tmp_path / "vsdl.csv")
    jump = [r for r in found if r["kind"] == "transition" and r["temperature"] == "1.0" and r["noise"] == "0.1"]
    assert [round(float(r["load"]), 3) for r in jump] == [2.889]
    curve = [r for r in found if r["kind"] == "curve" and r["temperature"] == "1.0"]
    errors = {round(float(r["load"]), 9): float(r["generalisation_error"]) for r in curve}
    assert len(errors) == 21
    assert errors[2.4] > 0.25  # the transition is at 2.431
    assert errors[2.6] == 0.0
    assert {r["student"] for r in found if r["kind"] == "contrast"} == {"spherical"}
    assert sum(r["kind"] == "map" for r in found) == 21 * 11
    assert (tmp_path / "vsdl.png").stat().st_size > 10_000
    assert call("theory", "vsdl", *options, "--student", "spherical", "-o", "s").exit_code == 0
    assert not [r for r in rows(tmp_path / "s.csv") if r["kind"] == "transition"]
