"""``onnxspec theory``: the seeds' theory figures as PNG and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["theory"]

theory = typer.Typer(
    help="Draw the figures of random-matrix theory: each writes STEM.png and STEM.csv.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Stem = Annotated[
    str | None, typer.Option("--output", "-o", metavar="STEM", help="Files to write, without ending (default: name).")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the random matrices.", min=0)]
Ks = Annotated[str, typer.Option(help="KS distance: grid, two_sided, seed2018 (as published).")]
EntryLaw = Annotated[
    list[str] | None,
    typer.Option("--entries", help="lomax (default, as published), sym (with random signs), pareto; repeatable."),
]


@theory.command("mp")
def mp(
    output: Stem = None,
    seed: Seed = 0,
    aspect: Annotated[
        list[float] | None, typer.Option("--Q", help="Aspect ratio N / M; repeatable (default: 1, 2, 3, 5).")
    ] = None,
    sigma: Annotated[
        list[float] | None,
        typer.Option("--sigma", help="Standard deviation of the entries; repeatable (default: 0.7, 1, 1.3)."),
    ] = None,
    size: Annotated[int, typer.Option("--M", help="Eigenvalues of each drawn matrix.", min=2, max=20000)] = 500,
) -> None:
    """Marchenko-Pastur laws for several Q (sigma = 1) and sigma (Q = 3), over Gaussian matrices."""
    from onnxspec import plots
    from onnxspec import theory as data

    curves = _checked(lambda: data.mp_curves(aspect or data.QS, sigma or data.SIGMAS, M=size, seed=seed))
    _write(output or "mp", data.mp_rows(curves), plots.mp(curves))


@theory.command("heavy-tailed")
def heavy_tailed(
    output: Stem = None,
    seed: Seed = 0,
    mu: Annotated[
        list[float] | None, typer.Option("--mu", help="Tail exponent of the entries; repeatable (default: 1, 3, 5).")
    ] = None,
    rows: Annotated[int, typer.Option("--N", help="Rows of W (published: 9000).", min=2, max=100000)] = 3000,
    columns: Annotated[int, typer.Option("--M", help="Columns of W (published: 3000).", min=2, max=20000)] = 1000,
    entries: Annotated[str, typer.Option(help="lomax (as published), sym (with random signs), pareto.")] = "lomax",
    ks: Ks = "seed2018",
) -> None:
    """Log-log ESDs of heavy-tailed matrices with their fitted tails."""
    from onnxspec import plots
    from onnxspec import theory as data

    options: dict[str, Any] = {"N": rows, "M": columns, "entries": entries, "ks": ks, "seed": seed}
    spectra = _checked(lambda: data.heavy_tailed_spectra(mu or data.MUS, **options))
    _write(output or "heavy-tailed", data.heavy_tailed_rows(spectra), plots.heavy_tailed(spectra))


@theory.command("alpha-mu")
def alpha_mu(
    output: Stem = None,
    seed: Seed = 0,
    entries: EntryLaw = None,
    columns: Annotated[int, typer.Option("--M", help="Columns of W (published: 1000).", min=2, max=20000)] = 300,
    aspect: Annotated[float, typer.Option("--Q", help="Aspect ratio N / M.", min=1.0)] = 2.0,
    low: Annotated[float, typer.Option("--mu-min", help="Smallest mu.")] = 0.5,
    high: Annotated[float, typer.Option("--mu-max", help="Largest mu.")] = 5.5,
    count: Annotated[int, typer.Option("--count", help="Number of mu, at equal steps.", min=1, max=10000)] = 25,
    draws: Annotated[int, typer.Option("--draws", help="Matrices for each mu.", min=1, max=1000)] = 1,
    ks: Ks = "seed2018",
) -> None:
    """Fitted alpha against the tail exponent mu of the entries."""
    import numpy as np

    from onnxspec import plots
    from onnxspec import theory as data

    mus = np.linspace(low, high, count).tolist()
    options: dict[str, Any] = {"M": columns, "Q": aspect, "draws": draws, "ks": ks, "seed": seed}
    laws: list[Any] = list(dict.fromkeys(entries or ["lomax"]))
    points = _checked(lambda: [p for law in laws for p in data.alpha_of_mu(mus, entries=law, **options)])
    _write(output or "alpha-mu", data.alpha_rows(points), plots.alpha_mu(points))


@theory.command("vsdl")
def vsdl(
    output: Stem = None,
    student: Annotated[str, typer.Option(help="What learns: ising, spherical, reversed_wedge.")] = "ising",
    temperature: Annotated[
        list[float] | None,
        typer.Option("--temperature", "-t", help="Of a learning curve; repeatable (default: 0, 0.2, 0.5, 1)."),
    ] = None,
    noise: Annotated[float, typer.Option(help="Share of wrong labels, below 0.5.")] = 0.0,
    width: Annotated[float, typer.Option(help="Half the width of the reversed wedge.")] = 1.0,
    highest_load: Annotated[float, typer.Option("--load-max", help="Largest load of curves and map.")] = 6.0,
    highest_temperature: Annotated[float, typer.Option("--temperature-max", help="Largest one of the map.")] = 2.0,
    points: Annotated[int, typer.Option(help="Loads; half as many temperatures.", min=2, max=1000)] = 121,
) -> None:
    """Phases of learning over load and temperature (the VSDL model), with its transitions."""
    from onnxspec import plots
    from onnxspec import theory as data

    options: dict[str, Any] = {"student": student, "noise": noise, "width": width, "points": points}
    options |= {"highest_load": highest_load, "highest_temperature": highest_temperature}
    found = _checked(lambda: data.vsdl_phases(temperature or data.TEMPERATURES, **options))
    _write(output or "vsdl", data.vsdl_rows(found), plots.vsdl(found))


def _checked(compute: Any) -> Any:
    """Turn a parameter that the laws refuse into a usage error."""
    try:
        return compute()
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from None


def _write(stem: str, rows: Sequence[dict[str, Any]], figure: Any) -> None:
    """Write the figure and its data, and say where."""
    import csv
    import io

    from onnxspec import plots
    from onnxspec.cli.output import note, write_text

    if not rows:
        raise UsageError("there is nothing to draw.")
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    plots.save(figure, f"{stem}.png")
    write_text(text.getvalue(), f"{stem}.csv")
    note(f"wrote {stem}.png and {stem}.csv")
