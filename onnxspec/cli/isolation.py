"""Run one analysis in a child process with limits on memory, processor time, open files and file sizes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from onnxspec import errors
from onnxspec.errors import InputError, OnnxspecError

if TYPE_CHECKING:
    from onnxspec.limits import Limits
    from onnxspec.results import Report
    from onnxspec.settings import Settings

__all__ = ["Bounds", "EndedError", "analyze_isolated"]

START = (
    "import json, sys; request = json.loads(sys.argv[1]); sys.path[:] = request['sys_path']; "
    "from onnxspec.cli.isolated import main; main(request)"
)
GRACE_SECONDS = 60.0


class EndedError(InputError):
    """The child process ended before it had a report."""


@dataclass(frozen=True)
class Bounds:
    """What the child process may use.

    Attributes
    ----------
    memory : int
        Bytes of address space.
    cpu : int
        Seconds of processor time, of all threads together.
    files : int
        Open files.
    file_bytes : int
        Largest file that it may write; numba's cache is the only one.
    """

    memory: int = 8 * 2**30
    cpu: int = 3600
    files: int = 256
    file_bytes: int = 64 * 2**20


def analyze_isolated(
    path: str, settings: Settings, limits: Limits, bounds: Bounds, *, jobs: int | None, timeout: float | None
) -> Report:
    """Analyse a model in a child process, and check what it hands back.

    Raises
    ------
    InputError
        The model was rejected as a whole.
    EndedError
        The child was killed, ran out of memory, or handed back no report.
    """
    from onnxspec.cli.saved import inert
    from onnxspec.results import Report

    request = {
        "sys_path": [entry for entry in sys.path if entry],
        "path": path,
        "settings": settings.canonical(),
        "limits": asdict(limits),
        "bounds": asdict(bounds),
        "jobs": jobs,
        "timeout": timeout,
    }
    answer, code = _exchange(request, limits.report_bytes, path == "-", timeout)
    try:
        message = json.loads(answer) if answer else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise EndedError(f"{path}: {_ending(code, bounds)}")
    if "error" in message:
        raise _error(message, path)
    report: Report = inert(Report.from_json(json.dumps(message.get("report"))))
    return report


def _exchange(request: dict[str, Any], most: int, stdin: bool, timeout: float | None) -> tuple[bytes, int]:
    """Start the child, and give what it says and how it ended."""
    child = subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-I", "-c", START, json.dumps(request)],
        stdin=None if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    timer = threading.Timer((timeout or 0.0) + GRACE_SECONDS, child.kill)
    timer.daemon = True
    if timeout is not None:
        timer.start()
    try:
        if child.stdout is None:
            raise OSError("the child process has no pipe")
        answer = child.stdout.read(most + 1)
        if len(answer) > most:
            answer = b""
            child.kill()
        child.stdout.close()
        return answer, child.wait()
    finally:
        timer.cancel()
        if child.poll() is None:
            child.kill()
            child.wait()


def _ending(code: int, bounds: Bounds) -> str:
    """Say how the child ended."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        how = f"the analysis was ended by {name}"
    else:
        how = f"the analysis ended without a report (code {code})"
    return (
        f"{how}; it may have needed more than {bounds.memory / 2**30:.3g} GiB of memory (--max-memory) "
        f"or {bounds.cpu} s of processor time (--max-cpu)."
    )


def _error(message: dict[str, Any], path: str) -> OnnxspecError:
    """Make the child's exception again, if it is one of ours."""
    kind, text = str(message["error"]), str(message.get("message", ""))
    found = getattr(errors, kind, None) if kind in errors.__all__ else None
    if isinstance(found, type) and issubclass(found, OnnxspecError) and not issubclass(found, errors.TensorError):
        return found(text)
    return EndedError(f"{path}: the analysis ended with {kind[:60]}: {text[:200]}.")
