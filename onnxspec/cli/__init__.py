"""The command line: one module a command."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from onnxspec import __version__
from onnxspec.cli.analyze import analyze
from onnxspec.cli.check import check, init_policy
from onnxspec.cli.exit_codes import ExitCode, of_error
from onnxspec.cli.explain import explain
from onnxspec.cli.inspect import inspect
from onnxspec.cli.light import LightCommand
from onnxspec.cli.plot import plot
from onnxspec.cli.render import render
from onnxspec.cli.schema import schema
from onnxspec.cli.theory import theory
from onnxspec.errors import OnnxspecError

__all__ = ["app", "main"]

app = typer.Typer(
    name="onnxspec",
    help="Opens any ONNX file and says, from its weights alone, how well each layer was trained.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(analyze)
app.command()(inspect)
app.command(cls=LightCommand)(check)
app.command("init-policy", cls=LightCommand)(init_policy)
app.command()(render)
app.command()(explain)
app.command()(schema)
app.command()(plot)
app.add_typer(theory, name="theory")


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

    commands = getattr(context.command, "commands", {})
    options = {
        name: {option.lstrip("-").replace("-", "_"): p.name for p in command.params for option in p.opts}
        for name, command in commands.items()
    }
    context.default_map = {**(context.default_map or {}), **defaults(options, Path.cwd())}


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
        if os.environ.get("ONNXSPEC_DEBUG"):
            raise
        _say(f"internal error: {type(error).__name__}: {error}. Set ONNXSPEC_DEBUG=1 for the details, and report it.")
        sys.exit(ExitCode.INTERNAL)


def _say(message: str) -> None:
    from onnxspec.cli.output import note

    note(f"onnxspec: {message}")
