"""Build the wheel and let it do the main job in an empty environment, away from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from trim_site_packages import size_of, trim

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,) = work.glob("*.whl")
        venv.create(work / "env", with_pip=True)
        python = work / "env" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], check=True)
        model = work / "lenet5.onnx"
        model.write_bytes((ROOT / "fixtures/models/lenet5.onnx").read_bytes())
        command = [str(work / "env" / "bin" / "onnxspec"), "analyze", "lenet5.onnx", "-f", "json"]
        done = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True)
        report = json.loads(done.stdout)
        coverage = report["coverage"]
        if not coverage["slots"] or coverage["slots_analyzed"] != coverage["slots"]:
            sys.exit(f"the wheel analysed {coverage['slots_analyzed']} of {coverage['slots']} slots")
        (work / "report.json").write_text(done.stdout)
        command = [str(work / "env" / "bin" / "onnxspec"), "render", "report.json", "-f", "html"]
        page = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout
        if not page.startswith("<!DOCTYPE html>") or "</html>" not in page:
            sys.exit("the wheel lacks the templates of the HTML report")
        (packages,) = (work / "env" / "lib").glob("python*/site-packages")
        before = size_of(packages)
        gone = trim(packages)
        for arguments, code in ((["analyze", "lenet5.onnx", "-f", "csv"], 0), (["check", "lenet5.onnx"], 0)):
            trimmed = subprocess.run(
                [str(work / "env" / "bin" / "onnxspec"), *arguments],
                cwd=work,
                check=False,
                capture_output=True,
                text=True,
            )
            if trimmed.returncode != code or "Traceback" in trimmed.stderr:
                sys.exit(f"the trimmed environment cannot {arguments[0]}: {trimmed.stderr[-500:]}")
        print(f"site-packages: {before / 2**20:.0f} MiB, trimmed {(before - gone) / 2**20:.0f} MiB")
        where = subprocess.run(
            [python, "-c", "import onnxspec; print(onnxspec.__file__)"],
            cwd=work,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        if str(ROOT) in where:
            sys.exit(f"the checkout was used instead of the wheel: {where}")
        print(f"{wheel.name}: {coverage['slots_analyzed']} of {coverage['slots']} slots analysed")


if __name__ == "__main__":
    main()
