"""A series as Markdown: models, one table for each set, Simpson's paradox, notes."""

from __future__ import annotations

from collections.abc import Iterator

from onnxspec.report.markdown import code
from onnxspec.report.series_words import by_set, chance, heading, missing, short, too_small, verdict
from onnxspec.results.series import Relation, Series, Statistic

__all__ = ["render"]

HEADER = "| metric | n | tau | 95 % | p | rho | p | r | p | R2 | RMSE | LOO | slope | sign |"
RULES = "|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|:--|"
MOST_MODELS = 200


def render(series: Series) -> str:
    """Give the series as GitHub-flavoured Markdown."""
    return "\n".join(_lines(series)) + "\n"


def _lines(series: Series) -> Iterator[str]:
    yield f"## Metrics against accuracy{f': {code(series.source)}' if series.source else ''}"
    for group, relations in by_set(series):
        yield ""
        yield f"### {code(heading(series, group))}"
        yield ""
        told = too_small(relations)
        if told:
            yield told + "."
            yield ""
        shown = [relation for relation in relations if relation.kendall_tau.value is not None]
        if shown:
            yield HEADER
            yield RULES
            yield from (_row(relation) for relation in shown)
        for note in missing(relations):
            yield ""
            yield f"No number: {code(note, 400)}"
    yield from _paradoxes(series)
    yield from _models(series)


def _row(relation: Relation) -> str:
    tau = relation.kendall_tau
    slope = relation.slope.value
    error = "" if relation.slope_stderr is None else f" ± {relation.slope_stderr:.3g}"
    cells = (
        code(relation.metric),
        str(relation.n),
        _value(tau),
        "-" if tau.interval is None else f"{tau.interval[0]:.2f} to {tau.interval[1]:.2f}",
        _p(tau),
        _value(relation.spearman),
        _p(relation.spearman),
        _value(relation.pearson),
        _p(relation.pearson),
        short(relation.r2.value),
        short(relation.rmse.value),
        short(relation.loo_rmse),
        "-" if slope is None else f"{slope:.4g}{error}",
        verdict(relation),
    )
    return f"| {' | '.join(cells)} |"


def _value(statistic: Statistic) -> str:
    return "-" if statistic.value is None else f"{statistic.value:+.3f}"


def _p(statistic: Statistic) -> str:
    return "-" if statistic.p_value is None else f"{statistic.p_value:.2g}"


def _paradoxes(series: Series) -> Iterator[str]:
    if not series.paradoxes:
        return
    yield ""
    yield f"### {code(f'Within and between groups (column {series.by})')}"
    yield ""
    yield "| metric | within groups | p | all models | between groups | Simpson's paradox |"
    yield "|:--|--:|--:|--:|--:|:--|"
    for paradox in series.paradoxes:
        values = (paradox.stratified_tau, paradox.stratified_p, paradox.pooled_tau, paradox.between_tau)
        within, p, total, between = values
        cells = (
            code(paradox.metric),
            *(
                "-" if value is None else text.format(value)
                for value, text in ((within, "{:+.3f}"), (p, "{:.2g}"), (total, "{:+.3f}"), (between, "{:+.3f}"))
            ),
            code("; ".join(paradox.evidence), 400) if paradox.flagged else "",
        )
        yield f"| {' | '.join(cells)} |"


def _models(series: Series) -> Iterator[str]:
    yield ""
    yield f"<details><summary>Models ({len(series.members)})</summary>"
    yield ""
    yield "| model | group | accuracy | note |"
    yield "|:--|:--|--:|:--|"
    for member in series.members[:MOST_MODELS]:
        note = member.problem or "; ".join(member.notes)
        accuracy = "-" if member.accuracy is None else f"{member.accuracy:g}"
        group = "" if member.group is None else code(member.group)
        yield f"| {code(member.label)} | {group} | {accuracy} | {code(note, 200) if note else ''} |"
    if len(series.members) > MOST_MODELS:
        yield ""
        yield f"{len(series.members) - MOST_MODELS} more models are in the JSON."
    yield ""
    yield "</details>"
    for caveat in (chance(series), *series.notes):
        if caveat:
            yield ""
            yield f"- {code(caveat, 400)}"
