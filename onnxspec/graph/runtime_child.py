"""The child process that evaluates single operators with onnxruntime, under limits of its own.

It is run as a script, imports nothing of onnxspec, and speaks over its standard
streams. Every message is a length of eight bytes, a JSON object of that length,
and the bytes that the object announces.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import IO, Any

__all__ = ["TooLargeError", "main", "read_message", "write_message"]

MAX_HEADER = 2**20


class TooLargeError(ValueError):
    """A message is larger than the reader accepts."""


def read_message(stream: IO[bytes], most: int) -> tuple[dict[str, Any], bytes] | None:
    """Read one message; None at the end of the stream.

    Raises
    ------
    TooLargeError
        It is longer than `most` bytes.
    ValueError
        It is no message.
    """
    head = stream.read(8)
    if len(head) < 8:
        return None
    (length,) = struct.unpack("<Q", head)
    if length > MAX_HEADER:
        raise TooLargeError("a header is too long")
    message = json.loads(stream.read(length))
    size = int(message.get("bytes", 0))
    if not 0 <= size <= most:
        raise TooLargeError(f"{size:,} bytes are too many")
    payload = stream.read(size)
    if len(payload) != size:
        return None
    return message, payload


def write_message(stream: IO[bytes], message: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    """Write one message."""
    text = json.dumps({**message, "bytes": len(payload)}).encode()
    stream.write(struct.pack("<Q", len(text)))
    stream.write(text)
    stream.write(payload)
    stream.flush()


def main() -> None:
    """Answer requests until the stream ends."""
    answers = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    requests = sys.stdin.buffer
    first = read_message(requests, 0)
    if first is None:
        return
    setup = first[0]
    sys.path[:] = setup["path"]
    try:
        import onnxruntime
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is an answer
        write_message(answers, {"error": f"onnxruntime cannot be imported: {error}"[:500]})
        return
    onnxruntime.set_default_logger_severity(4)
    _limit(setup["memory"], setup["seconds"])
    write_message(answers, {"ready": onnxruntime.__version__})
    while (request := read_message(requests, setup["memory"])) is not None:
        try:
            value = _evaluate(onnxruntime, request[1])
        except Exception as error:  # noqa: BLE001 - onnxruntime raises many classes; the parent wants the sentence
            write_message(answers, {"error": f"{type(error).__name__}: {error}"[:500]})
        else:
            data = memoryview(value.reshape(-1)).cast("B") if value.size else b""
            write_message(answers, {"dtype": value.dtype.name, "shape": list(value.shape)}, data)


def _limit(memory: int, seconds: int) -> None:
    """Bound this process: memory beyond what it holds now, processor time, no files."""
    try:
        import resource
    except ImportError:  # Windows has none; the parent's clock and checks remain
        return
    held = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    wanted = ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
    for kind, value in (*wanted, *(((resource.RLIMIT_AS, held + memory),) if held else ())):
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (bound, bound))


def _evaluate(onnxruntime: Any, model: bytes) -> Any:
    """Run a model without inputs and give its one output."""
    import numpy as np

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    value = session.run(["y"], {})[0]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise TypeError("the result is no tensor of numbers")
    return np.ascontiguousarray(value).reshape(value.shape)


if __name__ == "__main__":
    main()
