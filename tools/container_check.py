"""Show without a container engine that the image works: the Dockerfile's scripts in an empty Debian root.

``sudo python tools/container_check.py WORK-FOLDER [--suite trixie]`` needs debootstrap, chroot and bwrap
(``apt-get install debootstrap bubblewrap``), and the network for the build alone.

It builds both stages as the Dockerfile does, and then runs `analyze` and `check` as an ordinary user with a
read-only root, no HOME, a private /tmp and no network. It ends with 0 where all is as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTEXT = (
    "container",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "onnxspec",
    "tools/trim_site_packages.py",
)
"""What the Dockerfile copies; tests/test_container.py holds the two together."""

RUNS = (
    (["--version"], 0),
    (["analyze", "lenet5.onnx", "-f", "json"], 0),
    (["check", "lenet5.onnx"], 0),
    (["check", "unhealthy.onnx", "-f", "sarif"], 1),
    (["check", "missing.onnx"], 3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--suite", default="trixie")
    parser.add_argument("--mirror", help="where debootstrap fetches packages (default: its own)")
    options = parser.parse_args()
    for program in ("debootstrap", "chroot", "bwrap"):
        if shutil.which(program) is None:
            sys.exit(f"container_check needs {program}")
    base, build, final = (options.folder / name for name in ("base", "build", "final"))
    if not (base / "etc/debian_version").is_file():
        mirror = [options.mirror] if options.mirror else []
        run(["debootstrap", "--variant=minbase", options.suite, str(base), *mirror])
    stage(base, build)
    copy_context(build / "src")
    inside(build, "sh container/packages.sh build")
    inside(build, "sh container/build.sh")
    stage(base, final)
    copy_context(final / "src")
    inside(final, "sh container/packages.sh")
    shutil.rmtree(final / "src")
    shutil.copytree(build / "opt/onnxspec", final / "opt/onnxspec", symlinks=True)
    (final / "work").mkdir(exist_ok=True)
    good = [one(final, arguments, code) for arguments, code in RUNS]  # all of them, also after a failure
    sys.exit(0 if all(good) else 1)


def stage(base: Path, stage_root: Path) -> None:
    """Start a stage from the base."""
    shutil.rmtree(stage_root, ignore_errors=True)
    run(["cp", "-a", str(base), str(stage_root)])


def copy_context(source: Path) -> None:
    """Lay out what the Dockerfile copies."""
    for name in CONTEXT:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, target)


def inside(root: Path, command: str) -> None:
    """Run a command of the build in a root, with the host's resolver and, where it has one, its certificates."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    for name in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(name, root / name[1:])
    certificates = os.environ.get("PIP_CERT")
    if certificates:
        shutil.copy(certificates, root / "tmp/ca.pem")
        environment["PIP_CERT"] = "/tmp/ca.pem"
    for name in ("PIP_INDEX_URL", "http_proxy", "https_proxy"):
        if name in os.environ:
            environment[name] = os.environ[name]
    run(["chroot", str(root), "/bin/sh", "-c", f"cd /src && {command}"], environment)


def one(root: Path, arguments: list[str], expected: int) -> bool:
    """Run the program as the image does, and say whether it ended as expected."""
    sandbox = ["bwrap", "--unshare-all", "--die-with-parent", "--uid", "65532", "--gid", "65532", "--clearenv"]
    sandbox += ["--ro-bind", str(root), "/", "--ro-bind", str(ROOT / "fixtures/models"), "/work"]
    sandbox += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/work"]
    for name, value in (
        ("PATH", "/usr/bin:/bin"),
        ("NUMBA_CPU_NAME", "generic"),
        ("NUMBA_CPU_FEATURES", ""),
        ("OPENBLAS_NUM_THREADS", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ):
        sandbox += ["--setenv", name, value]
    start = time.monotonic()
    command = [*sandbox, "/opt/onnxspec/env/bin/onnxspec", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - start
    problems = [] if done.returncode == expected else [f"ended with {done.returncode} instead of {expected}"]
    if "Traceback" in done.stderr:
        problems.append("a traceback")
    if arguments[-1] == "json" and done.returncode == 0:
        coverage = json.loads(done.stdout)["coverage"]
        if not coverage["slots"] or coverage["slots_analyzed"] != coverage["slots"]:
            problems.append(f"analysed {coverage['slots_analyzed']} of {coverage['slots']} slots")
    print(f"{' '.join(arguments)}: {'; '.join(problems) or 'as it must be'}, {took:.1f} s")
    if problems:
        print(done.stdout[-2000:], done.stderr[-2000:])
    return not problems


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run one step, and stop where it fails."""
    print("+", " ".join(command), flush=True)
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
