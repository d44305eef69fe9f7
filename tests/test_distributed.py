"""Dask: the same bytes as here, also where a worker is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

import onnxspec
from onnxspec.distributed import CONNECT_SECONDS, DaskExecutor, dask_executor

pytest.importorskip("distributed", reason="needs dask.distributed (pip install 'onnxspec[dask]')")
# dask's event loop runs in this process: a warning that is an error there ends one of its coroutines, and others wait
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskExecutor]:
    with dask_executor("local:2") as executor:
        yield executor


@pytest.fixture(scope="module")
def expected(fixtures: Path) -> str:
    return onnxspec.analyze(fixtures / "models/lenet5.onnx", jobs=1).to_json()


def test_two_workers_give_the_same_bytes(cluster: DaskExecutor, fixtures: Path, expected: str) -> None:
    path = fixtures / "models/lenet5.onnx"
    assert cluster.workers == 2
    assert onnxspec.analyze(path, executor=cluster).to_json() == expected
    assert onnxspec.analyze_many([path], executor=cluster)[0].to_json() == expected


def test_a_killed_worker_costs_time_alone(cluster: DaskExecutor, fixtures: Path, expected: str) -> None:
    """Both workers are killed as soon as the first layer is there; their nannies start others."""
    killed: list[int] = []

    def kill(name: str, done: int, total: int) -> None:
        if not killed:
            killed.extend(cluster.client.run(os.getpid).values())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    report = onnxspec.analyze(fixtures / "models/lenet5.onnx", executor=cluster, progress=kill)
    assert len(killed) == 2
    assert report.to_json() == expected
    assert not set(killed) & set(cluster.client.run(os.getpid).values())


def test_a_task_that_kills_every_worker_is_given_up(cluster: DaskExecutor) -> None:
    future = cluster.submit(os._exit, 1)
    with pytest.raises(BrokenExecutor):
        future.result(timeout=120)


def test_errors_come_back_as_they_are(cluster: DaskExecutor, tmp_path: Path) -> None:
    with pytest.raises(onnxspec.InputError, match="does not exist"):
        onnxspec.analyze_many([tmp_path / "missing.onnx"], executor=cluster)


def test_a_cluster_without_workers_is_given_up(cluster: DaskExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxspec.distributed.ASK_SECONDS", 0.1)
    monkeypatch.setattr("onnxspec.distributed.LONELY_SECONDS", 0.3)
    monkeypatch.setattr(DaskExecutor, "workers", 0)
    future = cluster.submit(time.sleep, 30)
    with pytest.raises(BrokenExecutor, match="no worker"):
        future.result()
    future.cancel()


@pytest.mark.parametrize("address", ["somewhere", "local:0", "local:x", ""])
def test_wrong_addresses_are_usage_errors(address: str) -> None:
    with pytest.raises(onnxspec.UsageError, match="--dask"), dask_executor(address):
        pass


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "refused"),
        ("tcp://no-such-host.invalid:8786", "no dask scheduler answers"),
        ("nonsense://127.0.0.1:1", "unknown address scheme"),
    ],
)
def test_nobody_answers_within_seconds(address: str, said: str) -> None:
    started = time.process_time(), time.monotonic()
    with pytest.raises(onnxspec.UsageError, match=said), dask_executor(address):
        pass
    assert time.process_time() - started[0] < 5
    assert time.monotonic() - started[1] < CONNECT_SECONDS


def test_what_answers_is_no_scheduler() -> None:
    """The first eight bytes of an HTTP server's answer stand for 3.5 exabytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(onnxspec.UsageError, match="no dask scheduler"), dask_executor(address):
            pass


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxspec.distributed.CONNECT_SECONDS", 0.5)
    with pytest.raises(onnxspec.UsageError, match="no dask scheduler"), dask_executor("tcp://127.0.0.1:1"):
        pass
