"""The CSV file of a series: models, accuracies, groups, and numbers that somebody else measured."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxspec.comparing.series.correlations import LARGEST
from onnxspec.errors import LimitError, ReportError, UsageError
from onnxspec.limits import DEFAULT_LIMITS, Limits

__all__ = ["RESERVED", "Row", "Table", "read_table", "table_of"]

RESERVED = ("model", "accuracy", "group", "label")
MAX_CELL = 4096


@dataclass(frozen=True)
class Row:
    """One model as it was given: `model` is a path, a name, or a `Report`."""

    model: Any
    accuracy: float | None
    cells: Mapping[str, str | float | None]

    @property
    def label(self) -> str:
        """What the model is called: its label, else the last part of its path."""
        label = self.cells.get("label")
        if label:
            return str(label)
        path = getattr(getattr(self.model, "model", None), "path", self.model)
        return Path(str(path)).name or str(path)


@dataclass(frozen=True)
class Table:
    """The rows of a series; `numbers` and `texts` are the columns besides model and accuracy."""

    rows: tuple[Row, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]

    def groups(self, by: str | None) -> list[str | None]:
        """Give each row's group: the value of a column as text, ``None`` where it is empty.

        Raises
        ------
        UsageError
            There is no such column.
        """
        if by is None:
            return [None] * len(self.rows)
        if by not in (*self.numbers, *self.texts):
            known = ", ".join((*self.texts, *self.numbers)) or "none"
            raise UsageError(f"there is no column {by[:60]!r} to group by; the columns are: {known}.")
        values = [row.cells.get(by) for row in self.rows]
        return [None if v is None else f"{v:g}" if isinstance(v, float) else v for v in values]


def read_table(path: Path, limits: Limits = DEFAULT_LIMITS, *, needs_accuracy: bool = True) -> Table:
    """Read the CSV file of a series, or of checkpoints, which need no accuracy.

    Raises
    ------
    ReportError
        The file cannot be read, or a row is not usable.
    LimitError
        It is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limits.series_bytes + 1)
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > limits.series_bytes:
        raise LimitError(f"{path}: the file is larger than {limits.series_bytes:,} bytes; no series is.")
    try:
        text = data.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        raise ReportError(f"{path}: the file is no UTF-8 text; a series is a CSV file.") from None
    except csv.Error as error:
        raise ReportError(f"{path}: the file is no CSV: {error}.") from None
    try:
        return _table([line for line in lines if any(cell.strip() for cell in line)], limits, needs_accuracy)
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None
    except LimitError as error:
        raise LimitError(f"{path}: {error}") from None


def table_of(rows: Iterable[Mapping[str, Any]], limits: Limits = DEFAULT_LIMITS) -> Table:
    """Take the rows of a series from Python: mappings with the columns' names.

    ``model`` may be a `Report`; numbers may be numbers or text.

    Raises
    ------
    ReportError
        A row is not usable.
    """
    given = [dict(row) for row in rows]
    header = list(dict.fromkeys(name for row in given for name in row))
    models = [row.get("model") for row in given]
    cells = [["" if row.get(name) is None else str(row.get(name)) for name in header] for row in given]
    reports = "model" in header and [hasattr(model, "layers") for model in models]
    if reports:
        place = header.index("model")
        for line, model, is_report in zip(cells, models, reports):
            line[place] = model.model.path if is_report and model is not None else line[place]
    table = _table([header, *cells], limits)
    kept = [
        Row(model if hasattr(model, "layers") else row.model, row.accuracy, row.cells)
        for row, model in zip(table.rows, models)
    ]
    return Table(tuple(kept), table.numbers, table.texts)


def _table(lines: Sequence[Sequence[str]], limits: Limits, needs_accuracy: bool = True) -> Table:
    """Check the cells, and tell columns of numbers from columns of text."""
    if len(lines) < 2:
        columns_needed = "model and accuracy" if needs_accuracy else "model"
        raise ReportError(f"there are no models; give a header with {columns_needed}, and a row for each model.")
    header = [name.strip() for name in lines[0]]
    _check_header(header, limits, ("model", "accuracy") if needs_accuracy else ("model",))
    if len(lines) - 1 > limits.series_models:
        raise LimitError(f"there are more than {limits.series_models:,} models.")
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(header):
            raise ReportError(f"model {number} has {len(line)} cells; the header has {len(header)}.")
        for name, cell in zip(header, line):
            _check_text(cell, f"model {number}, column {name}")
    columns = {name: [line[k].strip() for line in lines[1:]] for k, name in enumerate(header)}
    given = columns.pop("accuracy", [""] * (len(lines) - 1))
    accuracy = [_number(cell, f"model {k}, column accuracy") for k, cell in enumerate(given, 1)]
    models = columns.pop("model")
    for number, (model, value) in enumerate(zip(models, accuracy), 1):
        if not model or (value is None and needs_accuracy):
            raise ReportError(f"model {number} has no {'accuracy' if model else 'path or name'}.")
    texts = [name for name, cells in columns.items() if name in RESERVED or not any(map(_is_number, cells))]
    parsed: dict[str, list[str | float | None]] = {}
    for name, cells in columns.items():
        if name in texts:
            parsed[name] = [cell or None for cell in cells]
        else:
            parsed[name] = [_number(cell, f"model {k}, column {name}") for k, cell in enumerate(cells, 1)]
    rows = [
        Row(model, value, {name: cells[k] for name, cells in parsed.items()})
        for k, (model, value) in enumerate(zip(models, accuracy))
    ]
    return Table(tuple(rows), tuple(name for name in columns if name not in texts), tuple(texts))


def _check_header(header: Sequence[str], limits: Limits, needed: Sequence[str]) -> None:
    for name in header:
        _check_text(name, "the header")
    missing = [name for name in needed if name not in header]
    if missing:
        shown = ", ".join(name[:40] for name in header[:12])
        raise ReportError(f"there is no column {missing[0]}; the columns are: {shown}.")
    if len(set(header)) < len(header) or "" in header:
        raise ReportError("two columns have the same name, or one has none.")
    if len(header) > limits.series_columns:
        raise LimitError(f"there are more than {limits.series_columns} columns.")


def _check_text(text: str, where: str) -> None:
    if len(text) > MAX_CELL:
        raise ReportError(f"{where} holds more than {MAX_CELL:,} characters.")
    if not text.isprintable():
        raise ReportError(f"{where} holds control characters.")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, where: str) -> float | None:
    """Read a finite number; an empty cell is a missing one."""
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        raise ReportError(f"{where} is {cell[:40]!r}; it must be a number or empty.") from None
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ReportError(f"{where} is {cell[:40]!r}; it must be a finite number of at most 1e100, or empty.")
    return value
