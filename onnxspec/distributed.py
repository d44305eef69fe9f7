"""Analyses on a dask.distributed cluster: the tasks of `onnxspec.engine`, and nothing else.

Dask sends pickles both ways, so whoever runs the scheduler can run code here. Use your own.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, contextmanager
from typing import Any

from onnxspec.errors import UsageError

__all__ = ["DaskExecutor", "dask_executor"]

CONNECT_SECONDS = 15
ASK_SECONDS = 45.0
LONELY_SECONDS = 300.0
KNOCK_SECONDS = 5.0
_HOST = re.compile(r"(?:tcp|tls)://(?:\[([^\]]+)\]|([^:/\[\]]+)):(\d{1,5})/?")
_LOCAL = re.compile(r"local(?::([1-9]\d{0,3}))?")


class DaskExecutor(Executor):
    """An executor over a dask client, for `onnxspec.analyze` and `onnxspec.analyze_many`.

    Tasks of a worker that dies are done again by another one. A task that several
    workers died of gives `concurrent.futures.BrokenExecutor`, as process pools do, and
    so does a cluster that has had no worker for `LONELY_SECONDS`.

    Parameters
    ----------
    client : distributed.Client
        Connected. Its workers need onnxspec, and the models under the same paths.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return sum(self.client.nthreads().values())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on a worker; of the future, `result` and `cancel` are to be used."""
        return _DaskFuture(self, self.client.submit(fn, *args, pure=False, **kwargs))


class _DaskFuture(Future[Any]):
    """A future that asks dask at intervals, and looks whether there are workers left to wait for."""

    def __init__(self, executor: DaskExecutor, asked: Any) -> None:
        super().__init__()
        self._executor = executor
        self._asked = asked

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result."""
        from distributed import KilledWorker
        from distributed import TimeoutError as DaskTimeoutError
        from distributed.comm import CommClosedError

        started = lonely = time.monotonic()
        while True:
            left = None if timeout is None else started + timeout - time.monotonic()
            try:
                return self._asked.result(timeout=ASK_SECONDS if left is None else max(0.0, min(left, ASK_SECONDS)))
            except (DaskTimeoutError, TimeoutError):
                if left is not None and left <= ASK_SECONDS:
                    raise
            except (KilledWorker, CommClosedError) as error:
                raise BrokenExecutor(f"every worker that tried it died ({type(error).__name__})") from None
            if self._executor.workers:
                lonely = time.monotonic()
            elif time.monotonic() - lonely > LONELY_SECONDS:
                raise BrokenExecutor(f"the cluster has had no worker for {LONELY_SECONDS:.0f} s")

    def cancel(self) -> bool:
        """Take the task back."""
        self._asked.cancel()
        return super().cancel()


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
        dask.distributed is not installed, or nothing answers at the address, or something
        that is no scheduler.
    """
    from onnxspec.engine.cores import usable_cores

    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError("--dask needs dask.distributed: pip install 'onnxspec[dask]'.") from None
    local = _LOCAL.fullmatch(address)
    if local is None and "://" not in address:
        raise UsageError(f"--dask is {address!r}; give tcp://HOST:PORT, local or local:N.")
    with ExitStack() as stack:
        stack.callback(_quiet_logs())
        # dask takes a worker off a local cluster for good where it is not back in 15 s; a loaded machine needs longer
        stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": f"{LONELY_SECONDS:.0f} s"}))
        try:
            if local is not None:
                cluster = LocalCluster(
                    n_workers=int(local[1] or usable_cores()),
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,  # layers over the limit of the analysis are not started
                    # None would ask for port 8787 all the same, which another cluster may hold
                    dashboard_address=":0",
                    silence_logs=logging.CRITICAL,
                )
                stack.enter_context(cluster)
                client = stack.enter_context(Client(cluster))
            else:
                _knock(address)
                client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS))
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(f"no dask scheduler answers at {address}: {str(error).rstrip('.')}.") from None
        except MemoryError:  # other bytes than dask's are read as the length of what follows
            raise UsageError(f"what answers at {address} is no dask scheduler.") from None
        yield DaskExecutor(client)


def _knock(address: str) -> None:
    """See whether anybody listens at a host and port: dask itself asks again and again until its time is over.

    Raises
    ------
    OSError
        Nobody does, or there is no such host.
    """
    found = _HOST.fullmatch(address)
    if found is not None:
        socket.create_connection((found[1] or found[2], int(found[3])), timeout=KNOCK_SECONDS).close()


def _quiet_logs() -> Callable[[], None]:
    """Keep dask's log lines off the terminal; give what brings them back."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    return lambda: logger.setLevel(level)
