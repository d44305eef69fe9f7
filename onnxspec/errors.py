"""The exceptions that onnxspec raises.

An exception means that no result can be given at all; what goes wrong with one
layer is a diagnostic inside the report instead.

::

    OnnxspecError
    ├── UsageError             exit 2   the call or the configuration is wrong
    ├── InputError             exit 3   an input was rejected as a whole
    │   ├── NotAModelError              not ONNX: empty, text, git-LFS pointer, archive, ...
    │   ├── MalformedModelError         ONNX, but broken: truncated, lying lengths, too deep
    │   ├── LimitError                  over a limit on untrusted input
    │   └── ReportError                 a saved report that cannot be read
    └── TensorError            (one layer)   a tensor whose payload cannot be read

``TensorError`` never leaves the engine: it costs its layer and becomes a
diagnostic with the error's ``code``.
"""

from __future__ import annotations

__all__ = [
    "InputError",
    "LimitError",
    "MalformedModelError",
    "NotAModelError",
    "OnnxspecError",
    "ReportError",
    "TensorError",
    "UsageError",
]


class OnnxspecError(Exception):
    """Base of every exception that onnxspec raises on purpose."""


class UsageError(OnnxspecError):
    """The call or the configuration is wrong."""


class InputError(OnnxspecError):
    """An input was rejected and nothing of it could be analysed."""


class NotAModelError(InputError):
    """The input is no ONNX model."""


class MalformedModelError(InputError):
    """The input is an ONNX model that is broken."""


class LimitError(InputError):
    """The input is over a limit on untrusted input (see `onnxspec.limits`)."""


class ReportError(InputError):
    """A saved report cannot be read."""


class TensorError(OnnxspecError):
    """The payload of one tensor cannot be read.

    Parameters
    ----------
    code : str
        Stable code of the diagnostic, such as ``"external_data_missing"``.
    message : str
        One sentence that says what is wrong.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[TensorError], tuple[str, str]]:
        return type(self), (self.code, self.message)
