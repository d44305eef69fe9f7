"""``onnxspec check`` as its users run it: exit codes, isolation, formats, and what it costs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import onnxspec
from onnxspec.cli import main
from onnxspec.cli.exit_codes import ExitCode
from onnxspec.cli.isolation import Bounds, EndedError, analyze_isolated
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.settings import Settings
from tests.cli.conftest import Run

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"
UNHEALTHY = MODELS / "unhealthy.onnx"
HEALTHY = MODELS / "lenet5.onnx"


@pytest.fixture
def quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the program in this process, where nothing of the process matters."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["onnxspec", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, int(stop.value.code or 0), out, err)

    return call


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    found = {}
    for path in (UNHEALTHY, HEALTHY):
        found[path.stem] = folder / f"{path.stem}.json"
        found[path.stem].write_text(onnxspec.analyze(path).to_json())
    fast = folder / "fast.json"
    fast.write_text(onnxspec.analyze(HEALTHY, effort="fast").to_json())
    return {**found, "fast": fast}


def test_a_model_and_its_saved_report_are_judged_alike(run: Run, saved: dict[str, Path]) -> None:
    model, report = run("check", UNHEALTHY, "-f", "json"), run("check", saved["unhealthy"], "-f", "json")
    assert model.returncode == report.returncode == ExitCode.FAILED
    assert json.loads(model.stdout)["findings"] == json.loads(report.stdout)["findings"]
    assert [f["code"] for f in json.loads(report.stdout)["findings"]][:2] == ["OS201", "OS203"]
    assert model.stderr == report.stderr == ""
    beside = run("check", UNHEALTHY, "-f", "json", "--no-isolate", "-q")
    assert beside.stdout == model.stdout


def test_exit_codes(quick: Run, saved: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("fail_on = 1")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "noise.toml").write_text('fail_on = "warning"\nselect = ["OS301"]\n[thresholds]\nnoise_min_side = 50')
    assert quick("check", saved["lenet5"]).returncode == ExitCode.OK
    assert quick("check", saved["unhealthy"]).returncode == ExitCode.FAILED
    assert quick("check", saved["fast"], "--policy", "noise.toml").returncode == ExitCode.INCOMPLETE
    assert quick("check", saved["lenet5"], "--policy", "bad.toml").returncode == ExitCode.USAGE
    assert quick("check", saved["lenet5"], "--today", "tomorrow").returncode == ExitCode.USAGE
    assert quick("check", saved["lenet5"], "-f", "xml").returncode == ExitCode.USAGE
    assert quick("check", saved["lenet5"], "--max-memory", "much").returncode == ExitCode.USAGE
    for rejected in ("bad.onnx", "bad.json", "missing.onnx"):
        done = quick("check", rejected)
        assert done.returncode == ExitCode.REJECTED
        assert done.stdout.startswith(f"{rejected}: rejected by the policy standard: ")
        assert "Traceback" not in done.stderr
    several = quick("check", saved["unhealthy"], "bad.onnx", saved["lenet5"])
    assert several.returncode == ExitCode.REJECTED
    assert several.stdout.count(" by the policy standard: ") == 3


def test_errors_of_a_policy_name_its_line(quick: Run, saved: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('fail_on = "error"\n[file]\nmax_byts = 3\n')
    done = quick("check", saved["lenet5"], "--policy", "p.toml")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == "onnxspec: p.toml:3: file.max_byts is unknown; did you mean max_bytes?\n"
    assert done.stdout == ""


def test_profiles_waivers_and_the_day(quick: Run, saved: dict[str, Path], tmp_path: Path) -> None:
    assert quick("check", saved["unhealthy"], "--profile", "strict").stdout.startswith(str(UNHEALTHY))
    sha256 = json.loads(saved["unhealthy"].read_text())["model"]["sha256"]
    waivers = "".join(
        f'[[waivers]]\nrule = "{rule}"\nowner = "me"\nreason = "test"\nexpires = 2030-01-01\nsha256 = "{sha256}"\n'
        for rule in ("OS201", "OS203", "OS501")
    )
    (tmp_path / "p.toml").write_text(waivers)
    done = quick("check", saved["unhealthy"], "--policy", "p.toml", "--today", "2029-12-31")
    assert done.returncode == ExitCode.OK
    assert "4 waived" in done.stdout
    late = quick("check", saved["unhealthy"], "--policy", "p.toml", "--today", "2030-01-02")
    assert late.returncode == ExitCode.FAILED
    assert late.stdout.count("OS901") == 3


def test_a_baseline(quick: Run, saved: dict[str, Path]) -> None:
    same = quick("check", saved["unhealthy"], "--baseline", saved["unhealthy"])
    assert same.returncode == ExitCode.OK
    assert "5 in the baseline" in same.stdout
    assert quick("check", saved["unhealthy"], "--baseline", saved["lenet5"]).returncode == ExitCode.FAILED
    assert quick("check", saved["unhealthy"], "--baseline", "missing.json").returncode == ExitCode.REJECTED


def test_several_formats_at_once(quick: Run, saved: dict[str, Path], tmp_path: Path) -> None:
    done = quick("check", saved["unhealthy"], "-f", "github", "-o", "sarif=a.sarif", "-o", "junit=b.xml", "-o", "c.md")
    assert done.returncode == ExitCode.FAILED
    assert json.loads((tmp_path / "a.sarif").read_text())["version"] == "2.1.0"
    assert (tmp_path / "b.xml").read_text().startswith("<?xml")
    assert (tmp_path / "c.md").read_text().startswith("::error")  # -f names the format of a plain -o
    by_ending = quick("check", saved["unhealthy"], "-o", "d.md", "-o", "e.xml", "-o", "f.sarif")
    assert by_ending.stdout == ""
    assert (tmp_path / "d.md").read_text().startswith("## ")


def test_init_policy_writes_what_check_reads(quick: Run, saved: dict[str, Path], tmp_path: Path) -> None:
    assert quick("init-policy", "-o", "p.toml", "--profile", "strict").returncode == 0
    once = quick("check", saved["unhealthy"], "--policy", "p.toml", "-f", "json")
    assert json.loads(once.stdout)["policy"]["fail_on"] == "warning"
    again = quick("init-policy", "-o", "p.toml")
    assert again.returncode == ExitCode.USAGE
    assert "exists already" in again.stderr
    assert quick("init-policy").stdout.startswith("# Policy of")


def test_explain_and_schema_know_policies(quick: Run) -> None:
    done = quick("explain", "os301")
    assert done.returncode == 0
    assert done.stdout.startswith("OS301 not-told-from-noise (rule, warning): ")
    both = quick("explain", "non-finite").stdout
    assert "non_finite (reason)" in both
    assert "OS201 non-finite (rule, error)" in both
    assert "OS302" in quick("explain").stdout
    assert "did you mean" in quick("explain", "OS3001").stderr
    assert json.loads(quick("schema", "policy").stdout)["$id"] == "urn:onnxspec:policy:1"


def test_the_standard_input_can_be_a_model(run: Run) -> None:
    done = run("check", "-", "-f", "json", stdin=UNHEALTHY.read_bytes())
    assert done.returncode == ExitCode.FAILED
    assert json.loads(done.stdout)["model"]["bytes"] == UNHEALTHY.stat().st_size


def test_nothing_heavy_is_loaded_for_a_saved_report(saved: dict[str, Path]) -> None:
    names = ("table", "sarif", "junit", "github", "markdown", "cyclonedx", "json")
    outputs = [part for name in names for part in ("-o", f"{name}={os.devnull}")]
    code = (
        "import sys\nfrom onnxspec.cli import app\n"
        f"app({['check', str(saved['unhealthy']), *outputs]!r}, standalone_mode=False)\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert "onnxspec.report.cyclonedx" in done.stdout.split()
    assert not loaded & {"numpy", "onnx", "numba", "scipy", "onnxruntime", "powerlaw", "matplotlib", "rich"}


def test_a_saved_report_costs_little(saved: dict[str, Path]) -> None:
    """0.4 s are asked for; four times that still finds a numerical library that is loaded by mistake."""
    costs = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "onnxspec", "check", str(saved["lenet5"])], stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(costs) < 1.6


def isolated(path: Path | str, bounds: Bounds, timeout: float | None = None) -> onnxspec.Report:  # type: ignore[name-defined]
    return analyze_isolated(str(path), Settings(effort="fast"), DEFAULT_LIMITS, bounds, jobs=1, timeout=timeout)


def test_isolation_hands_back_the_same_report() -> None:
    assert isolated(HEALTHY, Bounds()) == onnxspec.analyze(str(HEALTHY), effort="fast")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold to RLIMIT_AS")
def test_a_child_without_memory_is_inconclusive(run: Run) -> None:
    with pytest.raises(EndedError, match="--max-memory"):
        isolated(HEALTHY, Bounds(memory=100 * 2**20))
    done = run("check", HEALTHY, "--max-memory", "100M")
    assert done.returncode == ExitCode.INCOMPLETE
    assert "inconclusive by the policy standard" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["MemoryError", "SystemError", "ImportError"])
def test_what_libraries_raise_without_memory_names_the_option(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxspec.cli import isolation

    answer = json.dumps({"error": kind, "message": "m" * 3000}).encode()
    monkeypatch.setattr(isolation, "_exchange", lambda *_: (answer, 0, False))
    with pytest.raises(EndedError, match=rf"{kind} \(m+\); .* 0.5 GiB of memory \(--max-memory\)") as caught:
        isolated(HEALTHY, Bounds(memory=2**29))
    assert len(str(caught.value)) < 500


def test_a_child_without_time_is_inconclusive(tmp_path: Path) -> None:
    with pytest.raises(EndedError, match="--max-cpu"):
        isolated(HEALTHY, Bounds(cpu=0))


def test_a_rejected_model_keeps_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(onnxspec.NotAModelError, match="git-LFS"):
        isolated(tmp_path / "bad.onnx", Bounds())


def test_an_answer_that_is_no_report_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxspec.cli import isolation

    for answer in (b"", b"x", b"[]", b'{"error": "UsageError2", "message": "m"}', b'{"error": "os.system"}'):
        monkeypatch.setattr(isolation, "_exchange", lambda *_, answer=answer: (answer, 0, False))
        with pytest.raises(EndedError):
            isolated(HEALTHY, Bounds())
    for answer in (b'{"report": 3}', b'{"report": {"schema_version": "1"}}', b'{"report": NaN}'):
        monkeypatch.setattr(isolation, "_exchange", lambda *_, answer=answer: (answer, 0, False))
        with pytest.raises(onnxspec.ReportError):
            isolated(HEALTHY, Bounds())


def test_limits_are_lowered() -> None:
    code = (
        "import resource\nfrom onnxspec.cli.isolated import limit\n"
        "limit({'memory': 2**31, 'cpu': 9, 'files': 64, 'file_bytes': 1000}, spools=False)\n"
        "names = ('AS', 'CPU', 'NOFILE', 'FSIZE', 'CORE')\n"
        "print([resource.getrlimit(getattr(resource, f'RLIMIT_{name}')) for name in names])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([(2**31,) * 2, (9, 9), (64, 64), (1000, 1000), (0, 0)])


def test_output_is_the_same_on_every_quick(quick: Run, saved: dict[str, Path]) -> None:
    for name in ("table", "json", "sarif", "junit", "cyclonedx"):
        first, second = (quick("check", saved["unhealthy"], "-f", name).stdout for _ in range(2))
        assert first == second != ""
