"""The command line: one module a command."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from onnxspec import __version__
from onnxspec.cli.commands import COMMANDS, Group, build
from onnxspec.cli.exit_codes import ExitCode, of_error
from onnxspec.errors import OnnxspecError

__all__ = ["app", "main"]

app = typer.Typer(
    name="onnxspec",
    cls=Group,
    help="Opens any ONNX file and says, from its weights alone, how well each layer was trained.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"onnxspec {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version
    from pathlib import Path

    from onnxspec.cli.config import defaults

    context.default_map = {**(context.default_map or {}), **defaults(_options, Path.cwd())}


def _options() -> dict[str, dict[str, str]]:
    """Give the options of every command by their names in a configuration file."""
    return {
        name: {option.lstrip("-").replace("-", "_"): p.name for p in build(name).params for option in p.opts}
        for name in COMMANDS
    }


def main() -> None:
    """Run the program: exceptions become one sentence and an exit code."""
    gc.set_threshold(200_000, 20, 20)  # a large graph is many small objects and no cycles to collect
    try:
        app()
    except OnnxspecError as error:
        _say(str(error))
        sys.exit(of_error(error))
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except Exception as error:
        _refuse_saved(error)
        if os.environ.get("ONNXSPEC_DEBUG"):
            raise
        _say(f"internal error: {type(error).__name__}: {error}. Set ONNXSPEC_DEBUG=1 for the details, and report it.")
        sys.exit(ExitCode.INTERNAL)
    finally:
        gc.freeze()  # the process ends: Python's last collections would go through all that was imported, for nothing


def _refuse_saved(error: Exception) -> None:
    """End with one sentence where a saved report was read that does not hold together."""
    saved = sys.modules.get("onnxspec.cli.saved")
    template = type(error).__name__ == "UndefinedError"  # jinja2's, of a value that a page needs and that is not there
    if saved is not None and saved.READ and (template or isinstance(error, saved.SENSELESS)):
        _say(str(saved.senseless(", ".join(saved.READ[-3:]), error)))
        sys.exit(ExitCode.REJECTED)


def _say(message: str) -> None:
    from onnxspec.cli.output import note

    note(f"onnxspec: {message}")
