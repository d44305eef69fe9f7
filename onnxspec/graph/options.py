"""What a survey of a model is asked for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DEFAULT_OPTIONS", "SurveyOptions", "matches"]


@dataclass(frozen=True, slots=True)
class SurveyOptions:
    """Choices that change which matrices a survey gives.

    Attributes
    ----------
    gates : bool
        One matrix for each gate of LSTM and GRU, rather than one a direction.
    include : tuple of str
        Globs on names of layers, tensors and slots: weights all the same, whatever
        their values look like.
    exclude : tuple of str
        Globs: skipped with the reason ``excluded``.
    roles : tuple of (str, str)
        Globs with the role that the layers are to have.
    """

    gates: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()


DEFAULT_OPTIONS = SurveyOptions()


def matches(names: Iterable[str], pattern: str) -> bool:
    """Say whether a glob fits one of some names, or is one of them."""
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in names)
