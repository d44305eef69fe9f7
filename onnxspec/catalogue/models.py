"""Numbers of the whole model: means over its layers, and coverage."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_count = partial(Entry, kind="metric", group="Summary", scale_or_shape="neither")
_shape = partial(Entry, kind="metric", group="Summary", scale_or_shape="shape")
_scale = partial(Entry, kind="metric", group="Summary", scale_or_shape="scale")
_mixed = partial(Entry, kind="metric", group="Summary", scale_or_shape="mixed")
_cover = partial(Entry, kind="metric", group="Coverage", scale_or_shape="neither")

_SERIES = (
    "Compare it between models of one architecture and one convention only; there a smaller value went with a better "
    "test accuracy in the published series."
)
_NATURE = "Martin, Peng and Mahoney, Nature Communications 12, 4122 (2021)"

ENTRIES = (
    _count(name="summary.layers", title="layers", what="Distinct weights found in the model.", formula="count"),
    _count(
        name="summary.layers_averaged",
        title="layers in the means",
        what="Analysed layers that enter the means. Embeddings and depthwise convolutions do not; not_averaged lists "
        "them and every layer without a result.",
        formula="count",
    ),
    _count(
        name="summary.layers_fitted",
        title="layers with an alpha",
        what="Layers of the means that have a power-law fit.",
        formula="count",
        how_to_read="The means of alpha rest on these alone.",
    ),
    _shape(
        name="alpha_mean",
        title="mean alpha",
        what="Plain mean of alpha over the layers that are averaged and have a fit.",
        formula="(1/n) sum alpha",
        how_to_read="Read it with alpha_iqr: one layer near 10 moves the mean by itself.",
        not_meaning="No measure of accuracy between models: in the published VGG series it rises with accuracy.",
        source=_NATURE,
    ),
    _shape(
        name="alpha_median",
        title="median alpha",
        what="Half of the layers have a smaller alpha. Outliers do not move it.",
        formula="median of alpha",
    ),
    _shape(
        name="alpha_iqr",
        title="middle half of alpha",
        what="First and third quartile of alpha over the layers.",
        formula="quartiles, linear interpolation",
    ),
    _shape(
        name="alpha_mean_by_parameters",
        title="mean alpha, large layers count more",
        what="Mean of alpha weighted by the number of parameters.",
        formula="sum parameters alpha / sum parameters",
    ),
    _mixed(
        name="alpha_weighted_mean",
        title="mean of alpha_weighted",
        what="WeightWatcher's model metric alpha_weighted.",
        formula="(1/n) sum alpha log10 sv_max^2",
        how_to_read=_SERIES,
        source=_NATURE,
    ),
    _mixed(
        name="alpha_hat_mean",
        title="mean of alpha_hat",
        what="As alpha_weighted_mean, with the 1/N in lambda_max.",
        formula="(1/n) sum alpha log10 lambda_max",
        how_to_read=_SERIES,
        source="arXiv 1901.08278",
    ),
    _mixed(
        name="alpha_hat_sum",
        title="sum of alpha_hat",
        what="The capacity metric as its first draft writes it: a sum, so it grows with depth.",
        formula="sum alpha log10 lambda_max",
        how_to_read=_SERIES,
        source="Martin and Mahoney, Universality and Capacity Metrics (draft), eqn 3",
    ),
    _scale(
        name="log_norm_mean",
        title="mean of log_norm",
        what="Average logarithm of the squared Frobenius norms: the log product norm over the number of layers.",
        formula="(1/n) sum log10 sum sv^2",
        how_to_read=_SERIES,
        not_meaning="Among networks of one depth its relation with accuracy can change its sign (arXiv 2106.00734).",
        source=_NATURE,
    ),
    _scale(
        name="log_spectral_norm_mean",
        title="mean of log_spectral_norm",
        what="Average logarithm of the squared spectral norms.",
        formula="(1/n) sum log10 sv_max^2",
        how_to_read=_SERIES,
        source=_NATURE,
    ),
    _mixed(
        name="log_alpha_norm_mean",
        title="mean of log_alpha_norm",
        what="Average logarithm of the alpha-norms.",
        formula="(1/n) sum log10 sum (sv^2)^alpha",
        how_to_read=_SERIES,
        source=_NATURE,
    ),
    _shape(
        name="stable_rank_mean",
        title="mean stable rank",
        what="Plain mean of stable_rank.",
        formula="(1/n) sum stable_rank",
        not_meaning="Wide layers dominate it.",
    ),
    _shape(
        name="entropy_mean",
        title="mean entropy",
        what="Plain mean of the matrix entropy.",
        formula="(1/n) sum entropy",
    ),
    _count(
        name="phases",
        title="layers by phase",
        what="How many analysed layers are in each phase.",
        formula="count by phase",
    ),
    _cover(
        name="coverage.slots",
        title="slots",
        what="Inputs of nodes that hold a weight of 64 elements or more.",
        formula="slots_analyzed + slots_skipped + slots_failed",
    ),
    _cover(
        name="coverage.slots_analyzed",
        title="slots with a result",
        what="Slots whose layer has norms; the fit may be missing for a reason.",
        formula="count",
    ),
    _cover(
        name="coverage.slots_skipped",
        title="slots left out",
        what="Slots that were deliberately not analysed; by_reason says why.",
        formula="count",
        how_to_read="Look at unsupported_op first: there weights were seen and not understood.",
    ),
    _cover(
        name="coverage.slots_failed",
        title="slots that failed",
        what="Slots whose values cannot be read or are not finite. They enter no mean.",
        formula="count",
    ),
    _cover(
        name="coverage.slots_small",
        title="small weights",
        what="Inputs of weights with fewer than 64 elements. They are analysed too, but are no slots.",
        formula="count",
    ),
    _cover(
        name="coverage.tensors",
        title="stored tensors",
        what="Stored constants of the file, in nested graphs and functions too.",
        formula="count",
    ),
    _cover(
        name="coverage.parameters_total",
        title="stored elements",
        what="Elements of all stored tensors: weights, biases, tables and scales.",
        formula="count",
    ),
    _cover(
        name="coverage.parameters_analyzed",
        title="analysed elements",
        what="Elements of the tensors that a layer with a result is made of.",
        formula="count",
        how_to_read="parameters_by_reason says what the rest are; vector is mostly biases.",
    ),
)
