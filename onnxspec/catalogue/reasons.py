"""Why a number, a fit or a layer is missing."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_fit = partial(Entry, kind="reason", group="No fit, no phase or no verdict")
_number = partial(Entry, kind="reason", group="No such number")
_choice = partial(Entry, kind="reason", group="Left out by choice or by a limit")
_slot = partial(Entry, kind="reason", group="No weight")
_part = partial(Entry, kind="reason", group="Part of the trained verdict")

ENTRIES = (
    _fit(
        name="too_small",
        title="too few eigenvalues or values",
        what="Fits, phases and comparisons need a minimum: 50 eigenvalues for a fit and a phase, 10 for a bulk, 10 in "
        "the tail for other laws, 10 columns for the trained verdict.",
        how_to_read="Norms are valid. --min-evals lowers the limit of the fit, at the price of an alpha that random "
        "weights have as well.",
    ),
    _fit(
        name="zero_matrix",
        title="nothing but zeros",
        what="All weights are zero at their precision, so there are no eigenvalues to look at.",
    ),
    _fit(
        name="rank_one",
        title="one direction only",
        what="Only one singular value is above the rank tolerance, as in a constant matrix.",
        how_to_read="Norms are valid; entropy is 0 and the stable rank 1.",
    ),
    _fit(
        name="flat_spectrum",
        title="all eigenvalues equal",
        what="There is no tail and no bulk to fit. An orthogonal initialisation looks like this.",
    ),
    _fit(
        name="no_tail",
        title="no start for a tail",
        what="No candidate for xmin leaves enough eigenvalues above it (min_tail), for example where nearly all are "
        "equal.",
    ),
    _fit(
        name="non_finite",
        title="NaN or infinity among the weights",
        what="The layer failed; nothing is computed from it and it enters no mean.",
        how_to_read="Look at the training or the export: a NaN in a weight makes every output NaN.",
    ),
    _fit(
        name="depthwise",
        title="depthwise convolution",
        what="One filter for each channel is no matrix between channels, so its eigenvalues mean nothing of the kind.",
        how_to_read="Norms only, by design.",
    ),
    _fit(
        name="slices",
        title="fitted by kernel position",
        what="With conv = slices alpha is the mean over positions; the layer as a whole has no single xmin, D or tail.",
        how_to_read="The list slices has those of each position.",
    ),
    _fit(
        name="several_matrices",
        title="more than one matrix",
        what="The layer holds several independent matrices (groups, directions, experts), and bulk, trained and phase "
        "are about one.",
    ),
    _fit(
        name="bulk_failed",
        title="no bulk found",
        what="More than half of the eigenvalues would be spikes, so there is nothing that noise could explain.",
        how_to_read="Usual for heavy-tailed and collapsed layers; the phase says which.",
    ),
    _fit(
        name="range_too_wide",
        title="tail over too many decades",
        what="The tail spans so many decades that the likelihoods of the other laws cannot be computed.",
    ),
    _fit(
        name="bootstrap_failed",
        title="no interval",
        what="More than half of the resamples had no fit.",
    ),
    _fit(
        name="numerical_failure",
        title="the eigenvalue solver gave up",
        what="LAPACK did not converge. The layer failed.",
        how_to_read="Try --exact, and report the model if you can.",
    ),
    _number(
        name="no_fit",
        title="needs alpha",
        what="The number is made from alpha, and the layer has none; the layer's reason says why.",
    ),
    _number(
        name="near_singular",
        title="division by nearly zero",
        what="log_stable_rank divides by log10 lambda_max, which is within 0.05 of zero.",
    ),
    _number(
        name="below_tolerance",
        title="nothing above the rank tolerance",
        what="All singular values are rounding errors, so entropy and log_det have nothing to sum over.",
    ),
    _number(name="overflow", title="too large", what="The number is beyond 1e308. Its logarithm is valid."),
    _number(name="underflow", title="too close to zero", what="The number is below 5e-324; its logarithm is valid."),
    _number(
        name="effort",
        title="left out by the effort",
        what="The chosen effort does not compute it.",
        how_to_read="--effort standard or --effort full.",
    ),
    _number(
        name="continuous",
        title="no grid of few levels",
        what="The values hardly repeat, so nobody rounded them to eight bits or fewer.",
    ),
    _number(
        name="quantized",
        title="stored as codes",
        what="The weight is stored in few bits; quantization says how.",
    ),
    _number(
        name="not_asked",
        title="not asked for",
        what="It is computed only on request.",
        how_to_read="--cross-check asks the powerlaw package for a second opinion.",
    ),
    _number(
        name="not_installed",
        title="package missing",
        what="The cross-check needs the package powerlaw, which cannot be imported.",
    ),
    _number(
        name="unknown",
        title="no reason recorded",
        what="Something is missing and the program did not note why. This is a bug; please report it.",
    ),
    _choice(
        name="not_computed",
        title="inspect computes no numbers",
        what="The weight can be read, but no numerics were asked for.",
        how_to_read="Run onnxspec analyze.",
    ),
    _choice(name="not_selected", title="left out by --layer", what="The layer does not match the globs of --layer."),
    _choice(
        name="excluded",
        title="left out by --exclude",
        what="A pattern of --exclude fits the layer; it is stronger than --include.",
    ),
    _choice(
        name="stochastic",
        title="estimated, not solved",
        what="The matrix is larger than stochastic_above, so only norms and its largest eigenvalues were estimated. "
        "alpha needs the eigenvalues below them, since any of them may be xmin.",
        how_to_read="The layer enters no average. estimate says how far its numbers are certain; leave out "
        "--stochastic-above for the rest.",
    ),
    _choice(
        name="too_large",
        title="too large for the vectors",
        what="Singular vectors of a matrix of this size would take too long.",
    ),
    _choice(
        name="time_limit",
        title="no time left",
        what="The layer would have passed the timeout by the estimate made before it starts.",
        how_to_read="Raise --timeout, or select layers with --layer.",
    ),
    _choice(
        name="memory_limit",
        title="too large for the memory limit",
        what="The working memory of the layer would exceed the limit.",
    ),
    _choice(
        name="worker_lost",
        title="the worker ended without a result",
        what="The process or machine that had the layer died, each time that it was tried, or the pool broke.",
        how_to_read="Mostly it ran out of memory. Run the layer alone with --layer, or with fewer workers.",
    ),
    _choice(
        name="over_limit",
        title="over a limit on constant folding",
        what="The weight is computed in the graph from other constants, and an intermediate result would be too large, "
        "or the steps to it too many.",
        how_to_read="A weight that exporters write never comes near it; a hostile file does.",
    ),
    _slot(
        name="not_a_weight",
        title="no matrix to multiply with",
        what="A large constant that its operator adds, compares or moves: a bias, mask or position table.",
    ),
    _slot(
        name="index_table",
        title="table of integers",
        what="A constant of integers, such as indices; no weights.",
    ),
    _slot(
        name="constant_of_shape",
        title="filled with one number",
        what="ConstantOfShape makes the constant, so all its elements are equal and nothing was learned.",
    ),
    _slot(
        name="unsupported_op",
        title="operator without support",
        what="The operator is fed a constant that may be a weight, and onnxspec does not know how it uses it.",
        how_to_read="Coverage is incomplete. unsupported_ops lists the operators; please report them.",
    ),
    _slot(
        name="vector",
        title="one axis only",
        what="A bias, a scale of a normalisation, or another constant with fewer than two axes longer than 1.",
    ),
    _slot(name="small_constant", title="fewer than 64 elements", what="Too small to hold a weight worth analysing."),
    _slot(
        name="quantization_parameters",
        title="scale or zero point",
        what="The tensor says how codes are turned into weights. It is used, but is no weight itself.",
    ),
    _slot(
        name="structural",
        title="shape, axis or index",
        what="The tensor tells a Reshape, Slice, Gather or the like what to do.",
    ),
    _slot(
        name="semi_dynamic",
        title="size known only at run time",
        what="The operator stretches or cuts the constant by sizes that only a run knows.",
    ),
    _slot(
        name="mask",
        title="mask",
        what="Two values only, as in attention masks, or zeros and ones on two sides of a diagonal.",
    ),
    _slot(
        name="grid",
        title="grid or range",
        what="Evenly spaced numbers, such as the anchor points of a detector.",
    ),
    _slot(
        name="selection",
        title="identity or permutation",
        what="Each row holds one entry: the matrix picks or reorders values and was not trained.",
    ),
    _slot(
        name="fixed_basis",
        title="fixed transform",
        what="Rows are sinusoids or filter banks, as in spectrogram layers. Nobody trained them.",
        how_to_read="--include analyses the layer all the same, if it was trained from there.",
    ),
    _slot(
        name="position_table",
        title="sinusoidal positions",
        what="Rows are sinusoids of geometrically spaced frequencies, the fixed position table of transformers.",
    ),
    _slot(name="unused", title="used by nothing", what="No node of the graph reads the tensor."),
    _part(
        name="flat_entries",
        title="entries of one size",
        what="All entries have the same magnitude, so their norms cannot differ.",
    ),
    _part(
        name="heavy_tails",
        title="entries with heavy tails",
        what="The null law of this part does not hold for entries with such large outliers.",
    ),
    _part(
        name="decided",
        title="decided already",
        what="The other parts leave no doubt, so the eigenvalues for this one were not computed.",
    ),
)
