"""Analyses on a dask.distributed cluster: the tasks of `onnxspec.engine`, and nothing else.

Dask sends pickles both ways, so whoever runs the scheduler can run code here. Use your own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, contextmanager
from typing import Any

from onnxspec.errors import UsageError

__all__ = ["DaskExecutor", "dask_executor"]

RETRIES = 3
CONNECT_SECONDS = 15
_LOCAL = re.compile(r"local(?::([1-9]\d{0,3}))?")


class DaskExecutor(Executor):
    """An executor over a dask client, for `onnxspec.analyze` and `onnxspec.analyze_many`.

    Tasks of a worker that dies are done again by another one. A task that several
    workers died of gives `concurrent.futures.BrokenExecutor`, as process pools do.

    Parameters
    ----------
    client : distributed.Client
        Connected. Its workers need onnxspec, and the models under the same paths.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._inner = client.get_executor(pure=False, retries=RETRIES)

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return sum(self.client.nthreads().values())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on a worker."""
        inner = self._inner.submit(fn, *args, **kwargs)
        outer: Future[Any] = _Linked(inner)
        inner.add_done_callback(lambda done: _hand_over(done, outer))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the client stays connected."""
        self._inner.shutdown(wait=wait and not cancel_futures)


class _Linked(Future[Any]):
    """A future that takes the task with it when it is cancelled."""

    def __init__(self, inner: Future[Any]) -> None:
        super().__init__()
        self._inner = inner

    def cancel(self) -> bool:
        self._inner.cancel()
        return super().cancel()


def _hand_over(done: Future[Any], outer: Future[Any]) -> None:
    """Give the outcome of dask's future to ours."""
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    if not outer.set_running_or_notify_cancel():
        return
    if done.cancelled():
        outer.set_exception(BrokenExecutor("the cluster gave the task up"))
        return
    error = done.exception()
    if isinstance(error, (KilledWorker, CommClosedError)):
        outer.set_exception(BrokenExecutor("every worker that tried it died"))
    elif error is not None:
        outer.set_exception(error)
    else:
        outer.set_result(done.result())


@contextmanager
def dask_executor(address: str) -> Iterator[DaskExecutor]:
    """Connect to a dask cluster, or start one on this machine for as long as it is used.

    Parameters
    ----------
    address : str
        ``tcp://host:port`` of a scheduler (or another address that dask knows); ``local``
        for one worker process a core of this machine, ``local:N`` for N.

    Raises
    ------
    UsageError
        dask.distributed is not installed, or nothing answers at the address.
    """
    from onnxspec.engine.cores import usable_cores

    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError("--dask needs dask.distributed: pip install 'onnxspec[dask]'.") from None
    local = _LOCAL.fullmatch(address)
    if local is None and "://" not in address:
        raise UsageError(f"--dask is {address!r}; give tcp://HOST:PORT, local or local:N.")
    with ExitStack() as stack:
        stack.callback(_quiet_logs())
        try:
            if local is not None:
                cluster = LocalCluster(
                    n_workers=int(local[1] or usable_cores()),
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,  # layers over the limit of the analysis are not started
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
                stack.enter_context(cluster)
                client = stack.enter_context(Client(cluster))
            else:
                client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS))
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(f"no dask scheduler answers at {address}: {error}.") from None
        yield DaskExecutor(client)


def _quiet_logs() -> Callable[[], None]:
    """Keep dask's log lines off the terminal; give what brings them back."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    return lambda: logger.setLevel(level)
