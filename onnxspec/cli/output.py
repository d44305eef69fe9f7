"""Where output goes: data to standard output or to files, all else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from onnxspec.errors import UsageError
from onnxspec.report import BINARY, FORMATS, FleetLine, binary_formatter, formatter
from onnxspec.report.view import View, view
from onnxspec.results import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Target",
    "check_figure",
    "is_folder",
    "note",
    "progress_bar",
    "progress_of_models",
    "targets",
    "targets_of",
    "write",
    "write_text",
]

Target = tuple[str, str | None]
"""A format, and the file to write, or None for standard output."""

SHOWN = 30
"""Characters of a name beside a progress bar, which keeps its width from one to the next."""

WHOLE = frozenset({"json", "html"})
"""Formats that hold the whole report, whatever part of it is shown."""

_ENDINGS = {
    ".json": "json",
    ".csv": "csv",
    ".html": "html",
    ".htm": "html",
    ".txt": "table",
    ".md": "markdown",
    ".parquet": "parquet",
}


def targets(format_name: str | None, outputs: Sequence[str]) -> list[Target]:
    """Read ``-f`` and ``-o``: ``-o FILE`` writes the chosen format, ``-o fmt=FILE`` another one beside it.

    Raises
    ------
    UsageError
        A format does not exist.
    """
    found = targets_of(format_name, outputs, {*FORMATS, *BINARY})
    for name, file in found:
        if name not in BINARY:
            formatter(name)
        elif file is None:
            raise UsageError(f"{name} is no text; write it with -o FILE.{name}.")
    return found


def targets_of(format_name: str | None, outputs: Sequence[str], formats: Container[str]) -> list[Target]:
    """Read ``-f`` and ``-o`` of a command with formats of its own; whether they exist is not checked."""
    found: list[Target] = []
    for output in outputs:
        name, equals, path = output.partition("=")
        if equals and name in formats:
            found.append((name, path))
        else:
            usual = "json" if is_folder(output) else _ENDINGS.get(Path(output).suffix.lower(), "table")
            found.append((format_name or usual, output))
    if not found or (
        format_name is not None and all(path is not None and "=" in o for (_, path), o in zip(found, outputs))
    ):
        found.insert(0, (format_name or "table", None))
    return found


def is_folder(path: str | None) -> bool:
    """Say whether an output names a folder, in which each model gets a file of its own."""
    return path is not None and (path.endswith(("/", os.sep)) or Path(path).is_dir())


def write(
    reports: Sequence[Report],
    wanted: Sequence[Target],
    shown: View | None = None,
    lines: Sequence[FleetLine] = (),
) -> None:
    """Write reports to every target.

    Parameters
    ----------
    reports : sequence of Report
        What to write.
    wanted : sequence of Target
        Where to.
    shown : View, optional
        The part of the layers for the formats that people read and CSV.
    lines : sequence of FleetLine
        How each model went; under the reports in a table.

    Raises
    ------
    UsageError
        A file cannot be written.
    """
    arranged = [view(report, shown) for report in reports] if shown else reports
    for name, path in wanted:
        chosen = reports if name in WHOLE else arranged
        if name in BINARY and path is not None:
            _to_file(Path(path), binary_formatter(name)(chosen))
        elif path is None and name == "table" and sys.stdout.isatty():
            _print_tables(chosen, lines)
        else:
            text = formatter(name)(chosen) if chosen else ""
            if name == "table" and lines:
                from onnxspec.report import fleet

                text += ("\n" if text else "") + fleet.render(lines)
            write_text(text, path)


def _print_tables(reports: Sequence[Report], lines: Sequence[FleetLine]) -> None:
    """Show tables on the terminal, as wide as it is."""
    from onnxspec.report.fleet import print_fleet
    from onnxspec.report.table import print_reports

    color = "NO_COLOR" not in os.environ
    print_reports(reports, sys.stdout, color=color)
    if lines:
        sys.stdout.write("\n" if reports else "")
        print_fleet(lines, sys.stdout, color=color)


def write_text(text: str, path: str | None) -> None:
    """Write text to a file, or to standard output without one.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    if path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        _to_file(Path(path), text.encode())


def _to_file(path: Path, content: bytes) -> None:
    """Write a file at once, so that an interrupted run leaves no half of one; devices and pipes as they are."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}.") from None


def check_figure(option: str, path: str | None) -> None:
    """Refuse the file of a figure before the work is done.

    Raises
    ------
    UsageError
        Its ending is no format of figures.
    """
    if path is None:
        return
    from onnxspec.plots import FORMATS as KINDS

    if Path(path).suffix.lower().removeprefix(".") not in KINDS:
        raise UsageError(f"{option} is {path[:80]!r}; its ending must be one of {', '.join(KINDS)}.")


def note(message: str) -> None:
    """Say one sentence on standard error; it holds no control characters from the input."""
    sys.stderr.write("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in message) + "\n")


@contextmanager
def progress_of_models(
    number: int, *, quiet: bool, stream: IO[str] | None = None
) -> Iterator[Callable[[str], AbstractContextManager[Callable[[str, int, int], None] | None]]]:
    """Show how many models are done, and the layers of the one in hand; give what is entered for each model."""
    stream = sys.stderr if stream is None else stream
    if number <= 1 or quiet or not stream.isatty():
        yield lambda label: progress_bar(label, quiet=quiet, stream=stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        models = progress.add_task(f"{'models':{SHOWN}}", total=number)

        @contextmanager
        def one(label: str) -> Iterator[Callable[[str, int, int], None]]:
            task = progress.add_task(f"{label[-SHOWN:]:{SHOWN}}", total=100)
            try:
                yield lambda name, done, total: progress.update(
                    task, completed=100 * done // max(total, 1), description=f"{name[-SHOWN:]:{SHOWN}}"
                )
            finally:
                progress.remove_task(task)
                progress.advance(models)

        yield one


@contextmanager
def progress_bar(
    label: str, *, quiet: bool, stream: IO[str] | None = None
) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar while layers are analysed, on a terminal only."""
    stream = sys.stderr if stream is None else stream
    if quiet or not stream.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task(label, total=1)

        def advance(name: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=max(total, 1), description=name[-30:])

        yield advance
