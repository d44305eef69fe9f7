"""Run a script or module and leave the peak of its own memory in the file that BENCH_PEAK names.

What wait4 says would not do: there a process starts with the peak of the one that made it.
"""

from __future__ import annotations

import atexit
import os
import resource
import runpy
import sys
from pathlib import Path


def note() -> None:
    """Write the peak in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        peak = 1024 * int(line.split()[1])
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path(os.environ["BENCH_PEAK"]).write_text(str(peak))


if __name__ == "__main__":
    atexit.register(note)
    del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
