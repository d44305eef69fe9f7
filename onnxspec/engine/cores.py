"""How many cores this process may use: its affinity, and the CPU quota of its container."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["quota", "usable_cores"]

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Give the cores that this process may use, at least one; part of a core counts as one."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    limit = quota()
    return found if limit is None else max(1, min(found, math.ceil(limit)))


def quota(root: Path = CGROUPS, own: Path = OWN) -> float | None:
    """Give the cores' worth of time that the control groups of this process allow.

    Parameters
    ----------
    root, own : Path
        Where control groups are mounted, and the list of those of this process.

    Returns
    -------
    float or None
        The smallest ``cpu.max`` (version 2) or ``cpu.cfs_quota_us`` (version 1) from
        the process's group up to the root; None where there is none.
    """
    found = []
    for line in _text(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for base in [root, root / "cpu", root / controllers] if controllers else [root]:
            for depth in range(len(parts) + 1):
                found += _quota_of(base.joinpath(*parts[:depth]))
    return min(found, default=None)


def _quota_of(group: Path) -> list[float]:
    """Read the quota of one group, by either version."""
    both = _text(group / "cpu.max").split()
    if len(both) != 2:
        both = [_text(group / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    try:
        allowed, period = (float(number) for number in both)
    except ValueError:  # "max", or no such file
        return []
    return [allowed / period] if allowed > 0 and period > 0 else []


def _text(path: Path) -> str:
    """Read a small file; nothing where there is none."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""
