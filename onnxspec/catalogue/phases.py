"""Phases of training, and verdicts."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_phase = partial(
    Entry,
    kind="phase",
    group="Phases",
    source="arXiv 1810.01075, section 4; Mahoney and Martin, slides, Simons Institute (2018)",
)
_trained = partial(Entry, kind="verdict", group="trained.verdict")
_law = partial(Entry, kind="verdict", group="power_law.verdict", source="Clauset et al. (2009), sections 4 and 5")

ENTRIES = (
    _phase(
        name="random_like",
        title="looks like noise",
        what="The whole spectrum follows the Marchenko-Pastur law; no eigenvalue lies beyond its edge.",
        how_to_read="Typical of fresh weights, of very large batches, and of layers that hardly learned.",
        not_meaning="A weak signal below the threshold leaves no trace here; trained looks at more than the spectrum.",
    ),
    _phase(
        name="bleeding_out",
        title="first eigenvalues leave the bulk",
        what="A good bulk, and a few eigenvalues just beyond its edge (lambda_max below 1.3 lambda_plus).",
        how_to_read="The layer has begun to learn.",
    ),
    _phase(
        name="bulk_spikes",
        title="bulk and spikes",
        what="A good bulk, and a few eigenvalues (up to 10 %) that stand clear of it.",
        how_to_read="Low-rank signal plus noise: typical of small, older networks.",
        not_meaning="Such spectra also give alpha between 2 and 4; they are not heavy-tailed for that.",
    ),
    _phase(
        name="bulk_decay",
        title="the edge of the bulk dissolves",
        what="Many eigenvalues lie beyond the edge and it is no longer sharp, but no power law describes the tail well "
        "enough.",
        how_to_read="Between bulk_spikes and heavy_tailed.",
    ),
    _phase(
        name="heavy_tailed",
        title="heavy tail",
        what="No bulk of noise explains the spectrum; a power law with alpha of at most 5 describes much of it.",
        how_to_read="Strong correlations at every scale, as most layers of large modern networks have.",
        not_meaning="Not by itself a good model: diverged training and noise in the labels look like this too.",
    ),
    _phase(
        name="rank_collapse",
        title="part of the spectrum is gone",
        what="At least 5 % of the eigenvalues have fallen to zero, or far below the rest.",
        how_to_read="Too much regularisation, pruned or duplicated channels, or merged low-rank factors.",
    ),
    _phase(
        name="isometric",
        title="all singular values equal",
        what="The layer only rotates. An orthogonal initialisation looks like this.",
        how_to_read="The layer was probably not trained after an orthogonal initialisation.",
        source="none of the 5+1 phases; the flat spectrum has no law to be compared with",
    ),
    _phase(
        name="undecided",
        title="no phase",
        what="The layer is too small or has too little in it; phase_evidence.reason says which.",
        source=None,
    ),
    _trained(
        name="noise",
        title="not told from noise",
        what="Nothing in the arrangement of the entries is unlikely for exchangeable random numbers.",
        how_to_read="Either the layer was never trained, or training left less than a matrix of this size can show.",
        not_meaning="It does not say untrained.",
    ),
    _trained(
        name="structured",
        title="more than noise",
        what="The corrected p-value is below 0.01: the entries are not where chance would put them.",
        not_meaning="It does not say well trained: learning random labels makes structure as well.",
    ),
    _trained(
        name="isometric",
        title="all singular values equal",
        what="As the phase isometric: most likely an orthogonal initialisation.",
    ),
    _law(
        name="supported",
        title="power law supported",
        what="The goodness-of-fit p is above 0.1, the tail has 50 eigenvalues and 0.7 decades, and the exponential "
        "is not significantly better.",
    ),
    _law(
        name="weak",
        title="power law not rejected",
        what="The p-value does not reject it, but another condition, named in unmet, does not hold.",
        how_to_read="alpha says how heavy the tail is, not that there is a power law.",
    ),
    _law(
        name="rejected",
        title="power law rejected",
        what="The goodness-of-fit p is at most 0.1.",
        how_to_read="alpha is the exponent of a law that the tail does not follow; a bulk with spikes does that.",
    ),
)
