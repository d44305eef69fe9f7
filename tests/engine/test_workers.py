"""The threads of an analysis: order, memory budget, shared slabs, what ends them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from onnxspec.engine.workers import AHEAD, Task, Workers


def task(value: int, *, nbytes: int = 1, cost: float = 1.0) -> Task:
    return Task(lambda _: value, nbytes, cost)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(count: int) -> None:
    tasks = [task(i, cost=float(i % 3)) for i in range(30)]
    assert list(Workers(count, 10).run(tasks)) == list(range(30))
    assert list(Workers(count, 10).run([])) == []


def test_the_most_expensive_starts_first() -> None:
    started: list[int] = []

    def make(i: int) -> Task:
        return Task(lambda _: started.append(i), 1, float(i))

    list(Workers(2, 1).run([make(i) for i in range(6)]))
    assert started == [5, 4, 3, 2, 1, 0]


def test_the_budget_holds_and_what_is_larger_runs_alone() -> None:
    lock = threading.Lock()
    used = most = 0
    crowd: list[int] = []

    def make(nbytes: int) -> Task:
        def work(_: object) -> None:
            nonlocal used, most
            with lock:
                used += nbytes
                most = max(most, used)
                if nbytes > 10:
                    crowd.append(used - nbytes)
            time.sleep(0.002)
            with lock:
                used -= nbytes

        return Task(work, nbytes, float(nbytes))

    sizes = [3, 4, 5, 6, 7, 2, 1] * 4
    list(Workers(4, 10).run([make(size) for size in sizes]))
    assert 5 < most <= 10
    most = 0
    list(Workers(4, 10).run([make(size) for size in [*sizes, 25]]))
    assert crowd == [0]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_slabs_are_shared_and_keep_their_order(count: int) -> None:
    threads: set[int] = set()

    def slab(i: int) -> int:
        threads.add(threading.get_ident())
        time.sleep(0.002)
        return i * i

    def layer(mapper: object) -> list[int]:
        return list(mapper(slab, range(40)))  # type: ignore[operator]

    assert list(Workers(count, 10).run([Task(layer, 1, 1.0)])) == [[i * i for i in range(40)]]
    assert len(threads) == count


def test_whoever_has_a_layer_computes_its_next_slab_while_another_worker_has_this_one() -> None:
    both = threading.Barrier(2)

    def slab(i: int) -> int:
        both.wait(timeout=10)  # broken where a slab is computed and nobody computes another beside it
        return i

    def layer(mapper: object) -> list[int]:
        taken = []
        for i in mapper(slab, range(40)):  # type: ignore[operator]
            time.sleep(0.002)  # time for the other worker to take the next one
            taken.append(i)
        return taken

    assert list(Workers(2, 10).run([Task(layer, 1, 1.0)])) == [list(range(40))]


def test_results_that_wait_for_their_turn_are_bounded() -> None:
    ahead: list[int] = []
    given = 0

    def slab(i: int) -> int:
        ahead.append(i - given)
        return i

    def layer(mapper: object) -> None:
        nonlocal given
        for i in mapper(slab, range(30)):  # type: ignore[operator]
            time.sleep(0.001)
            given = i + 1

    list(Workers(3, 10).run([Task(layer, 1, 1.0)]))
    assert max(ahead) <= 3 + AHEAD


@pytest.mark.parametrize("count", [1, 3])
def test_an_exception_stops_what_has_not_started(count: int) -> None:
    done: list[int] = []

    def fail(_: object) -> None:
        raise KeyError("bad")

    def slow(_: object) -> None:
        time.sleep(0.02)
        done.append(1)

    tasks = [Task(fail, 10, 9.0), *(Task(slow, 10, 1.0) for _ in range(20))]
    with pytest.raises(KeyError), closing(Workers(count, 10).run(tasks)) as results:
        for _ in results:
            pass
    assert len(done) < 20


def test_an_exception_in_a_slab_reaches_its_layer() -> None:
    def layer(mapper: object) -> str:
        def slab(i: int) -> int:
            if i == 7:
                raise ValueError("slab 7")
            return i

        try:
            return str(list(mapper(slab, range(20))))  # type: ignore[operator]
        except ValueError as error:
            return str(error)

    assert list(Workers(3, 10).run([Task(layer, 1, 1.0)] * 4)) == ["slab 7"] * 4


def test_several_runs_at_the_same_time() -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(lambda: list(Workers(2, 5).run([task(i) for i in range(20)]))) for _ in range(8)]
        assert all(run.result() == list(range(20)) for run in runs)
