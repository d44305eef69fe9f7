"""The numerical choices of one analysis, their canonical form and hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from onnxspec.errors import UsageError

__all__ = ["ROLES", "Compat", "ConvMode", "Effort", "KSMode", "Settings"]

Effort = Literal["fast", "standard", "full"]
ConvMode = Literal["pooled", "slices", "unfold"]
KSMode = Literal["grid", "two_sided", "seed2018"]
Compat = Literal["weightwatcher"]

ROLES = (
    "dense",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "embedding",
    "attention_qkv",
    "recurrent_input",
    "recurrent_hidden",
    "fixed_basis",
    "position_table",
    "mask",
    "selection",
    "grid",
)
"""Roles that a layer may be given; the last five say that it is no weight."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "effort": get_args(Effort),
    "conv": get_args(ConvMode),
    "ks": get_args(KSMode),
}


@dataclass(frozen=True)
class Settings:
    """Every choice that changes a number of the report.

    What only changes how the numbers are computed (jobs, limits, progress) is
    not part of it, so two runs with equal settings give equal results.

    Attributes
    ----------
    effort : {"fast", "standard", "full"}
        Which computations are made.
    conv : {"pooled", "slices", "unfold"}
        Which matrices of a convolution give its ESD, alpha and norms.
    ks : {"grid", "two_sided", "seed2018"}
        Form of the Kolmogorov-Smirnov distance in the choice of xmin.
    min_evals : int
        Fewest eigenvalues for a power-law fit; below, the reason is ``too_small``.
    min_tail : int or None
        Fewest eigenvalues in a tail; ``None`` is ``max(10, 0.02 * eigenvalues)``.
    exact : bool
        Singular values by SVD instead of the eigenvalues of the Gram matrix.
    stochastic_above : int or None
        Matrices whose shorter side is longer are not solved: their norms and largest
        eigenvalues are estimated from products with vectors. ``None``: none is.
    spectra : bool
        Keep all eigenvalues in the report.
    cross_check : bool
        Fit every tail with the `powerlaw` package too.
    gates : bool
        One matrix for each gate of LSTM and GRU, rather than one a direction.
    include : tuple of str
        Globs on id, name, tensor or slot: layers all the same, even where their
        values look like a fixed basis, a mask or a table.
    exclude : tuple of str
        Globs: left out with the reason ``excluded``; stronger than `include`.
    roles : tuple of (str, str), or a mapping
        Globs, and the role (one of `ROLES`) that their layers are to have.
    """

    effort: Effort = "standard"
    conv: ConvMode = "pooled"
    ks: KSMode = "grid"
    min_evals: int = 50
    min_tail: int | None = None
    exact: bool = False
    stochastic_above: int | None = None
    spectra: bool = False
    cross_check: bool = False
    gates: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        pairs: Iterable[tuple[str, str]] = self.roles.items() if isinstance(self.roles, Mapping) else self.roles
        object.__setattr__(self, "roles", tuple((glob, role) for glob, role in pairs))
        for glob, role in self.roles:
            if role not in ROLES:
                raise UsageError(f"the role of {glob!r} is {role!r}; it must be one of {', '.join(ROLES)}.")
        for name in ("include", "exclude"):
            globs = getattr(self, name)
            object.__setattr__(self, name, (globs,) if isinstance(globs, str) else tuple(globs))
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
        if self.min_evals < 2:
            raise UsageError(f"min_evals is {self.min_evals}; it must be at least 2.")
        if self.stochastic_above is not None and self.stochastic_above < 1:
            raise UsageError(f"stochastic_above is {self.stochastic_above}; it must be at least 1.")
        if self.min_tail is not None and self.min_tail < 2:
            raise UsageError(f"min_tail is {self.min_tail}; it must be at least 2.")

    def canonical(self) -> dict[str, object]:
        """Give the settings as a plain dictionary in a fixed order."""
        found = asdict(self)
        for name in ("include", "exclude"):
            found[name] = list(found[name])
        found["roles"] = [list(pair) for pair in found["roles"]]
        return found

    def digest(self) -> str:
        """Give the SHA-256 of the canonical form, in hexadecimal."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def tail_floor(self, num_evals: int) -> int:
        """Give the fewest eigenvalues that a tail may have among `num_evals`."""
        if self.min_tail is not None:
            return self.min_tail
        return max(10, -(-num_evals // 50))
