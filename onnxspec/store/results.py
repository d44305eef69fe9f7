"""The store that an analysis uses: results by content, and a plain account of what went wrong."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from onnxspec.errors import TensorError
from onnxspec.store.database import DamagedRowError, Database, StoreError, located
from onnxspec.store.key import code_version, layer_key
from onnxspec.store.row import RowError, pack, unpack

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from onnxspec.graph import WeightMatrix
    from onnxspec.results import Layer
    from onnxspec.settings import Settings

__all__ = ["ResultStore", "StoreWarning"]


class StoreWarning(UserWarning):
    """A store that could not be used; the analysis went on without it."""


class ResultStore:
    """Results of layers by the content of their weights. A context manager; threads may share it.

    Only layers with the status ``ok`` are kept: whether a layer was skipped or failed
    is found out anew each time.

    Parameters
    ----------
    place : str or Path
        A file, or a folder for a file of the default name. Made where it does not exist.

    Attributes
    ----------
    reused, added : int
        Layers that were found, and that were put in.
    problems : list of str
        What is wrong with the store, in sentences; it is not used further after the
        first that is about the file itself.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self.reused = 0
        self.added = 0
        self.problems: list[str] = []
        self._damaged = 0
        self._used: list[bytes] = []
        self._lock = threading.Lock()
        self._database: Database | None = None
        try:
            self._version = code_version()
            self._database = Database(located(place))
            if not self._database.writable:
                self.problems.append(f"the store {self._database.path} cannot be written: nothing is added to it")
        except StoreError as error:
            self.problems.append(str(error))
        except OSError as error:
            self.problems.append(f"the store {place} is not used: the program's sources cannot be read ({error})")

    @property
    def writable(self) -> bool:
        """Whether results can be added."""
        return self._database is not None and self._database.writable

    def __reduce__(self) -> tuple[type[ResultStore], tuple[str]]:
        return type(self), (self.place,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        with self._lock:
            database, self._database = self._database, None
            if database is None:
                return
            if database.writable and self._used:
                with contextlib.suppress(StoreError):  # a date that is missing costs nothing
                    database.touch(self._used)
            database.close()

    def account(self, reused: int, added: int, problems: Iterable[str]) -> None:
        """Add what workers with a store of their own at the same place did."""
        with self._lock:
            self.reused += reused
            self.added += added
            self.problems.extend(problem for problem in problems if problem not in self.problems)

    def find(self, weight: WeightMatrix, settings: Settings) -> Layer | None:
        """Give the result of a weight, under the names of the file at hand; None where there is none."""
        key = self._key(weight, settings)
        return None if key is None else self._get(key, weight)

    def task(self, work: Callable[[WeightMatrix, Settings], Layer]) -> Callable[[WeightMatrix, Settings], Layer]:
        """Wrap the analysis of one layer: what is in the store is not computed, what is computed goes in."""

        def reuse(weight: WeightMatrix, settings: Settings) -> Layer:
            key = self._key(weight, settings)
            found = None if key is None else self._get(key, weight)
            if found is not None:
                return found
            layer = work(weight, settings)
            if key is not None and layer.status == "ok":
                self._put(key, layer)
            return layer

        return reuse

    def _key(self, weight: WeightMatrix, settings: Settings) -> bytes | None:
        """Give the key of a weight; a weight that cannot be read has none, and the analysis says why."""
        if self._database is None:
            return None
        try:
            return layer_key(weight, settings)
        except TensorError:
            return None

    def _get(self, key: bytes, weight: WeightMatrix) -> Layer | None:
        """Read one result and check it."""
        with self._lock:
            if self._database is None:
                return None
            try:
                row = self._database.get(key)
            except StoreError as error:
                self._give_up(error)
                return None
            except DamagedRowError:
                self._count_damaged()
                return None
        if row is None:
            return None
        try:
            layer = unpack(row, weight)
        except (RowError, TensorError):
            with self._lock:
                self._count_damaged()
            return None
        with self._lock:
            self.reused += 1
            self._used.append(key)
        return layer

    def _put(self, key: bytes, layer: Layer) -> None:
        """Write one result."""
        try:
            row = pack(layer)
        except (RowError, ValueError):
            return
        with self._lock:
            if self._database is None or not self._database.writable:
                return
            try:
                self._database.put(key, self._version, row)
                self.added += 1
            except StoreError as error:
                self._database.writable = False
                self.problems.append(f"{error}; nothing more is added to it")

    def _give_up(self, error: StoreError) -> None:
        """Use the file no further."""
        if self._database is not None:
            self._database.close()
            self._database = None
            self.problems.append(str(error))

    def _count_damaged(self) -> None:
        """Say once that there are rows that are not used."""
        self._damaged += 1
        if self._damaged == 1:
            self.problems.append(f"the store {self.place} holds damaged results; these layers are computed anew")
