"""``onnxspec check``: accept or refuse models by a policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxspec.cli.exit_codes import ExitCode, worst
from onnxspec.errors import InputError, UsageError

if TYPE_CHECKING:
    import datetime

    from onnxspec.cli.output import Target
    from onnxspec.limits import Limits
    from onnxspec.policy import Policy
    from onnxspec.results import Report
    from onnxspec.results.findings import Judgement
    from onnxspec.settings import Settings

__all__ = ["check", "init_policy", "is_report"]

CODES = {
    "passed": ExitCode.OK,
    "failed": ExitCode.FAILED,
    "inconclusive": ExitCode.INCOMPLETE,
    "rejected": ExitCode.REJECTED,
}
ENDINGS = {".json": "json", ".sarif": "sarif", ".xml": "junit", ".md": "markdown"}
STDIN = "-"


@dataclass(frozen=True)
class Way:
    """How models become reports."""

    settings: Settings
    limits: Limits
    memory: int
    cpu: int
    jobs: int | None
    timeout: float | None
    isolate: bool
    quiet: bool


def check(
    inputs: Annotated[
        list[str], typer.Argument(metavar="MODEL|REPORT.json...", help="Models, folders, globs, or saved reports.")
    ],
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="Policy in TOML.", envvar="ONNXSPEC_POLICY")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="lenient, standard or strict (default: standard).", envvar="ONNXSPEC_PROFILE"
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="table, json, sarif, junit, github, markdown or cyclonedx (default: table).",
        ),
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="REPORT.json", help="Only what is new or worse than in this report fails.")
    ] = None,
    today: Annotated[
        str | None, typer.Option(metavar="DATE", help="Day on which waivers must hold (default: the clock's).")
    ] = None,
    isolate: Annotated[
        bool, typer.Option("--isolate/--no-isolate", help="Analyse models in a child process with limits.")
    ] = True,
    effort: Annotated[
        str | None,
        typer.Option(help="fast, standard or full (default: the policy's).", envvar="ONNXSPEC_EFFORT"),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Layers at the same time (default: the cores).", envvar="ONNXSPEC_JOBS", min=1)
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for one model.", min=0.0)] = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="Largest model file, such as 500M or 4G.", envvar="ONNXSPEC_MAX_BYTES")
    ] = None,
    max_memory: Annotated[str, typer.Option(help="Memory of the child process.")] = "8G",
    max_cpu: Annotated[int, typer.Option(help="Processor seconds of the child process.", min=1)] = 3600,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Accept or refuse ONNX models, or saved reports of them, by a policy.

    Ends with 0 where all passed, 1 where one failed, 3 where an input was rejected, and 4 where something
    that could fail was not looked at.
    """
    from dataclasses import replace

    from onnxspec.cli.analyze import bytes_of, limits_of
    from onnxspec.policy import load_policy
    from onnxspec.policy import profile as shipped
    from onnxspec.settings import Settings

    wanted = _targets(format_name, output or [])
    chosen = load_policy(policy, profile) if policy is not None else shipped(profile or "standard")
    memory = bytes_of(max_memory, "--max-memory")
    limits = limits_of(max_bytes)
    way = Way(
        settings=Settings(effort=effort or chosen.effort),  # type: ignore[arg-type]
        limits=replace(limits, matrix_bytes=min(limits.matrix_bytes, memory // 2)),
        memory=memory,
        cpu=max_cpu,
        jobs=jobs,
        timeout=timeout,
        isolate=isolate,
        quiet=quiet,
    )
    day = _date(today)
    before = None if baseline is None else _reports(baseline)
    judgements = [_judged(path, found, chosen, day, before) for path, found in _found(inputs, way)]
    _write(judgements, wanted)
    raise typer.Exit(worst(CODES[judgement.verdict] for judgement in judgements))


def init_policy(
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE instead of standard output.")
    ] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help="lenient, standard or strict.")] = "standard",
) -> None:
    """Write a policy with a comment on every key, to start from."""
    from onnxspec.cli.output import write_text
    from onnxspec.policy import template

    if output is not None and Path(output).exists():
        raise UsageError(f"{output}: exists already; delete it first, or choose another name.")
    write_text(template(profile), output)


def _found(inputs: Sequence[str], way: Way) -> Iterator[tuple[str, Report | InputError]]:
    """Give each input's report, or why there is none; one bad input costs only itself."""
    for argument in inputs:
        try:
            if is_report(argument):
                for report in _reports(argument):
                    yield report.model.path, report
                continue
        except InputError as error:
            yield argument, error
            continue
        from onnxspec.cli.inputs import expand

        for path in expand([argument]):
            if isinstance(path, InputError):
                yield argument, path
                continue
            try:
                yield path, _analysed(path, way)
            except InputError as error:
                yield path, error


def is_report(path: str) -> bool:
    """Say whether a file is a saved report: no model begins like JSON."""
    if path == STDIN:
        return False
    if path.endswith(".json"):
        return True
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return file.read(64).lstrip()[:1] in (b"{", b"[")
    except (OSError, ValueError):
        return False


def _reports(path: str) -> list[Report]:
    from onnxspec.cli.saved import load_reports

    return load_reports(path)


def _analysed(path: str, way: Way) -> Report:
    """Analyse one model, in a child process if asked to."""
    if way.isolate:
        from onnxspec.cli.isolation import Bounds, analyze_isolated

        bounds = Bounds(memory=way.memory, cpu=way.cpu)
        return analyze_isolated(path, way.settings, way.limits, bounds, jobs=way.jobs, timeout=way.timeout)
    from onnxspec import engine
    from onnxspec.cli.inputs import opened
    from onnxspec.cli.output import progress_bar
    from onnxspec.cli.saved import inert

    with progress_bar(path, quiet=way.quiet) as progress:
        job = engine.Job(jobs=way.jobs, timeout=way.timeout, limits=way.limits, progress=progress)
        report: Report = inert(engine.analyze(opened(path, way.limits), way.settings, job=job))
        return report


def _judged(
    path: str, found: Report | InputError, policy: Policy, day: datetime.date | None, before: Sequence[Report] | None
) -> Judgement:
    """Judge one input."""
    from onnxspec.policy import check as judge
    from onnxspec.policy import without_report

    if not isinstance(found, InputError):
        from onnxspec.cli.saved import READ, SENSELESS, senseless

        try:
            return judge(found, policy, today=day, baseline=_baseline(found, before))
        except SENSELESS as error:
            if not READ:
                raise
            found = senseless(path, error)
    from onnxspec.cli.isolation import EndedError
    from onnxspec.cli.output import note

    note(f"onnxspec: {found}")
    verdict = "inconclusive" if isinstance(found, EndedError) else "rejected"
    return without_report(path, policy, verdict, str(found))  # type: ignore[arg-type]


def _baseline(report: Report, before: Sequence[Report] | None) -> Report | None:
    """Choose the baseline of a report: the only one there is, or that of the same path."""
    if before is None or len(before) == 1:
        return before[0] if before else None
    return next((old for old in before if old.model.path == report.model.path), None)


def _date(text: str | None) -> datetime.date | None:
    import datetime

    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--today is {text[:40]!r}; give a date such as 2027-01-31.") from None


def _targets(format_name: str | None, outputs: Sequence[str]) -> list[Target]:
    """Read ``-f`` and ``-o`` as `onnxspec.cli.output.targets` does, for the formats of check."""
    from onnxspec.report.check_formats import CHECK_FORMATS, check_formatter

    found: list[Target] = []
    beside = True
    for output in outputs:
        name, equals, path = output.partition("=")
        if equals and name in CHECK_FORMATS:
            found.append((name, path))
        else:
            beside = False
            found.append((format_name or ENDINGS.get(Path(output).suffix.lower(), "table"), output))
    if not found or (format_name is not None and beside):
        found.insert(0, (format_name or "table", None))
    for name, _ in found:
        check_formatter(name)
    return found


def _write(judgements: Sequence[Judgement], wanted: Sequence[Target]) -> None:
    from onnxspec.cli.output import write_text
    from onnxspec.report.check_formats import check_formatter

    for name, path in wanted:
        write_text(check_formatter(name)(judgements), path)
