"""Plan, run and collect: from the path of a model to its report.

::

    analysis.py   the public calls
    job.py        how an analysis runs, apart from what it computes
    plan.py       what each layer costs, and which are not started
    run.py        the layers, several at a time
    blas.py       one thread for the linear algebra library
    reuse.py      results that were kept in a store
    remote.py     layers as tasks of other threads, processes or machines
    fleet.py      models as such tasks
    warm.py       compiled kernels for images
    assemble.py   the report
"""

from __future__ import annotations

from onnxspec.engine.analysis import analyze, inspect, iter_weights, weightwatcher_rows
from onnxspec.engine.job import Job, Progress

__all__ = ["Job", "Progress", "analyze", "inspect", "iter_weights", "weightwatcher_rows"]
