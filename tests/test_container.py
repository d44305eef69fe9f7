"""What CI systems and container engines are told: parsed, held together, and run where that needs no engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import container_check
from tools.trim_site_packages import trim

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "fixtures" / "models"
BIN = Path(sys.executable).parent


def blocks(language: str) -> dict[str, str]:
    """Give the code blocks of docs/ci.md by the heading above them."""
    found = {}
    text = (ROOT / "docs" / "ci.md").read_text()
    for part in text.split("\n## ")[1:]:
        for body in re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL):
            found[part.splitlines()[0]] = body
    return found


def run(command: list[str | Path], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OPENBLAS_NUM_THREADS": "1", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


# --- the action ---------------------------------------------------------------


def test_the_action_hands_every_input_to_its_script() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    steps = action["runs"]["steps"]
    assert all(step.get("shell") == "bash" for step in steps if "run" in step)
    assert not any("${{" in step.get("run", "") for step in steps)  # inputs are no text of a script
    variables = steps[-1]["env"]
    assert {name.lower() for name in variables} == set(action["inputs"]) - {"python-version"}
    script = (ROOT / "container" / "action.sh").read_text()
    assert all(f"${{{name}" in script for name in variables)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_action_runs(tmp_path: Path) -> None:
    output, summary, sarif = tmp_path / "output", tmp_path / "summary.md", tmp_path / "out.sarif"
    done = run(
        ["bash", ROOT / "container" / "action.sh"],
        MODELS,
        MODELS="lenet5.onnx\nunhealthy.onnx",
        PROFILE="standard",
        SARIF=str(sarif),
        ARGUMENTS="--effort fast",
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.returncode == 1, done.stderr
    assert output.read_text() == "exit-code=1\n"
    assert "::error" in done.stdout
    assert json.loads(sarif.read_text())["version"] == "2.1.0"
    assert "unhealthy" in summary.read_text()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_action_expands_nothing(tmp_path: Path) -> None:
    done = run(
        ["bash", ROOT / "container" / "action.sh"],
        tmp_path,
        MODELS="$(touch${IFS}made) `touch made` ;touch made",
        ARGUMENTS="",
    )
    assert done.returncode == 3
    assert not list(tmp_path.iterdir())


# --- examples of the documentation ---------------------------------------------


def test_the_github_example_uses_the_action_as_it_is() -> None:
    workflow = yaml.safe_load(blocks("yaml")["GitHub"])
    (step,) = [step for step in workflow["jobs"]["check"]["steps"] if step.get("uses") == "./"]
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert set(step["with"]) <= set(action["inputs"])
    assert all((ROOT / model).is_file() for model in step["with"]["models"].split())


def test_the_gitlab_example_runs(tmp_path: Path) -> None:
    job = yaml.safe_load(blocks("yaml")["GitLab"])["models"]
    (command,) = [line for line in job["script"] if line.startswith("onnxspec")]
    (tmp_path / "models").mkdir()
    shutil.copy(MODELS / "unhealthy.onnx", tmp_path / "models")
    (tmp_path / "policy.toml").write_text('profile = "standard"\neffort = "fast"\n')
    done = run(shlex.split(command), tmp_path)
    assert done.returncode == 1, done.stderr
    assert "unhealthy.onnx" in done.stdout
    assert (tmp_path / job["artifacts"]["reports"]["junit"]).read_text().startswith("<?xml")


def test_the_pre_commit_hook_runs(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    used = yaml.safe_load(blocks("yaml")["pre-commit"])["repos"][0]["hooks"][0]
    assert used["id"] == hook["id"]
    assert re.search(hook["files"], "models/lenet5.onnx")
    shutil.copy(MODELS / "unhealthy.onnx", tmp_path)
    done = run([*shlex.split(hook["entry"]), *used["args"], "unhealthy.onnx"], tmp_path)
    assert done.returncode == 1, done.stderr


# --- the image ------------------------------------------------------------------


def test_the_dockerfile_and_its_check_use_the_same_files_and_scripts() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert {name for name in copied if name != "container/packages.sh"} == set(container_check.CONTEXT)
    assert all((ROOT / name).exists() for name in copied)
    check = (ROOT / "tools" / "container_check.py").read_text()
    for script in ("container/packages.sh build", "container/build.sh"):
        assert f"RUN sh {script}\n" in text
        assert f'"sh {script}"' in check
    for name, value in re.findall(r"^(?:ENV|   ) (\w+)=(\S*)", text, re.MULTILINE):
        assert f'("{name}", "{value.rstrip(chr(92)).strip()}")' in check
    assert re.search(r"^USER 65532", text, re.MULTILINE)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert set(allowed) == set(container_check.CONTEXT)


@pytest.mark.parametrize("script", sorted((ROOT / "container").iterdir()), ids=lambda path: path.name)
def test_scripts_are_valid(script: Path) -> None:
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    subprocess.run([shell, "-n", script], check=True)


def test_trimming_takes_what_is_not_needed(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    kept = [
        "numpy/_core/tests/_natype.py",
        "numpy/core.py",
        "numpy/core.so",
        "tests/own.py",
        "x-1.dist-info/LICENSE",
        "numpy/test.py",
    ]
    gone = [
        "numpy/linalg/tests/test_a.py",
        "numpy/a.pyi",
        "numpy/lib/libnpymath.a",
        "pip/b.py",
        "pip-1.dist-info/R",
        "numpy/n.h",
    ]
    gone += ["numpy/linalg/tests/deep/tests/c.py"]
    for name in (*kept, *gone):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("12345")
    assert trim(site, dry_run=True) == 5 * len(gone)
    assert all((site / name).exists() for name in gone)
    assert trim(site) == 5 * len(gone)
    assert sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()) == sorted(kept)
    assert trim(site) == 0
