"""The program in children that cost little: a process that has loaded it, and forks for each call.

``python server.py`` reads one JSON object a line: arguments, working folder, files for
the two streams, limits. It answers with the exit code, processor seconds and memory.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 2 * 2**30
SECONDS = 20


@dataclass(frozen=True)
class Ended:
    """How one call ended."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int


class Server:
    """Runs the program; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(self, *arguments: str | Path, cwd: Path | None = None, memory: int = MEMORY) -> Ended:
        """Run the program in a child with limits on memory and processor time."""
        request = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd or self._folder),
            "out": str(self._folder / "out"),
            "err": str(self._folder / "err"),
            "memory": memory,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        texts = ((self._folder / name).read_bytes().decode() for name in ("out", "err"))
        return Ended(answer["code"], *texts, answer["seconds"], answer["peak"])


def _child(request: dict[str, Any]) -> None:
    for path, fd in ((request["out"], 1), (request["err"], 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["cwd"])
    resource.setrlimit(resource.RLIMIT_AS, (request["memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS,) * 2)
    signal.alarm(SECONDS * 6)  # a pipe that nobody writes to costs no processor time; a busy machine is slow
    sys.argv = ["onnxspec", *request["arguments"]]
    from onnxspec.cli import main

    code = 70
    try:
        main()
    except SystemExit as stop:
        code = 0 if stop.code is None else int(stop.code)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve(stream: IO[str]) -> None:
    import numba  # noqa: F401
    import onnx  # noqa: F401

    import onnxspec
    import onnxspec.layers.verdicts
    import onnxspec.policy
    import onnxspec.report.table
    from onnxspec.cli import app  # noqa: F401
    from onnxspec.cli.commands import COMMANDS, build

    for name in COMMANDS:
        build(name)
    onnxspec.analyze(ROOT / "fixtures" / "models" / "conv2d.onnx")
    for line in stream:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(request)
        _, status, usage = os.wait4(child, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": usage.ru_utime + usage.ru_stime,
            "peak": usage.ru_maxrss * 1024,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.stdin)
