"""The child process of `onnxspec.cli.isolation`: limits first, then the analysis, then one JSON object."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

__all__ = ["main"]


def main(request: dict[str, Any]) -> None:
    """Analyse one model and write the report, or why there is none, to standard output."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no report
    limit(request["bounds"], spools=request["path"] == "-")
    try:
        text = '{"report": ' + _report(request) + "}"
    except Exception as error:  # noqa: BLE001 - the parent says it in one sentence
        text = _problem(type(error).__name__, str(error))
    with os.fdopen(out, "wb") as stream:
        stream.write(text.encode())
    sys.stdout.flush()
    os._exit(0)  # threads of libraries that ran out of memory must not keep it alive


def limit(bounds: dict[str, int], *, spools: bool) -> None:
    """Lower the limits of this process, where the system has them."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_AS: bounds["memory"],
        resource.RLIMIT_CPU: bounds["cpu"],
        resource.RLIMIT_NOFILE: bounds["files"],
        resource.RLIMIT_CORE: 0,
    }
    if not spools:  # standard input is spooled to a file under the byte cap
        wanted[resource.RLIMIT_FSIZE] = bounds["file_bytes"]
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (lowest, lowest))


def _report(request: dict[str, Any]) -> str:
    from onnxspec import engine
    from onnxspec.cli.inputs import opened
    from onnxspec.limits import Limits
    from onnxspec.settings import Settings

    limits = Limits(**request["limits"])
    job = engine.Job(jobs=request["jobs"], timeout=request["timeout"], limits=limits)
    return engine.analyze(opened(request["path"], limits), Settings(**request["settings"]), job=job).to_json()


def _problem(kind: str, message: str) -> str:
    return json.dumps({"error": kind, "message": message[:2000]})
