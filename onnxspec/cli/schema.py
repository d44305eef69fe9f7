"""``onnxspec schema``: JSON Schemas of the files that onnxspec writes and reads."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxspec.errors import UsageError

__all__ = ["schema"]


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="report.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE instead of standard output.")
    ] = None,
) -> None:
    """Print the JSON Schema (2020-12) of the report."""
    import json

    from onnxspec._schema import report_schema
    from onnxspec.cli.output import write_text

    if name != "report":
        raise UsageError(f"there is no schema {name[:60]!r}; there is report.")
    write_text(json.dumps(report_schema(), indent=1) + "\n", output)
