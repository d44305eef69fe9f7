"""A series as plain text of 80 columns: one block for each set of models, one line a metric."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from onnxspec.report._plain import plain, shortened
from onnxspec.report.series_words import by_set, chance, heading, missing, short, too_small
from onnxspec.results.series import Relation, Series

__all__ = ["render"]

WIDTH = 80
NAME = 24
HEADER = f"{'metric':<{NAME}}   tau         95 %      p    rho    R2   RMSE    LOO"
MOST_NOTES = 20
MOST_EVIDENCE = 2


def render(series: Series) -> str:
    """Give the series as plain text."""
    return "\n".join(_lines(series)) + "\n"


def _lines(series: Series) -> Iterator[str]:
    groups = series.groups
    usable = sum(member.problem is None for member in series.members)
    title = f"{usable} of {len(series.members)} models" if usable < len(series.members) else f"{usable} models"
    if groups:
        title += f" in {len(groups)} {'group' if len(groups) == 1 else 'groups'} (column {series.by})"
    yield from _wrapped(f"{series.source + ': ' if series.source else ''}{title}, metrics against accuracy")
    for group, relations in by_set(series):
        yield ""
        yield shortened(plain(heading(series, group)), WIDTH)
        yield from _block(relations)
    if any(relation.as_expected is False for relation in series.relations):
        yield ""
        yield "x: the sign is against the theory's, that a smaller value goes with a"
        yield "   better accuracy"
    yield from _paradoxes(series)
    notes = [note for note in (chance(series), *series.notes) if note]
    notes += [member.problem for member in series.members if member.problem is not None]
    notes += [f"{member.label}: {'; '.join(member.notes)}" for member in series.members if member.notes]
    if notes:
        yield ""
    for note in notes[:MOST_NOTES]:
        yield from _wrapped(f"- {note}", indent="  ")
    if len(notes) > MOST_NOTES:
        yield f"- and {len(notes) - MOST_NOTES} more notes; -f json lists them all"


def _block(relations: list[Relation]) -> Iterator[str]:
    """Give the lines of one set of models."""
    told = too_small(relations)
    if told:
        yield told
    shown = [relation for relation in relations if relation.kendall_tau.value is not None]
    if shown:
        yield HEADER
        yield from (_line(relation) for relation in shown)
    for note in missing(relations):
        yield from _wrapped(f"no number: {note}", indent="  ")


def _line(relation: Relation) -> str:
    tau, rho = relation.kendall_tau, relation.spearman
    interval = "-" if tau.interval is None else f"{tau.interval[0]:.2f}..{tau.interval[1]:.2f}"
    cells = (
        f"{shortened(plain(relation.metric), NAME):<{NAME}}",
        f"{tau.value:+.2f}",
        f"{interval:>12}",
        f"{'-' if tau.p_value is None else format(tau.p_value, '.4f'):>6}",
        f"{'-' if rho.value is None else format(rho.value, '+.2f'):>5}",
        f"{'-' if relation.r2.value is None else format(relation.r2.value, '.3f'):>5}",
        f"{short(relation.rmse.value):>6}",
        f"{short(relation.loo_rmse):>6}",
    )
    return " ".join(cells) + (" x" if relation.as_expected is False else "")


def _paradoxes(series: Series) -> Iterator[str]:
    """Set what holds within groups beside what holds over all and between them, and say where signs differ."""
    if not series.paradoxes:
        return
    yield ""
    yield shortened(plain(f"Within and between groups (column {series.by})"), WIDTH)
    yield f"{'metric':<{NAME}} within      p   all between"
    for paradox in series.paradoxes:
        if paradox.stratified_tau is None:
            continue
        cells = (paradox.stratified_tau, paradox.pooled_tau, paradox.between_tau)
        within, total, between = ("-" if value is None else f"{value:+.2f}" for value in cells)
        p = "-" if paradox.stratified_p is None else f"{paradox.stratified_p:.4f}"
        flag = " S" if paradox.flagged else ""
        yield f"{shortened(plain(paradox.metric), NAME):<{NAME}} {within:>6} {p:>6} {total:>5} {between:>7}{flag}"
    flagged = [paradox for paradox in series.paradoxes if paradox.flagged]
    threshold = series.paradoxes[0].threshold
    yield ""
    if not flagged:
        yield from _wrapped(
            f"Simpson's paradox: no metric whose sign differs between all models and a group, or between two "
            f"groups, with |tau| > {threshold:g} on both sides"
        )
        return
    yield "S: Simpson's paradox, the sign of tau depends on which models are compared"
    for paradox in flagged:
        shown = [*paradox.evidence[:MOST_EVIDENCE]]
        more = len(paradox.evidence) - len(shown)
        told = "; ".join(shown) + (f"; and {more} more pairs" if more else "")
        yield from _wrapped(f"- {paradox.metric}: {told}", indent="  ")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrap(plain(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False)
