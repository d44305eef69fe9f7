"""``onnxspec cache``: what is kept between runs, and how to be rid of it or to prepare it."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Annotated

import typer

from onnxspec.cli.exit_codes import ExitCode
from onnxspec.errors import UsageError

__all__ = ["cache"]

cache = typer.Typer(
    help="Results of layers (--store) and compiled kernels: what is kept, and how to clear or prepare it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Store = Annotated[
    str | None, typer.Option("--store", metavar="PATH", help="The store, as of analyze.", envvar="ONNXSPEC_STORE")
]
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@cache.command("info")
def info(store: Store = None) -> None:
    """Say what the store holds, and where compiled kernels are kept."""
    from onnxspec._jit import kernel_cache

    place = _configured(store)
    if place is None:
        _say("store: none is named; give --store, ONNXSPEC_STORE or 'store' in the configuration")
    else:
        _describe(place)
    import onnxspec.layers.analyze
    import onnxspec.layers.verdicts  # noqa: F401 - defines the kernels

    found = kernel_cache()
    _say(f"kernels: {found.files} compiled, {_size(found.bytes)}, {_writable(found.writable)}")
    for folder in found.folders or ("nowhere: they are compiled in each run",):
        _say(f"  {folder}")


@cache.command("clear")
def clear(
    store: Store = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only results not used for so long, such as 30d, 12h or 2w.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All results.")] = False,
) -> None:
    """Take results out of the store; say which with --older-than or --all."""
    from onnxspec.store import StoreError
    from onnxspec.store import clear as take_out

    if everything == (older_than is not None):
        raise UsageError("give --older-than AGE or --all.")
    place = _configured(store)
    if place is None:
        raise UsageError("no store is named; give --store.")
    try:
        gone = take_out(place, unused_seconds=None if older_than is None else _age(older_than))
    except StoreError as error:
        raise UsageError(f"{error}.") from None
    _say(f"{gone} results cleared")


@cache.command("warm")
def warm() -> None:
    """Compile all kernels into their cache, for images; ends with 4 where they cannot be kept."""
    from onnxspec.cli.output import note
    from onnxspec.engine.warm import warm as compile_all

    done = compile_all()
    _say(f"{done.used} kernels ready, {done.compiled} of them compiled now")
    for folder in done.cache.folders:
        _say(f"  {folder}")
    if (done.compiled and not done.cache.writable) or not done.cache.folders:
        note(
            "onnxspec: the kernels cannot be kept: no folder of the cache can be written. "
            "Set NUMBA_CACHE_DIR to one that can."
        )
        raise typer.Exit(ExitCode.INCOMPLETE)


def _describe(place: str) -> None:
    """Print what a store holds."""
    from onnxspec.store import StoreError, code_version, describe

    try:
        found = describe(place)
    except StoreError as error:
        raise UsageError(f"{error}.") from None
    _say(f"store: {found.path}, {_size(found.bytes)}, {_writable(found.writable)}")
    used = (
        "" if found.oldest is None or found.newest is None else f", used {_day(found.oldest)} to {_day(found.newest)}"
    )
    _say(f"  {found.layers} results{used}")
    for name, count in found.versions:
        here = " (this program)" if name == code_version() else ""
        _say(f"  version {name}: {count}{here}")


def _configured(store: str | None) -> str | None:
    """Give the store that is named, else the one that analyze would use."""
    from onnxspec.cli.config import value_of

    named = store if store is not None else value_of(Path.cwd(), "analyze", "store")
    if named is not None and not isinstance(named, str):
        raise UsageError("store in the configuration is no text.")
    return named


def _age(text: str) -> float:
    """Read an age."""
    unit = SECONDS.get(text[-1:], 0)
    try:
        number = float(text[:-1])
    except ValueError:
        number = -1.0
    if not unit or not 0.0 <= number < 1e6:
        raise UsageError(f"--older-than is {text!r}; give a number with s, m, h, d or w, such as 30d.")
    return number * unit


def _day(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return "an unknown day"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _writable(writable: bool) -> str:
    return "writable" if writable else "read-only"


def _say(line: str) -> None:
    sys.stdout.write("".join(c if c.isprintable() else "?" for c in line) + "\n")
