"""The sqlite file of a store: opened with suspicion, written in short transactions.

A rollback journal, not a write-ahead log: a log needs memory shared by mapping a file
beside the store, which no network folder has, and whose truncation kills a process.
Nothing is synchronised to the disk: a killed process loses nothing that it had
committed, and what a power failure spoils is found by the checks of each row.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

__all__ = ["DEFAULT_NAME", "Database", "StoreError", "StoreInfo", "clear", "describe", "located"]

DEFAULT_NAME = "onnxspec-results.sqlite"
APPLICATION = 0x6F6E7370
SCHEMA_VERSION = 1
MAGIC = b"SQLite format 3\0"
WAIT_SECONDS = 10.0
MAX_VALUE = 64 * 2**20
DAY = 86_400
CREATE = (
    "CREATE TABLE layers (key BLOB PRIMARY KEY, version TEXT NOT NULL, row BLOB NOT NULL, "
    "checksum BLOB NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL)"
)


class StoreError(Exception):
    """The store cannot be used; the message is a sentence for its user."""


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    path : str
        The file.
    bytes : int
        Its size.
    layers : int
        Results in it.
    versions : tuple of (str, int)
        Versions of the code that made them, with the number of results of each.
    oldest, newest : int or None
        When the first and the last of them was used, in seconds since 1970.
    writable : bool
        Whether results can be added.
    """

    path: str
    bytes: int
    layers: int
    versions: tuple[tuple[str, int], ...]
    oldest: int | None
    newest: int | None
    writable: bool


def located(place: str | Path) -> Path:
    """Give the file of a store: the place itself, or a file in it where it is, or names, a folder."""
    path = Path(place)
    is_folder = path.is_dir() or str(place).endswith(("/", os.sep)) or not (path.suffix or path.exists())
    return path / DEFAULT_NAME if is_folder else path


class Database:
    """An open store. Use from one thread at a time.

    Parameters
    ----------
    path : Path
        The file, see `located`.
    create : bool
        Whether it is made where there is none.

    Raises
    ------
    StoreError
        It is something else, damaged, or cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self.writable = True
        try:
            exists = _look_at(path)
            if not exists and not create:
                raise StoreError(f"the store {path} does not exist")
            if not exists:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._opened()
        except (OSError, ValueError, sqlite3.Error) as error:
            raise StoreError(f"the store {path} cannot be used: {_said(error)}") from None

    def get(self, key: bytes) -> bytes | None:
        """Give a row, or None where there is none.

        Raises
        ------
        StoreError
            The file cannot be read.
        """
        with self._guarded():
            found = self._connection.execute("SELECT row, checksum FROM layers WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        row, checksum = found
        if not isinstance(row, bytes) or checksum != _checksum(key, row):
            raise DamagedRowError
        return row

    def put(self, key: bytes, version: str, row: bytes) -> None:
        """Add a row, or put it in the place of another.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        now = int(time.time())
        with self._writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO layers VALUES (?, ?, ?, ?, ?, ?)",
                (key, version, row, _checksum(key, row), now, now),
            )

    def touch(self, keys: Iterable[bytes]) -> None:
        """Note that rows were used today, so that `clear` by age keeps them.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        now = int(time.time())
        with self._writing():
            self._connection.executemany(
                "UPDATE layers SET used = ? WHERE key = ? AND used < ?", [(now, key, now - DAY) for key in keys]
            )

    def info(self) -> StoreInfo:
        """Say what the store holds.

        Raises
        ------
        StoreError
            The file cannot be read.
        """
        with self._guarded():
            run = self._connection.execute
            layers, oldest, newest = run("SELECT count(*), min(used), max(used) FROM layers").fetchone()
            grouped = "SELECT version, count(*) FROM layers GROUP BY version ORDER BY version LIMIT 100"
            versions = run(grouped).fetchall()
            size = self.path.stat().st_size
        named = tuple((str(name), int(count)) for name, count in versions)
        oldest, newest = (value if isinstance(value, int) else None for value in (oldest, newest))
        return StoreInfo(str(self.path), size, int(layers), named, oldest, newest, self.writable)

    def delete(self, *, unused_seconds: float | None) -> int:
        """Take out rows that were not used for so long, or all; give their number.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        before = int(time.time() - unused_seconds) if unused_seconds is not None else None
        with self._writing():
            if before is None:
                gone = self._connection.execute("DELETE FROM layers").rowcount
            else:
                gone = self._connection.execute("DELETE FROM layers WHERE used <= ?", (before,)).rowcount
        with self._guarded():
            self._connection.execute("VACUUM")
        return int(gone)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        """Open for writing; where that cannot be, for reading."""
        try:
            connection = _connect(self.path, "mode=rwc")
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection
        except sqlite3.OperationalError as error:
            name = getattr(error, "sqlite_errorname", "") or ""
            if not (name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")) and self.path.exists()):
                raise
        connection = _connect(self.path, "mode=ro&immutable=1")  # no journal and no lock can be made beside it
        try:
            _check(connection)
        except BaseException:
            connection.close()
            raise
        self.writable = False
        return connection

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn sqlite's exceptions into ours."""
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise StoreError(f"the store {self.path} cannot be used: {_said(error)}") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Run statements in one transaction that holds the lock from its start."""
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise


class DamagedRowError(Exception):
    """A row whose checksum is not its own."""


def describe(place: str | Path) -> StoreInfo:
    """Say what a store holds.

    Raises
    ------
    StoreError
        There is none, or it cannot be read.
    """
    database = Database(located(place), create=False)
    try:
        return database.info()
    finally:
        database.close()


def clear(place: str | Path, *, unused_seconds: float | None = None) -> int:
    """Take results out of a store, all or those not used for so long; give their number.

    Raises
    ------
    StoreError
        There is no store, or it cannot be written.
    """
    database = Database(located(place), create=False)
    try:
        if not database.writable:
            raise StoreError(f"the store {database.path} cannot be written")
        return database.delete(unused_seconds=unused_seconds)
    finally:
        database.close()


def _look_at(path: Path) -> bool:
    """Say whether a store exists; refuse anything else before sqlite sees it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        head = file.read(100)
    if head and (head[:16] != MAGIC or len(head) < 100):
        raise ValueError("it is no result store, and is left as it is")
    if head and struct.unpack(">I", head[68:72])[0] != APPLICATION:
        raise ValueError("it is a database of another program, and is left as it is")
    return True


def _connect(path: Path, options: str) -> sqlite3.Connection:
    """Open the file with what sqlite advises for files that one does not trust."""
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{options}",
        uri=True,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Check the tables, or make them in an empty file; the first of several processes does."""
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            connection.execute(CREATE)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        _check(connection)
        connection.execute("DELETE FROM layers WHERE key = x''")  # fails where nothing can be written
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _check(connection: sqlite3.Connection) -> None:
    """Refuse every schema but ours: views and triggers are code of whoever made the file."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise ValueError(f"it has version {version}; this onnxspec knows version {SCHEMA_VERSION}")
    found = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid LIMIT 10").fetchall()
    if found != [("table", "layers", CREATE), ("index", "sqlite_autoindex_layers_1", None)]:
        raise ValueError("it has other tables than a result store")


def _checksum(key: bytes, row: bytes) -> bytes:
    return hashlib.blake2b(row, key=key, digest_size=16).digest()


def _said(error: Exception) -> str:
    """Give an error in few words."""
    return str(getattr(error, "strerror", None) or error)
