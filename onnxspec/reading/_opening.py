"""Opening a model: walk, parse, and one clear sentence where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxspec.errors import InputError, LimitError, MalformedModelError, NotAModelError, TensorError
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.reading._recognise import HEAD, describe
from onnxspec.reading.external import ExternalFiles
from onnxspec.reading.proto import parse
from onnxspec.reading.source import Source
from onnxspec.reading.structure import Model
from onnxspec.reading.wire import WireError, walk

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_model"]

_MAX_IR_BYTE = 64


def open_model(path: str | Path | Source, limits: Limits = DEFAULT_LIMITS, *, allow_hard_links: bool = False) -> Model:
    """Open an ONNX model without reading its weights.

    Parameters
    ----------
    path : str, Path or Source
        The file. A `Source` belongs to the model from here on, unless this raises.
    limits : Limits
        Caps on untrusted input.
    allow_hard_links : bool
        Accept external data in files with more than one name.

    Returns
    -------
    Model
        A context manager; close it to close its files.

    Raises
    ------
    NotAModelError
        The file is missing, no regular file, or no ONNX model; the message says which.
    MalformedModelError
        It is an ONNX model that is broken or cut short.
    LimitError
        It is over a limit.
    InputError
        It cannot be read.
    """
    source = path if isinstance(path, Source) else Source.open(path, limits)
    external = ExternalFiles(source.folder, source.identity, allow_hard_links=allow_hard_links)
    try:
        return _open(source, external, limits)
    except BaseException:
        external.close()
        if source is not path:
            source.close()
        raise


def _open(source: Source, external: ExternalFiles, limits: Limits) -> Model:
    """Walk and parse; put the path and the next step into every message."""
    if source.size == 0:
        raise NotAModelError(f"{source.path} is empty: it holds no graph; export or download it again.")
    try:
        return parse(walk(source, limits), source, external, limits)
    except LimitError as error:
        raise LimitError(f"{source.path} is over a limit. {error} Raise the limit if you trust the file.") from None
    except MemoryError:
        raise LimitError(f"{source.path} has a graph too large for the free memory; use a larger machine.") from None
    except (NotAModelError, MalformedModelError) as error:
        raise _explain(source, error) from None


def _explain(source: Source, error: InputError) -> InputError:
    """Say whether the file is something else, cut short, or broken."""
    try:
        head = source.pread(0, min(HEAD, source.size))
    except TensorError:
        head = b""
    known = describe(head)
    if known is not None:
        return NotAModelError(f"{source.path} is {known}.")
    if isinstance(error, NotAModelError):
        return NotAModelError(f"{source.path} is no ONNX model. {error} Give a file that an ONNX exporter wrote.")
    if isinstance(error, WireError):
        starts_well = head[:1] == b"\x08" and 0 < head[1] < _MAX_IR_BYTE if len(head) > 1 else False
        if error.known < 2 and not (error.known and starts_well):
            return NotAModelError(f"{source.path} is no ONNX model. {error} Give a file that an ONNX exporter wrote.")
        if error.early:
            return MalformedModelError(f"{source.path} is cut short. {error} Download or copy it again.")
    return MalformedModelError(f"{source.path} is broken. {error} Export or download it again.")
