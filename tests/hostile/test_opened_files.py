"""What the system sees: no file is opened but the model's folder's, the interpreter's and the program's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from fixtures.hostile import CASES, Case

ROOT = Path(__file__).resolve().parents[2]
STRACE = shutil.which("strace")
CALLS = (
    "open,openat,openat2,creat,readlink,readlinkat,connect,execve,link,linkat,rename,renameat,renameat2,unlink,unlinkat"
)
OPENED = re.compile(
    r'(?:open|openat|openat2|creat)\((?:(AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"((?:[^"\\]|\\.)*)"[^)]*\)? += (-?\d+)'
)

SYSTEM = ("/usr/", "/lib", "/sys/devices/system/", "/sys/fs/cgroup/", "/proc/", "/dev/null", "/dev/urandom",
          "/etc/ld.so.", "/etc/localtime", "/etc/ssl/")  # fmt: skip
"""Where an interpreter and its libraries look; a hostile location leads to none of the files there."""


def own_folders(cache: Path) -> tuple[str, ...]:
    folders = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), str(ROOT / "onnxspec"), str(cache)]
    return tuple({str(Path(folder).resolve()) for folder in folders} | set(folders))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.skipif(STRACE is None, reason="needs strace (apt-get install strace)")
@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
@pytest.mark.parametrize(
    "case", [case for case in CASES if 7 <= case.number <= 11 and case.error is None], ids=lambda case: case.name
)
def test_nothing_outside_the_folder_is_opened(case: Case, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "vendor" / "model"
    folder.mkdir(parents=True)
    path = case.write(folder)
    log = tmp_path / "log"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(cache), "HOME": str(cache)}
    environment["TMPDIR"] = str(cache)
    tracer = [STRACE, "-f", "-y", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*tracer, sys.executable, "-m", "onnxspec", "inspect", str(path), "-f", "json"],
        cwd=cache,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    text = log.read_text(errors="replace")
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("this container forbids ptrace")
    assert done.returncode in (3, 4), done.stderr
    assert "Traceback" not in done.stderr

    assert "connect(" not in text
    assert len(re.findall(r"execve\(", text)) == 1  # inspect starts no other program
    assert not re.findall(r"\b(?:link|linkat|rename|renameat|renameat2|unlink|unlinkat)\(", text)
    opened = 0
    for directory, directory_path, name, result in OPENED.findall(text):
        opened += 1
        target = Path(name if name.startswith("/") or not directory_path else f"{directory_path}/{name}")
        resolved = Path(os.path.normpath(cache / target))
        if resolved == folder or folder in resolved.parents:
            inside = resolved.relative_to(folder).parts
            assert result.startswith("-") or not any((folder / part).is_symlink() for part in inside), name
            # what a model names is opened from its folder
            assert directory != "AT_FDCWD" or resolved in (path, folder), name
            assert "secret" not in inside or result.startswith("-")
            continue
        assert tmp_path not in resolved.parents or cache in resolved.parents, f"{name} was opened"
        assert (
            str(resolved).startswith((*own_folders(cache), *SYSTEM)) or resolved in ROOT.parents or resolved == ROOT
        ), f"{resolved} was opened"
    assert opened > 50  # the log holds what Python opens, so it was read


@pytest.mark.skipif(STRACE is None, reason="needs strace (apt-get install strace)")
@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
def test_the_log_would_show_it(tmp_path: Path) -> None:
    """Open a secret with plain Python: the pattern finds it, so the test above can fail."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    log = tmp_path / "log"
    command = [STRACE, "-f", "-y", "-qq", "-e", f"trace={CALLS}", "-o", str(log), sys.executable, "-c"]
    subprocess.run([*command, f"open({str(secret)!r}).close()"], check=True, timeout=60)
    found = [name for _, _, name, result in OPENED.findall(log.read_text()) if not result.startswith("-")]
    assert str(secret) in found
