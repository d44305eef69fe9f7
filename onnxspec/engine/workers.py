"""The workers of one analysis: threads that take layers, largest first, within a memory budget.

A worker without a layer helps others with the slabs of theirs. No number depends on
who computes what: layers are independent, and slabs are added in their order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from onnxspec.spectra.slabs import Mapper, one_by_one

__all__ = ["AHEAD", "Task", "Workers"]

AHEAD = 2
"""Results of slabs that may wait for their turn beside those that are being computed."""


@dataclass(frozen=True)
class Task:
    """Something to be done once.

    Attributes
    ----------
    work : callable
        Given the mapper that spreads slabs over the workers.
    nbytes : int
        Memory that it needs while it runs.
    cost : float
        What it takes; the most expensive start first.
    """

    work: Callable[[Mapper], Any]
    nbytes: int
    cost: float


@dataclass(eq=False)
class _Shared:
    """The slabs of one layer: whoever is free takes the next."""

    function: Callable[[Any], Any]
    items: Sequence[Any]
    ahead: int
    taken: int = 0
    given: int = 0
    done: dict[int, Future[Any]] = field(default_factory=dict)

    def open(self) -> bool:
        """Say whether one more may be started: results that wait for their turn take memory."""
        return self.taken < len(self.items) and self.taken < self.given + self.ahead


class Workers:
    """Runs tasks on several threads.

    Parameters
    ----------
    count : int
        Threads. With one, tasks run in the calling thread, in their order.
    budget : int
        Bytes that the running tasks may need together. A task that needs more than all
        of it runs alone; whether it may run at all is not decided here.
    """

    def __init__(self, count: int, budget: int) -> None:
        self._count = count
        self._free = self._budget = budget
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Task, Future[Any]]] = deque()
        self._shared: list[_Shared] = []
        self._running = 0

    def run(self, tasks: Sequence[Task]) -> Generator[Any, None, None]:
        """Run the tasks and give their results in the order given.

        An exception, also in whoever takes the results, stops what has not started.
        """
        if self._count == 1 or not tasks:
            for task in tasks:
                yield task.work(one_by_one)
            return
        futures: list[Future[Any]] = [Future() for _ in tasks]
        pairs = sorted(zip(tasks, futures), key=lambda pair: -pair[0].cost)
        with self._changed:
            self._waiting.extend(pairs)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._count)]
        for thread in threads:
            thread.start()
        try:
            for future in futures:
                yield future.result()
        finally:
            with self._changed:
                self._waiting.clear()
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        """Take work until there is none."""
        while True:
            with self._changed:
                found = self._next()
                while found is None and (self._waiting or self._running):
                    self._changed.wait()
                    found = self._next()
            if found is None:
                return
            if isinstance(found, _Shared):
                self._one_slab(found)
            else:
                self._one_task(*found)

    def _next(self) -> _Shared | tuple[Task, Future[Any]] | None:
        """Choose what to do: a slab of a layer that runs, or the first task that fits. The lock is held."""
        for shared in self._shared:
            if shared.open():
                return shared
        for index, (task, _) in enumerate(self._waiting):
            if task.nbytes <= self._free or not self._running:
                pair = self._waiting[index]
                del self._waiting[index]
                self._free -= task.nbytes
                self._running += 1
                return pair
        return None

    def _one_task(self, task: Task, future: Future[Any]) -> None:
        """Run a task and give back its memory."""
        try:
            _settle(future, lambda: task.work(self._map))
        finally:
            with self._changed:
                self._free += task.nbytes
                self._running -= 1
                self._changed.notify_all()

    def _one_slab(self, shared: _Shared) -> bool:
        """Take the next slab of a layer, where there is one."""
        with self._changed:
            if not shared.open():
                return False
            index = shared.taken
            future = shared.done[index] = Future()
            shared.taken += 1  # last: whoever reads it without the lock finds the future
        _settle(future, lambda: shared.function(shared.items[index]))
        return True

    def _map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Apply a function to slabs together with the free workers; give the results in their order."""
        every = list(items)
        if len(every) == 1:
            yield function(every[0])
            return
        shared = _Shared(function, every, self._count + AHEAD)
        with self._changed:
            self._shared.append(shared)
            self._changed.notify_all()
        try:
            for index in range(len(every)):
                # while another worker has this one, the next is computed here
                while (index >= shared.taken or not shared.done[index].done()) and self._one_slab(shared):
                    pass
                result = shared.done[index].result()
                del shared.done[index]
                yield result
                del result
                with self._changed:
                    shared.given = index + 1
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._shared.remove(shared)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Put the result or the exception of some work into a future."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        future.set_exception(error)
    else:
        future.set_result(result)
