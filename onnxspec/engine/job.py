"""How an analysis runs, apart from what it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from onnxspec.errors import UsageError
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from onnxspec.store import ResultStore

__all__ = ["Job", "Progress", "sort_options"]

Progress = Callable[[str, int, int], None]
"""Called with the layer's name, the work done and the work in all (in floating-point operations)."""


@dataclass(frozen=True)
class Job:
    """How an analysis runs; nothing here changes a number.

    Attributes
    ----------
    jobs : int or None
        Layers at the same time; ``None`` is the number of usable cores.
    max_memory : int or None
        Bytes that the layers at work may need together, beside the 200 MB of the program
        itself. A layer that needs more by itself is skipped. ``None``: `Limits.matrix_bytes`.
    timeout : float or None
        Seconds for one model; a layer that would pass it is not started.
    limits : Limits
        Caps on untrusted input.
    progress : callable or None
        Told about each layer that is finished.
    allow_hard_links : bool
        Whether external data may be a hard link.
    runtime_folding : bool
        Whether onnxruntime, in a process of its own, computes constants that no built-in operator can.
    store : ResultStore, str, Path or None
        Results of layers that were analysed before; what is analysed now is added.
    executor : concurrent.futures.Executor or None
        Its workers analyse the layers, each reading the model itself; `jobs` is theirs then.
    """

    jobs: int | None = None
    max_memory: int | None = None
    timeout: float | None = None
    limits: Limits = DEFAULT_LIMITS
    progress: Progress | None = None
    allow_hard_links: bool = False
    runtime_folding: bool = True
    store: ResultStore | str | Path | None = None
    executor: Executor | None = None


def sort_options(settings: Settings | None, job: Job | None, options: dict[str, Any]) -> tuple[Settings, Job]:
    """Sort keyword options into settings and job."""
    of_settings = {f.name for f in fields(Settings)}
    of_job = {f.name for f in fields(Job)}
    for name in options:
        if name not in of_settings | of_job:
            raise UsageError(f"There is no option {name!r}.")
    return (
        replace(settings or Settings(), **{k: v for k, v in options.items() if k in of_settings}),
        replace(job or Job(), **{k: v for k, v in options.items() if k in of_job}),
    )
