"""Layers as tasks of an executor: the same bytes, whoever computes them, and an account of what went wrong."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import onnxspec
from onnxspec.engine import remote
from onnxspec.engine.blas import one_blas_thread
from onnxspec.reading import Source
from onnxspec.store import ResultStore, describe
from tests.store.test_store import SHAPES, matrices, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "model.onnx", matrices())


class Inline(Executor):
    """Runs each task at once, as a worker would, after a look at the request."""

    def __init__(self, change: Callable[[remote.RemoteModel], remote.RemoteModel] = lambda model: model) -> None:
        self._change = change

    def submit(self, fn, /, model, *args):
        future: Future = Future()
        try:
            future.set_result(fn(self._change(model), *args))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


def test_threads_give_the_same_bytes(fixtures: Path) -> None:
    model = fixtures / "models/lenet5.onnx"
    expected = onnxspec.analyze(model, jobs=1).to_json()
    with ThreadPoolExecutor(2) as executor:
        assert onnxspec.analyze(model, executor=executor).to_json() == expected
        assert onnxspec.analyze_many([model], executor=executor)[0].to_json() == expected


def test_processes_give_the_same_bytes_and_share_a_store(fixtures: Path, path: Path, tmp_path: Path) -> None:
    model = fixtures / "models/lenet5.onnx"
    expected = onnxspec.analyze(model, effort="fast", jobs=1).to_json()
    store = ResultStore(tmp_path / "store")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor, store:
        for _ in range(2):
            report = onnxspec.analyze(model, effort="fast", executor=executor, store=store)
            assert report.to_json() == expected
        many = onnxspec.analyze_many([model, path], executor=executor, effort="fast", store=store)
        assert [report.to_json() for report in many] == [
            expected,
            onnxspec.analyze(path, effort="fast", jobs=1).to_json(),
        ]
    assert (store.added, store.reused, store.problems) == (4 + len(SHAPES), 8, [])
    assert describe(tmp_path / "store").layers == 4 + len(SHAPES)


def test_a_limit_holds_in_every_thread() -> None:
    """Of threadpoolctl 3.8 on, only the first thread that sets a limit controls OpenBLAS."""

    def threads() -> set[int]:
        return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}

    seen = []

    def work() -> None:
        with one_blas_thread():
            seen.append(threads())

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [{1}]
        assert threads() == before
        with one_blas_thread(), one_blas_thread():
            pass
        assert threads() == before


def test_other_bytes_under_the_same_path_are_not_taken(path: Path, tmp_path: Path) -> None:
    arrays = matrices()
    arrays[1] = arrays[1] + np.float32(1)
    other = str(write(tmp_path / "other.onnx", arrays))
    report = onnxspec.analyze(path, executor=Inline(lambda model: replace(model, path=other)))
    assert [layer.reason for layer in report.layers if layer.status == "failed"] == ["file_changed"]
    assert report.layers[1].status == "failed"
    assert report.layers[1].alpha is None


def test_a_model_that_workers_cannot_open_is_rejected(path: Path, tmp_path: Path) -> None:
    smaller = str(write(tmp_path / "smaller.onnx", matrices()[:1]))
    for there in (str(tmp_path / "missing.onnx"), smaller):
        with pytest.raises(onnxspec.InputError, match="a worker cannot open it"):
            onnxspec.analyze(path, executor=Inline(lambda model, there=there: replace(model, path=there)))


def test_workers_of_another_version_are_refused(path: Path) -> None:
    with pytest.raises(onnxspec.UsageError, match="install one"):
        onnxspec.analyze(path, executor=Inline(lambda model: replace(model, version="0.0")))


def test_workers_with_other_libraries_are_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter(["another", *["own"] * 100])
    monkeypatch.setattr(remote, "_code", lambda: next(codes))
    with pytest.warns(remote.WorkerWarning, match="last digits"):
        onnxspec.analyze(path, executor=Inline())


def die() -> None:
    os._exit(3)


def test_a_broken_pool_costs_its_layers(path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=die) as executor:
        report = onnxspec.analyze(path, executor=executor)
    assert {layer.reason for layer in report.layers} == {"worker_lost"}
    assert report.coverage.slots_failed == len(SHAPES)


def test_standard_input_cannot_be_sent(path: Path) -> None:
    with path.open("rb") as stream:
        source = Source.spool(stream)
    with pytest.raises(onnxspec.UsageError, match="standard input"):
        onnxspec.analyze(source, executor=Inline())


def test_the_timeout_and_the_choice_of_layers_hold(path: Path) -> None:
    late = onnxspec.analyze(path, executor=Inline(), timeout=0.0)
    assert {layer.reason for layer in late.layers} == {"time_limit"}
    some = onnxspec.analyze(path, executor=Inline(), layer=["w1"])
    assert some.to_json() == onnxspec.analyze(path, layer=["w1"], jobs=1).to_json()


def test_failed_layers_come_back_as_they_are(tmp_path: Path) -> None:
    arrays = matrices()
    arrays[0][2, 2] = np.inf
    path = write(tmp_path / "model.onnx", arrays)
    assert onnxspec.analyze(path, executor=Inline()).to_json() == onnxspec.analyze(path, jobs=1).to_json()


def test_progress_is_told_in_order(path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    onnxspec.analyze(path, executor=Inline(), progress=lambda *step: told.append(step))
    assert [name for name, _, _ in told] == ["Gemm_0", "Gemm_1", "Gemm_2", "Gemm_3"]
    assert told[-1][1] == told[-1][2]


def test_a_worker_keeps_few_models_open(path: Path) -> None:
    for _ in range(5):
        onnxspec.analyze(path, executor=Inline(), effort="fast")
    assert len(remote._OPEN._models) <= remote.KEPT
    assert all(not opened.users for opened in remote._OPEN._models.values())
