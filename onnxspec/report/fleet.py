"""A table of many models for the terminal: one line each, with how it went."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxspec.report._plain import plain, word
from onnxspec.report.interface import FleetLine
from onnxspec.results import Report

__all__ = ["print_fleet", "render"]

WIDTH = 80
FIXED_WIDTH = 37
PHASES_WIDTH = 26
MIN_NAME = 12


def render(lines: Sequence[FleetLine]) -> str:
    """Give the table as plain text of 80 columns."""
    out = io.StringIO()
    print_fleet(lines, out, width=WIDTH, color=False)
    return out.getvalue()


def print_fleet(lines: Sequence[FleetLine], file: IO[str], *, width: int | None = None, color: bool = True) -> None:
    """Print the table to a terminal or file, with a line that counts how the models went."""
    console = Console(file=file, width=width, no_color=not color, highlight=False, soft_wrap=False, emoji=False)
    common = _common_folder([line.path for line in lines])
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for name in ("model", "coverage", "alpha", "struct.", "noise", "phases", "exit"):
        table.add_column(name, justify="left" if name in ("model", "phases") else "right", no_wrap=True)
    phases = [_phases(line.report) if line.report is not None else "" for line in lines]
    names = max(MIN_NAME, console.width - FIXED_WIDTH - max(len("phases"), *map(len, phases)))
    for line, told in zip(lines, phases):
        cell = Text(word(line.path.removeprefix(common), names))
        table.add_row(
            cell, *_numbers(line.report), Text(plain(told)), Text(str(line.code)), style="red" if line.code else ""
        )
    console.print(Text(_counted(lines), style="bold"), overflow="fold")
    if common:
        console.print(Text(f"in {plain(common)}"), overflow="fold")
    console.print()
    console.print(table)


def _numbers(report: Report | None) -> list[Text]:
    """Give coverage, mean alpha and the counts of the trained verdicts."""
    if report is None:
        return [Text("-") for _ in range(4)]
    coverage, alpha = report.coverage, report.summary.alpha_mean
    verdicts = Counter(layer.trained["verdict"] for layer in report.layers if layer.trained)
    return [
        Text(f"{coverage.slots_analyzed}/{coverage.slots}"),
        Text("-" if alpha is None else f"{alpha:.2f}"),
        Text(str(verdicts["structured"]) if verdicts else "-"),
        Text(str(verdicts["noise"]) if verdicts else "-", style="yellow" if verdicts["noise"] else ""),
    ]


def _phases(report: Report) -> str:
    """Give the phases with their counts, most frequent first, as far as there is room."""
    counts = sorted(report.summary.phases.items(), key=lambda item: (-item[1], item[0]))
    shown = [word(f"{phase} {count}", PHASES_WIDTH) for phase, count in counts]
    for kept in range(len(shown), 0, -1):
        rest = sum(count for _, count in counts[kept:])
        text = ", ".join([*shown[:kept], *([f"+{rest}"] if rest else [])])
        if len(text) <= PHASES_WIDTH or kept == 1:
            return text
    return ""


def _counted(lines: Sequence[FleetLine]) -> str:
    """Say how many models went how."""
    words = Counter(line.word for line in lines)
    return f"{len(lines)} models: " + ", ".join(f"{count} {word}" for word, count in words.most_common())


def _common_folder(paths: Sequence[str]) -> str:
    """Give the folder that all models are in, with a separator at its end; empty where there is none."""
    folders = {os.path.split(path)[0] for path in paths}
    if "" in folders:
        return ""
    try:
        common = os.path.commonpath(folders)
    except ValueError:
        return ""
    return common.rstrip(os.sep) + os.sep if common and all(p.startswith(common + os.sep) for p in paths) else ""
