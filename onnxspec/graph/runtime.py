"""Evaluation of the operators that `onnxspec.graph.folding` does not know, by onnxruntime.

Single nodes are evaluated in one child process per model, which starts with the
first of them and runs under limits on memory, processor time and wall time. The
parent knows the shapes of all inputs, and bounds what an operator may create
before it is run. Whatever goes wrong is the reason of one constant.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph import runtime_child
from onnxspec.graph.growing import result_elements
from onnxspec.graph.nodes import MISFITS, operator, product
from onnxspec.reading import Node
from onnxspec.reading.serializing import one_node_model

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from onnxspec.limits import Limits

    Array = NDArray[Any]

__all__ = ["Runtime"]

RUN_SECONDS = 30.0
"""Wall time of one operator, the start of onnxruntime included."""

CPU_SECONDS = 60
"""Processor time of all operators of a model."""

RUN_BYTES = 2 * 2**30
"""Memory of the child beyond what onnxruntime itself takes."""

INPUT_BYTES = 256 * 2**20
"""Bytes of all inputs of one operator."""

MAX_STARTS = 3
_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})


class Runtime:
    """Runs nodes in a child process; a context manager that ends it.

    Parameters
    ----------
    opset_import : Mapping of str to int
        Of the model.
    limits : Limits
        `fold_elements` bounds each result.
    seconds, cpu_seconds, memory : float, int, int
        Wall time of one node, processor time of all, and bytes.
    """

    def __init__(
        self,
        opset_import: Mapping[str, int],
        limits: Limits,
        *,
        seconds: float = RUN_SECONDS,
        cpu_seconds: int = CPU_SECONDS,
        memory: int = RUN_BYTES,
    ) -> None:
        self._opsets = opset_import
        self._limits = limits
        self._seconds = seconds
        self._cpu_seconds = cpu_seconds
        self._memory = memory
        self._child: subprocess.Popen[bytes] | None = None
        self._broken: str | None = None
        self.starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process; a later `run` starts another."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        child.wait()

    def run(self, node: Node, arrays: Sequence[Array | None], output: int) -> Array:
        """Evaluate one output of a node.

        Raises
        ------
        TensorError
            It cannot be evaluated (``not_folded``), or would be too large (``over_limit``).
        """
        self._check(node, arrays)
        model = one_node_model(node, arrays, output, self._opsets)
        with self._clock() as ran_out:
            try:
                value = self._exchange(model)
            except runtime_child.TooLargeError as error:
                self.close()
                raise TensorError("over_limit", f"the result of {operator(node)} is too large: {error}") from None
            except (OSError, ValueError) as error:
                self.close()
                raise self._failure(node, "it took too long" if ran_out.is_set() else str(error)) from None
        if isinstance(value, str):
            raise self._failure(node, value)
        return value

    def _check(self, node: Node, arrays: Sequence[Array | None]) -> None:
        """Refuse what may not be run, before anything is started."""
        if self._broken is not None:
            raise self._failure(node, self._broken)
        if node.domain not in _DOMAINS:
            raise self._failure(node, "onnxruntime has no such operator")
        if sum(array.nbytes for array in arrays if array is not None) > INPUT_BYTES:
            raise TensorError("over_limit", f"the inputs of {operator(node)} are larger than {INPUT_BYTES:,} bytes")
        try:
            elements = result_elements(node, arrays)
        except MISFITS as error:
            raise TensorError("invalid_graph", f"{operator(node)} does not fit its inputs: {error}") from None
        if elements is not None and elements > min(self._limits.fold_elements, self._memory // 8):
            raise TensorError("over_limit", f"{operator(node)} would give {elements:,} elements")

    @staticmethod
    def _failure(node: Node, why: str) -> TensorError:
        """Say why an operator was not evaluated."""
        return TensorError("not_folded", f"the operator {operator(node)} was not evaluated by onnxruntime: {why}")

    @contextlib.contextmanager
    def _clock(self) -> Iterator[threading.Event]:
        """Kill the child when its wall time is over, so that no read or write blocks."""
        over = threading.Event()

        def stop() -> None:
            over.set()
            child = self._child
            if child is not None:
                child.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield over
        finally:
            timer.cancel()

    def _exchange(self, model: bytes) -> Array | str:
        """Send a model, and give its output or the child's complaint."""
        child = self._child or self._start()
        if isinstance(child, str):
            return child
        if child.stdin is None or child.stdout is None:
            raise OSError("it has no pipes")
        runtime_child.write_message(child.stdin, {}, model)
        answer = runtime_child.read_message(child.stdout, min(self._limits.fold_elements * 8, self._memory))
        if answer is None:
            raise OSError("its process ended; it may have needed too much memory or time")
        message, payload = answer
        if "error" in message:
            return str(message["error"])
        shape = tuple(int(n) for n in message["shape"])
        dtype = np.dtype(str(message["dtype"]))
        if dtype.kind not in "biuf" or product(shape) > self._limits.fold_elements:
            raise ValueError("its result is too large, or no tensor of numbers")
        return np.frombuffer(payload, dtype).reshape(shape)

    def _start(self) -> subprocess.Popen[bytes] | str:
        """Start the child, and wait until it has loaded onnxruntime."""
        if self.starts >= MAX_STARTS:
            self._broken = "its process ended too often"
            return self._broken
        if getattr(sys, "frozen", False) or not sys.executable:
            self._broken = "there is no Python interpreter to start"
            return self._broken
        self.starts += 1
        script = str(Path(runtime_child.__file__).resolve())
        self._child = child = subprocess.Popen(  # noqa: S603 - our own script, no shell
            [sys.executable, "-I", "-S", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if child.stdin is None or child.stdout is None:
            raise OSError("it has no pipes")
        setup = {"path": [entry for entry in sys.path if entry], "memory": self._memory, "seconds": self._cpu_seconds}
        runtime_child.write_message(child.stdin, setup)
        answer = runtime_child.read_message(child.stdout, 0)
        if answer is None:
            raise OSError("its process did not start")
        if "error" in answer[0]:
            self._broken = str(answer[0]["error"])
            self.close()
            return self._broken
        return child
