"""The model file: one descriptor, read with ``pread``, never mapped.

A mapped file that is truncated kills the interpreter with SIGBUS; a short
``pread`` is an ordinary error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from onnxspec.errors import InputError, LimitError, NotAModelError, TensorError
from onnxspec.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RegularFile", "Source", "open_flags"]

_BLOCK = 2**20
_CHANGED = "The file changed or was cut short while it was read; analyse it when it is complete."


def open_flags(*names: str) -> int:
    """Give the flags for opening an untrusted file read-only, with those named where the system has them."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY", *names):
        flags |= getattr(os, name, 0)
    return flags


class RegularFile:
    """A descriptor of one regular file, with what `fstat` said when it was opened.

    It closes when its last user releases it, or nothing refers to it any more; whoever makes it is the first user.

    Parameters
    ----------
    fd : int
        Open for reading; owned from here on.
    status : os.stat_result
        Of that descriptor.
    """

    __slots__ = ("_fd", "_lock", "_users", "identity", "size", "stamp")

    def __init__(self, fd: int, status: os.stat_result) -> None:
        self._fd = fd
        self._users = 1
        self._lock = threading.Lock()
        self.stamp = (status.st_size, status.st_mtime_ns)
        self.identity = (status.st_dev, status.st_ino)
        self.size = status.st_size

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes from `offset` on.

        Raises
        ------
        TensorError
            The file has fewer bytes by now, or cannot be read (``file_changed``).
        """
        done = 0
        try:
            while done < len(buffer):
                count = self._pread(buffer[done:], offset + done)
                if count == 0:
                    raise TensorError("file_changed", _CHANGED)
                done += count
        except (OSError, OverflowError) as error:
            raise TensorError("file_changed", f"The file cannot be read any more ({error}).") from None

    def pread(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes from `offset` on; `readinto` says what is raised."""
        buffer = bytearray(length)
        self.readinto(offset, memoryview(buffer))
        return bytes(buffer)

    def unchanged(self) -> bool:
        """Say whether size and time of change are as at opening."""
        try:
            status = os.fstat(self._fd)
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == self.stamp

    def sha256(self) -> str:
        """Hash all bytes, a block at a time: 64 hexadecimal digits."""
        digest = hashlib.sha256()
        block = memoryview(bytearray(min(_BLOCK, max(self.size, 1))))
        for start in range(0, self.size, len(block)):
            part = block[: min(len(block), self.size - start)]
            self.readinto(start, part)
            digest.update(part)
        if not self.unchanged():
            raise TensorError("file_changed", _CHANGED)
        return digest.hexdigest()

    def acquire(self) -> None:
        """Add a user."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Take a user away; the last one closes the descriptor."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._close()

    def __del__(self) -> None:
        """Close a descriptor that nobody released."""
        if self._fd >= 0:
            self._close()

    def _close(self) -> None:
        """Close the descriptor."""
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            os.close(fd)

    def _pread(self, buffer: memoryview, offset: int) -> int:
        """Read once, as much as the system gives."""
        if hasattr(os, "preadv"):
            return os.preadv(self._fd, [buffer[: 2**30]], offset)
        data = _pread_or_seek(self._fd, min(len(buffer), _BLOCK), offset)
        buffer[: len(data)] = data
        return len(data)


def _pread_or_seek(fd: int, length: int, offset: int) -> bytes:
    """Read at an offset where ``preadv`` is missing."""
    if hasattr(os, "pread"):
        return os.pread(fd, length, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # Windows: one reader per descriptor
    return os.read(fd, length)


class Source:
    """A model file, open for reading under the limits. A context manager.

    Use `open` or `spool`.

    Attributes
    ----------
    path : str
        As given; ``-`` for a spooled stream.
    size : int
        Bytes.
    folder : str or None
        Where external data may be; None for a spooled stream.
    """

    __slots__ = ("_closed", "_file", "_sha256", "folder", "path", "size")

    def __init__(self, path: str, file: RegularFile, folder: str | None) -> None:
        self.path = path
        self.size = file.size
        self.folder = folder
        self._file = file
        self._closed = False
        self._sha256: str | None = None

    @classmethod
    def open(cls, path: str | Path, limits: Limits = DEFAULT_LIMITS) -> Source:
        """Open a regular file.

        Parameters
        ----------
        path : str or Path
            A path that the user chose, so symbolic links are followed.
        limits : Limits
            `Limits.file_bytes` counts.

        Raises
        ------
        NotAModelError
            It is missing, a folder, a device or a pipe.
        LimitError
            It is larger than the limit.
        InputError
            It cannot be opened.
        """
        text = os.fspath(path)
        if "\0" in text:
            raise NotAModelError(f"{text!r} is no path: it holds a NUL character.")
        file = RegularFile(*_open_regular(text))
        try:
            _check_size(text, file.size, limits)
        except LimitError:
            file.release()
            raise
        return cls(text, file, str(Path(text).parent))

    @classmethod
    def spool(cls, stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Source:
        """Copy a stream to a private file without a name, and open that.

        Parameters
        ----------
        stream : binary file
            Read to its end.
        limits : Limits
            `Limits.file_bytes` counts.

        Raises
        ------
        LimitError
            The stream is longer than the limit.
        InputError
            It cannot be read, or there is no room for the copy.
        """
        import tempfile

        size = 0
        try:
            with tempfile.TemporaryFile() as copy:
                while block := stream.read(_BLOCK):
                    size += len(block)
                    _check_size("-", size, limits)
                    copy.write(block)
                copy.flush()
                fd = os.dup(copy.fileno())
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"Standard input cannot be copied to a temporary file ({reason}).") from None
        return cls("-", RegularFile(fd, os.fstat(fd)), None)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self._file.identity

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes from `offset` on.

        Raises
        ------
        TensorError
            The file has fewer bytes by now (``file_changed``).
        """
        self._file.readinto(offset, buffer)

    def pread(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes from `offset` on; `readinto` says what is raised."""
        return self._file.pread(offset, length)

    def sha256(self) -> str:
        """Give the SHA-256 of the whole file, computed once.

        Raises
        ------
        InputError
            The file changed meanwhile.
        """
        if self._sha256 is None:
            try:
                self._sha256 = self._file.sha256()
            except TensorError as error:
                raise InputError(f"{self.path}: {error.message}") from None
        return self._sha256

    def unchanged(self) -> bool:
        """Say whether size and time of change are as at opening."""
        return self._file.unchanged()

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        if not self._closed:
            self._closed = True
            self._file.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_size(path: str, size: int, limits: Limits) -> None:
    """Refuse a file over the byte cap."""
    if size > limits.file_bytes:
        raise LimitError(f"{path} has more than {limits.file_bytes:,} bytes; raise --max-bytes if you trust it.")


def _open_regular(path: str) -> tuple[int, os.stat_result]:
    """Open a regular file without ever blocking on a pipe or touching a device."""
    try:
        _check_kind(path, Path(path).stat().st_mode)
        fd = os.open(path, open_flags())
    except FileNotFoundError:
        raise NotAModelError(f"{path} does not exist; check the path.") from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied; check its access rights.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); check the path.") from None
    try:
        status = os.fstat(fd)
        _check_kind(path, status.st_mode)
    except (OSError, InputError):
        os.close(fd)
        raise
    return fd, status


def _check_kind(path: str, mode: int) -> None:
    """Refuse everything but regular files."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise NotAModelError(f"{path} is a folder; give the path of a model file in it.")
    raise NotAModelError(f"{path} is a pipe or device, no regular file; copy the model to a file, or pipe it into '-'.")
