"""Payloads in side files, under rules that keep every read inside the model's own folder.

A location is opened folder by folder from a descriptor of the model's folder, and no
symbolic link in it is followed. A reference that breaks a rule is a problem of its tensor:

=============================  ==================================================
``external_data_location``     location missing, twice, empty, ``.``, too long, with NUL,
                               or the model file itself
``external_data_outside``      absolute, or with ``..``
``external_data_memory``       an address in some process's memory
``external_data_missing``      no such file
``external_data_symlink``      a symbolic link on the way
``external_data_hard_link``    a file with more than one name, unless allowed
``external_data_not_a_file``   a folder, pipe, device or socket
``external_data_unreadable``   the system refuses to open it
``external_data_range``        offset or length no plain number, or past the file's end
``external_data_unavailable``  the model came from a stream, or the system is Windows
=============================  ==================================================
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxspec.errors import TensorError
from onnxspec.reading._payload import Segment
from onnxspec.reading.source import RegularFile, open_flags
from onnxspec.results import ExternalFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["ExternalFiles", "SideFile"]

KNOWN_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})
MAX_LOCATION = 4096
MAX_OPEN = 16
SHOWN = 100

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


def _shown(location: str) -> str:
    """Quote a location for a message: escaped and shortened."""
    return repr(location if len(location) <= SHOWN else location[:SHOWN] + "...")


def _split(location: str) -> list[str]:
    """Give the folders and file name of a location that keeps the rules."""
    if location.startswith("*/_ORT_MEM_ADDR_/"):
        raise TensorError("external_data_memory", "Its data are an address in another process's memory.")
    if len(location) > MAX_LOCATION:
        raise TensorError("external_data_location", f"Its location has {len(location):,} characters.")
    if "\0" in location:
        raise TensorError("external_data_location", "Its location holds a NUL character.")
    parts = [part for part in location.split("/") if part not in {"", "."}]
    if location.startswith("/") or ".." in parts:
        message = f"Its location {_shown(location)} leads out of the model's folder; nothing was opened."
        raise TensorError("external_data_outside", message)
    if not parts or location.endswith(("/", "/.")):
        raise TensorError("external_data_location", f"Its location {_shown(location)} names no file.")
    return parts


def _number(entries: dict[str, str], key: str) -> int | None:
    """Read an offset or length: plain decimal digits."""
    text = entries.get(key)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise TensorError("external_data_range", f"Its {key} {_shown(text)} is no plain number.")
    return int(text)


class SideFile:
    """One side file: opened when it is read, checked to be the same each time.

    Attributes
    ----------
    location : str
        As in the model.
    identity : tuple of int
        Device and inode.
    size : int
        Bytes at the first opening.
    """

    __slots__ = ("_acquire", "_stamp", "identity", "location", "size")

    def __init__(self, location: str, file: RegularFile, acquire: Callable[[str], RegularFile]) -> None:
        self.location = location
        self.identity = file.identity
        self.size = file.size
        self._stamp = file.stamp
        self._acquire = acquire

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes from `offset` on.

        Raises
        ------
        TensorError
            The file changed, or cannot be opened any more.
        """
        with self._open() as file:
            file.readinto(offset, buffer)

    def unchanged(self) -> bool:
        """Say whether the file is as at the first opening."""
        try:
            with self._open() as file:
                return file.unchanged()
        except TensorError:
            return False

    def sha256(self) -> str:
        """Hash all bytes, a block at a time: 64 hexadecimal digits."""
        with self._open() as file:
            return file.sha256()

    @contextmanager
    def _open(self) -> Iterator[RegularFile]:
        """Borrow the descriptor of the file, if it is still the same file."""
        file = self._acquire(self.location)
        try:
            if (file.identity, file.stamp) != (self.identity, self._stamp):
                raise TensorError("file_changed", f"The file {_shown(self.location)} changed while it was read.")
            yield file
        finally:
            file.release()


class ExternalFiles:
    """The side files of one model.

    Parameters
    ----------
    folder : str or None
        The model's folder; None where it has none.
    model : tuple of int
        Device and inode of the model file.
    allow_hard_links : bool
        Accept files with more than one name (content-addressed stores).
    """

    def __init__(self, folder: str | None, model: tuple[int, int], *, allow_hard_links: bool = False) -> None:
        self._folder = folder
        self._model = model
        self._allow_hard_links = allow_hard_links
        self._folder_fd = -1
        self._closed = False
        self._found: dict[str, SideFile | TensorError] = {}
        self._open: OrderedDict[str, RegularFile] = OrderedDict()
        self._lock = threading.Lock()

    def resolve(self, entries: Sequence[tuple[str, str]], nbytes: int) -> tuple[SideFile, Segment]:
        """Find the bytes that a tensor's ``external_data`` refers to.

        Parameters
        ----------
        entries : sequence of (key, value)
            As in the model.
        nbytes : int
            Bytes that the tensor's dims ask for, used where no length is given.

        Raises
        ------
        TensorError
            The reference breaks a rule; see the module's table.
        """
        values = dict(entries)
        if sum(key in KNOWN_KEYS for key, _ in entries) != len(KNOWN_KEYS & values.keys()):
            raise TensorError("external_data_location", "Its external data name the same key twice.")
        if "location" not in values:
            raise TensorError("external_data_location", "Its external data have no location.")
        offset = _number(values, "offset") or 0
        length = _number(values, "length")
        file = self._find(values["location"])
        length = nbytes if length is None else length
        if offset + length > file.size:
            wanted = f"bytes {offset:,} to {offset + length:,} of {_shown(file.location)}"
            raise TensorError("external_data_range", f"Its data are {wanted}, which has {file.size:,} bytes.")
        return file, Segment(offset, length)

    def files(self) -> tuple[ExternalFile, ...]:
        """Give every file that was referred to, hashed, in order of first use; None where it cannot be read."""
        return tuple(self._fact(location, found) for location, found in self._found.items())

    def __del__(self) -> None:
        """Close what nobody closed: weights may outlive the model that they came from."""
        self.close()

    def close(self) -> None:
        """Close all descriptors; files that are being read close when that is done."""
        with self._lock:
            self._closed = True
            while self._open:
                self._open.popitem()[1].release()
            if self._folder_fd >= 0:
                os.close(self._folder_fd)
                self._folder_fd = -1

    def _fact(self, location: str, found: SideFile | TensorError) -> ExternalFile:
        """Describe one file."""
        if isinstance(found, TensorError):
            return ExternalFile(location, None, None)
        try:
            return ExternalFile(location, found.size, found.sha256())
        except TensorError:
            return ExternalFile(location, found.size, None)

    def _find(self, location: str) -> SideFile:
        """Open a location for the first time, or give what was found then."""
        found = self._found.get(location)
        if found is None:
            try:
                file = self._acquire(location)
            except TensorError as error:
                found = error
            else:
                found = SideFile(location, file, self._acquire)
                file.release()
            self._found[location] = found
        if isinstance(found, TensorError):
            raise TensorError(found.code, found.message)
        return found

    def _acquire(self, location: str) -> RegularFile:
        """Give an open file, to be released by the caller; keep a few of them open."""
        with self._lock:
            if self._closed:
                raise TensorError("external_data_unavailable", "Its model is closed.")
            file = self._open.get(location)
            if file is None:
                file = self._open_checked(location)
                self._open[location] = file
                if len(self._open) > MAX_OPEN:
                    self._open.popitem(last=False)[1].release()
            else:
                self._open.move_to_end(location)
            file.acquire()
            return file

    def _open_checked(self, location: str) -> RegularFile:
        """Open a location and check what it is."""
        parts = _split(location)
        if self._folder is None:
            message = "Its data are in another file, which a model from standard input has not; give the model's path."
            raise TensorError("external_data_unavailable", message)
        if os.open not in os.supports_dir_fd:
            message = "External data cannot be read safely on this system; use Linux or macOS."
            raise TensorError("external_data_unavailable", message)
        fd = self._walk_folders(location, parts)
        try:
            status = os.fstat(fd)
            self._check_file(location, status)
        except BaseException:
            os.close(fd)
            raise
        return RegularFile(fd, status)

    def _walk_folders(self, location: str, parts: list[str]) -> int:
        """Open one folder after the other, then the file."""
        if self._folder_fd < 0:
            try:
                self._folder_fd = os.open(self._folder or ".", open_flags("O_DIRECTORY"))
            except OSError as error:
                message = f"The model's folder cannot be opened ({error.strerror})."
                raise TensorError("external_data_unreadable", message) from None
        at = self._folder_fd
        try:
            for part in parts[:-1]:
                below = _open_part(location, part, at, _check_folder, "O_DIRECTORY")
                if at != self._folder_fd:
                    os.close(at)
                at = below
            return _open_part(location, parts[-1], at, self._check_file)
        finally:
            if at != self._folder_fd:
                os.close(at)

    def _check_file(self, location: str, status: os.stat_result) -> None:
        """Refuse what is no regular file, is the model itself, or has other names."""
        if stat.S_ISLNK(status.st_mode):
            raise _symlink(location)
        if not stat.S_ISREG(status.st_mode):
            raise _not_a_file(location)
        if (status.st_dev, status.st_ino) == self._model:
            raise TensorError("external_data_location", f"Its location {_shown(location)} is the model file itself.")
        if status.st_nlink > 1 and not self._allow_hard_links:
            message = f"The file {_shown(location)} is a hard link, so it may be any file of the disk; copy it instead."
            raise TensorError("external_data_hard_link", message)


def _not_a_file(location: str) -> TensorError:
    """Say that something else stands where a file should be."""
    return TensorError("external_data_not_a_file", f"The location {_shown(location)} is no regular file.")


def _check_folder(location: str, status: os.stat_result) -> None:
    """Refuse what is no folder."""
    if stat.S_ISLNK(status.st_mode):
        raise _symlink(location)
    if not stat.S_ISDIR(status.st_mode):
        raise FileNotFoundError


def _open_part(
    location: str, part: str, folder_fd: int, check: Callable[[str, os.stat_result], None], *flags: str
) -> int:
    """Open one part of a location after a look at what it is, and never through a link."""
    try:
        check(location, os.stat(part, dir_fd=folder_fd, follow_symlinks=False))
        return os.open(part, open_flags("O_NOFOLLOW", *flags), dir_fd=folder_fd)
    except FileNotFoundError:
        message = f"The file {_shown(location)} is missing; put it beside the model."
        raise TensorError("external_data_missing", message) from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise _symlink(location) from None
        message = f"The file {_shown(location)} cannot be opened ({getattr(error, 'strerror', error)})."
        raise TensorError("external_data_unreadable", message) from None


def _symlink(location: str) -> TensorError:
    """Say that a symbolic link is on the way."""
    message = f"The location {_shown(location)} goes through a symbolic link, which is not followed; copy the file."
    return TensorError("external_data_symlink", message)
