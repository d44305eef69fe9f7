"""The commands of the program, each imported and built only when it is called.

The program's own help needs their names and one line each, and nothing else:
building the options of every command would cost more than half of `--help`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple, get_type_hints

import typer
from typer.core import TyperGroup
from typer.main import get_command

from onnxspec.cli.light import LightCommand, lighten

__all__ = ["COMMANDS", "Group", "Place", "build"]


class Place(NamedTuple):
    """Where a command is defined, and its line in the program's help."""

    module: str
    name: str
    help: str


COMMANDS: Mapping[str, Place] = MappingProxyType(
    {
        "analyze": Place("analyze", "analyze", "Spectra, fits and verdicts of every layer."),
        "inspect": Place("inspect", "inspect", "Weights, roles and coverage, without numerics."),
        "check": Place("check", "check", "Accept or refuse models, or saved reports, by a policy."),
        "init-policy": Place("check", "init_policy", "Write a policy to start from."),
        "compare": Place("compare", "compare", "What happened to each layer between two models."),
        "series": Place("series", "series", "Do capacity metrics rank models by accuracy?"),
        "track": Place("track", "track", "Layers over the checkpoints of a training."),
        "render": Place("render", "render", "Show saved reports in another format."),
        "explain": Place("explain", "explain", "What a metric, reason, phase or rule means."),
        "schema": Place("schema", "schema", "The JSON Schema of a kind of file."),
        "plot": Place("plot", "plot", "Draw spectra, fits, and alpha by depth."),
        "cache": Place("cache", "cache", "Kept results and compiled kernels: info, clear, warm."),
        "theory": Place("theory", "theory", "Redraw the figures of random-matrix theory."),
    }
)


def build(name: str) -> Any:
    """Import a command and build its options."""
    place = COMMANDS[name]
    found = getattr(import_module(f"onnxspec.cli.{place.module}"), place.name)
    if isinstance(found, typer.Typer):
        command = get_command(found)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        # typer evaluates annotations that are texts several times over, which shows with 35 options
        found.__annotations__ = get_type_hints(found, include_extras=True)
        alone.command(name=name, cls=LightCommand)(found)
        command = get_command(alone)
    command.name = name
    return command


class Group(TyperGroup):
    """A group whose commands are built when they are called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does, with light coercion."""
        lighten(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """Give the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Build one command."""
        return build(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the lines of the help without building a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])
