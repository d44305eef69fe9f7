"""Run one analysis in a child process with limits on memory, processor time, open files and file sizes."""

from __future__ import annotations

import contextlib
import json
import os
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
CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"})


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
    answer, code, late = _exchange(request, limits.report_bytes, path == "-", timeout)
    try:
        message = json.loads(answer) if answer else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise EndedError(f"{path}: {_ending(code, bounds, timeout, late=late)}")
    if "error" in message:
        raise _error(message, path, bounds)
    report: Report = inert(Report.from_json(json.dumps(message.get("report"))))
    return report


def _exchange(request: dict[str, Any], most: int, stdin: bool, timeout: float | None) -> tuple[bytes, int, bool]:
    """Start the child; give what it says, how it ended, and whether it was stopped for its wall time."""
    child = subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-I", "-c", START, json.dumps(request)],
        stdin=None if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that what it starts can be ended with it
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill(child)

    def watch() -> None:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # its number stays its own until it is waited for
        _kill(child)  # what it started may hold the pipe open

    timer = threading.Timer((timeout or 0.0) + GRACE_SECONDS, stop)
    timer.daemon = True
    watcher = threading.Thread(target=watch, daemon=True) if hasattr(os, "waitid") else None
    if watcher is not None:
        watcher.start()
    if timeout is not None:
        timer.start()
    try:
        if child.stdout is None:
            raise OSError("the child process has no pipe")
        answer = child.stdout.read(most + 1)
        child.stdout.close()
        if len(answer) > most:
            answer = b""
            _kill(child)
        if watcher is not None:
            watcher.join()
        return answer, child.wait(), late.is_set()
    finally:
        timer.cancel()
        if child.returncode is None:
            _kill(child)
            child.wait()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End a child and all that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()


def _ending(code: int, bounds: Bounds, timeout: float | None, *, late: bool) -> str:
    """Say how the child ended."""
    memory = _memory(bounds)
    cpu = f"more than {bounds.cpu} s of processor time (--max-cpu)"
    if late:
        over = f"{GRACE_SECONDS:g} s after its {timeout:g} s (--timeout) were over"
        return f"the analysis still went on {over}, and was ended."
    if code >= 0:
        return f"the analysis ended without a report (code {code}); it may have needed {memory} or {cpu}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name in CRASHES:
        return f"the analysis crashed ({name}): this file trips a library, or it needed {memory}; please report it."
    return f"the analysis was ended by {name}; it may have needed {memory} or {cpu}."


def _memory(bounds: Bounds) -> str:
    return f"more than {bounds.memory / 2**30:.3g} GiB of memory (--max-memory)"


def _error(message: dict[str, Any], path: str, bounds: Bounds) -> OnnxspecError:
    """Make the child's exception again, if it is one of ours.

    Libraries without memory raise what they please: SystemError, ImportError, RuntimeError of a thread.
    """
    kind, text = str(message["error"]), str(message.get("message", ""))
    found = getattr(errors, kind, None) if kind in errors.__all__ else None
    if isinstance(found, type) and issubclass(found, OnnxspecError) and not issubclass(found, errors.TensorError):
        return found(text)
    said = f" ({text[:200]})" if text else ""
    return EndedError(f"{path}: the analysis ended with {kind[:60]}{said}; it may have needed {_memory(bounds)}.")
