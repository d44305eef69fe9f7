"""``onnxspec schema``: JSON Schemas of the files that onnxspec writes and reads."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxspec.errors import UsageError

__all__ = ["schema"]


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="report, comparison, series, track or policy.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE instead of standard output.")
    ] = None,
) -> None:
    """Print the JSON Schema (2020-12) of reports, comparisons, series, tracks or policies."""
    import json

    from onnxspec.cli.output import write_text
    from onnxspec.policy.schema import policy_schema
    from onnxspec.results.schema import comparison_schema, report_schema, series_schema, track_schema

    schemas = {
        "report": report_schema,
        "comparison": comparison_schema,
        "series": series_schema,
        "track": track_schema,
        "policy": policy_schema,
    }
    if name not in schemas:
        raise UsageError(f"there is no schema {name[:60]!r}; there is {', '.join(schemas)}.")
    write_text(json.dumps(schemas[name](), indent=1) + "\n", output)
