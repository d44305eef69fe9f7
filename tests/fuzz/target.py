"""What is fuzzed: the whole way from bytes to weights, in this process, with side files at hand.

`Target` holds what must be true of any input. Only errors of the documented
families come out, nothing outside the model's folder is opened, the accounts
add up, what can be read can be read twice, and time and memory stay bounded.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from onnxspec.engine import analyze, inspect
from onnxspec.errors import InputError, TensorError
from onnxspec.graph import SurveyOptions, survey, surveying
from onnxspec.limits import Limits
from onnxspec.reading import Model, Source, StoredTensor, open_model
from onnxspec.reading.source import RegularFile
from onnxspec.report.interface import formatter
from onnxspec.results import Report

MIB = 2**20
SECONDS = 5.0
LIMITS = Limits(
    skeleton_bytes=8 * MIB,
    fields=200_000,
    nodes=2_000,
    tensors=20_000,
    tensor_bytes=16 * MIB,
    total_bytes=64 * MIB,
    fold_elements=2**20,
    fold_nodes=1_000,
    matrix_bytes=16 * MIB,
)
"""The bounds scaled down, so that memory stays below 1 GB where they hold, and not where one is missing."""


surveying.MISFITS = ()
"""Here a node that does not fit must be told from one that trips a handler; users see the same sentence for both."""


class Target:
    """Takes one input after another.

    Parameters
    ----------
    folder : Path
        Empty; side files are laid into it.
    numerics : int
        Every how-manieth input is analysed with numbers, on average; 0 for none.
    """

    def __init__(self, folder: Path, numerics: int = 32) -> None:
        self.folder = folder / "model"
        self.numerics = numerics
        self._watching = False
        self._lay()
        if numerics:
            analyze(
                Path(__file__).resolve().parents[2] / "fixtures" / "models" / "lenet5.onnx", effort="fast"
            )  # compiles
        sys.addaudithook(self._audit)

    def _lay(self) -> None:
        (self.folder / "sub").mkdir(parents=True)
        data = np.random.default_rng(3).standard_normal(2048).astype("<f4").tobytes()
        (self.folder.parent / "secret").write_bytes(data)
        for name in ("w.data", "sub/w.data", "x", "1"):
            (self.folder / name).write_bytes(data)
        (self.folder / "link").symlink_to("../secret")
        (self.folder / "away").symlink_to("..")
        (self.folder / "hard").hardlink_to(self.folder.parent / "secret")
        os.mkfifo(self.folder / "pipe")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuse the opening of anything but parts of a location, the folder, and Python's own files."""
        if not self._watching or event not in {"open", "subprocess.Popen", "os.system", "socket.connect", "exec"}:
            return
        if event != "open":
            if event == "exec":
                return
            raise AssertionError(f"{event} {arguments[:1]}")
        path = os.fsdecode(arguments[0]) if not isinstance(arguments[0], int) else ""
        inside = "/" not in path and path not in {"..", "secret", "link", "away"}
        own = path.startswith((sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]), "/proc", "/sys"))
        if not (inside or own or path == str(self.folder)):
            raise AssertionError(f"{path!r} was opened")

    def source(self, data: bytes) -> Source:
        """Put the bytes into a file in memory that stands in the folder."""
        fd = os.memfd_create("model")
        os.write(fd, data) if len(data) < MIB else os.pwrite(fd, data, 0)
        return Source("model.onnx", RegularFile(fd, os.fstat(fd)), str(self.folder))

    def __call__(self, data: bytes) -> None:
        """Take one input.

        Raises
        ------
        AssertionError
            Something is not as it must be.
        Exception
            Whatever escaped.
        """
        start = time.process_time()
        self._watching = True
        try:
            self._take(data, zlib.crc32(data))
        except InputError as error:
            _is_a_sentence(str(error))
        finally:
            self._watching = False
        spent = time.process_time() - start
        assert spent < SECONDS, f"it took {spent:.1f} s"

    def _take(self, data: bytes, choice: int) -> None:
        with self.source(data) as source, open_model(source, LIMITS) as model:
            _tensors(model)
            _survey(model, choice)
            model.external_files()
        if choice % 8 == 0:
            with self.source(data) as source:
                _report(inspect(source, limits=LIMITS, runtime_folding=False))
        if self.numerics and choice % self.numerics == 1:
            with self.source(data) as source:
                _report(analyze(source, limits=LIMITS, runtime_folding=False, jobs=1, effort="fast"))


def _is_a_sentence(message: str) -> None:
    assert message, "an error without words"
    assert "\n" not in message, message


def _has_code(error: TensorError) -> None:
    assert error.code, "a problem without a code"


def _tensors(model: Model) -> None:
    """Read all initializers in every way."""
    for tensor in model.graph.initializers[:200]:
        assert isinstance(tensor, StoredTensor)
        try:
            values = tensor.load_float64()
        except TensorError as error:
            _has_code(error)
            continue
        assert tensor.problem is None
        assert values.shape == tensor.shape
        assert tensor.load().shape == tensor.shape
        assert tensor.content_hash() == tensor.content_hash()
        if tensor.shape and tensor.shape[0]:
            rows = tensor.read_rows(tensor.shape[0] - 1, tensor.shape[0])
            assert np.array_equal(rows[0], values[-1], equal_nan=True)


def _survey(model: Model, choice: int) -> None:
    """Find the weights and read them."""
    everything = ("*",) if choice & 2 else ()
    found = survey(model, LIMITS, SurveyOptions(gates=bool(choice & 4), include=everything), runtime_folding=False)
    ids = [weight.id for weight in found.weights]
    assert len(set(ids)) == len(ids), "two layers have one id"
    for weight in found.weights[:100]:
        assert weight.id.isprintable()
        try:
            values, _ = weight.read()
        except TensorError as error:
            _has_code(error)
            continue
        assert values.shape == weight.kernel_shape
        assert values.canonical().shape == weight.kernel_shape


def _no_number(text: str) -> None:
    raise AssertionError(f"{text} in the report")


def _report(report: Report) -> None:
    """Hold the report to its contract."""
    coverage = report.coverage
    assert coverage.slots == coverage.slots_analyzed + coverage.slots_skipped + coverage.slots_failed
    text = report.to_json()
    json.loads(text, parse_constant=_no_number)
    assert Report.from_json(text) == report
    for name in ("table", "csv", "markdown"):
        out = formatter(name)([report])
        assert "\x1b" not in out
        assert "\u202e" not in out
