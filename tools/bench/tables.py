"""The tables of docs/performance.md, from the results of tools/bench/run.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

BARS = {"fast": (1.15, 1.3), "standard": (1.6, 1.8)}
"""Factor on the floor, and seconds on top of it."""


def write_tables(results: dict[str, Any], page: Path) -> None:
    """Put the tables between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    for name, table in (
        ("machine", _machine(results)),
        ("models", _models(results)),
        ("weightwatcher", _weightwatcher(results)),
        ("diffract", _diffract(results)),
        ("slices", _slices(results)),
        ("fits", _fits(results)),
        ("memory", _memory(results)),
        ("scaling", _scaling(results)),
    ):
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(opening)
        text = before + opening + table + closing + rest.partition(closing)[2]
    page.write_text(text, encoding="utf-8")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out one table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _machine(results: dict[str, Any]) -> str:
    found = results.get("machine")
    if not found:
        return "Not measured yet.\n"
    versions = ", ".join(f"{name} {found[name]}" for name in ("python", "numpy", "scipy", "numba"))
    return f"{found['cores']} cores of {found['cpu']}, shared with other work; {versions}; {found['date']}.\n"


def _models(results: dict[str, Any]) -> str:
    rows = []
    for name, found in results["models"].items():
        floor = found["floor"]["cpu"]
        row = [name, f"{floor:.2f}"]
        for effort, (factor, seconds) in BARS.items():
            cpu, bar = found[effort]["cpu"], factor * floor + seconds
            row += [f"{cpu:.2f}", f"{bar:.2f}{'' if cpu <= bar else ' (missed)'}"]
        rows.append(
            [*row, f"{found['fast']['peak_mb']:.0f} / {found['standard']['peak_mb']:.0f}", f"{found['load']:.0f}"]
        )
    head = ("model", "floor, s", "fast, s", "bar", "standard, s", "bar", "peak MB, fast / standard", "load")
    return _table(head, rows) if rows else "Not measured yet.\n"


def _weightwatcher(results: dict[str, Any]) -> str:
    rows = []
    for name, found in results["models"].items():
        if "weightwatcher" not in found:
            continue
        peer, full = found["weightwatcher"], found.get("weightwatcher full")
        analysed = peer["analysed"]
        times = f"{peer['cpu'] / found['fast']['cpu']:.1f}" if analysed else ""
        row = [name, str(analysed), f"{peer['cpu']:.1f} ({peer['runs']})", times]
        row += (
            [f"{full['cpu']:.1f} ({full['runs']})", f"{full['cpu'] / found['standard']['cpu']:.1f}"]
            if full
            else ["", ""]
        )
        rows.append(row)
    head = (
        "model",
        "layers it analysed",
        "default, s (runs)",
        "over fast",
        "mp_fit + randomize, s (runs)",
        "over standard",
    )
    return _table(head, rows) if rows else "Not measured yet.\n"


def _diffract(results: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{peer['cpu']:.1f} ({peer['runs']})",
            f"{peer['cpu'] / found['fast']['cpu']:.1f}",
            f"{peer['peak_mb']:.0f}",
        ]
        for name, found in results["models"].items()
        if (peer := found.get("diffract-core"))
    ]
    head = ("model", "norms, ranks, power law, s (runs)", "over fast", "peak MB")
    return _table(head, rows) if rows else "Not measured yet.\n"


def _slices(results: dict[str, Any]) -> str:
    found = results.get("slices")
    if not found:
        return "Not measured yet.\n"
    both = {name: sorted(found[name])[len(found[name]) // 2] for name in ("onnxspec", "bare loop")}
    return (
        f"{both['onnxspec']:.2f} s against {both['bare loop']:.2f} s, median ratio {found['ratio']:.2f} "
        f"(bar 1.3; load {found['load']:.0f}); largest difference {found['difference']:.0e} of the largest value.\n"
    )


def _fits(results: dict[str, Any]) -> str:
    sizes = ("512", "1024", "4096")
    rows = [
        [tool, *(f"{1e3 * found[n][0]:.1f} (alpha {found[n][1]:.4f})" if n in found else "" for n in sizes)]
        for tool, found in sorted(results["fits"].items())
    ]
    return _table(("tool", *(f"n = {n}, ms" for n in sizes)), rows) if rows else "Not measured yet.\n"


def _memory(results: dict[str, Any]) -> str:
    rows = [
        [name, f"{found['peak_mb']:.0f}", found["bar"], f"{found['cpu']:.1f}"]
        for name, found in results.get("memory", {}).items()
    ]
    return _table(("model", "peak, MB", "bar", "CPU, s"), rows) if rows else "Not measured yet.\n"


def _scaling(results: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{seconds:.2f}" for seconds in found["wall"]), f"{found['ratio']:.2f}", f"{found['load']:.1f}"]
        for name, found in results.get("scaling", {}).items()
    ]
    head = ("model and effort", "one job, s", "two jobs, s", "ratio", "load before")
    return _table(head, rows) if rows else "Not measured yet.\n"
