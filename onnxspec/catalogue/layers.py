"""Numbers of a layer that need no fit: sizes, norms, ranks, entropy."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_size = partial(Entry, kind="metric", group="Sizes", scale_or_shape="neither")
_scale = partial(Entry, kind="metric", group="Norms", scale_or_shape="scale")
_shape = partial(Entry, kind="metric", group="Ranks and entropy", scale_or_shape="shape")
_estimate = partial(Entry, kind="metric", group="Estimates of large layers", scale_or_shape="scale")

_NORM_CAVEAT = (
    "It is no quality by itself: norms follow depth, width and weight decay, and among networks of one depth their "
    "relation with accuracy can change its sign (Simpson's paradox)."
)
_NATURE = "arXiv 1901.08278; Martin, Peng and Mahoney, Nature Communications 12, 4122 (2021)"

ENTRIES = (
    _size(
        name="parameters",
        title="elements of the weight",
        what="How many numbers the weight tensor holds, after decoding where it is quantised.",
        formula="product of shape",
    ),
    _size(
        name="N",
        title="rows of W",
        what="The longer side of one matrix. W is transposed where needed, so that N >= M. For a convolution it is "
        "that of one kernel position.",
        formula="max(rows, columns)",
        source="Mahoney and Martin, slides, Simons Institute (2018): RMT",
    ),
    _size(
        name="M",
        title="columns of W",
        what="The shorter side of one matrix: the number of its eigenvalues.",
        formula="min(rows, columns)",
        how_to_read="Below 50 eigenvalues there is no power-law fit and no phase; both would say too little.",
    ),
    _size(
        name="Q",
        title="aspect ratio",
        what="How much longer than wide one matrix is.",
        formula="N / M",
        how_to_read="1 for a square matrix. What noise looks like depends on it, so compare with the fitted edges.",
        source="Mahoney and Martin, slides, Simons Institute (2018): RMT",
    ),
    _size(
        name="num_matrices",
        title="matrices in the layer",
        what="How many matrices the weight was cut into: one for each kernel position and group of a convolution, "
        "one otherwise. Their eigenvalues are taken together.",
        formula="groups * kernel positions",
    ),
    _size(
        name="num_evals",
        title="eigenvalues of the layer",
        what="Eigenvalues of all matrices of the layer together, zeros included.",
        formula="K = num_matrices * M",
    ),
    _size(
        name="denormals",
        title="weights too small for normal numbers",
        what="Weights that are not zero and smaller than the smallest normal number of float32.",
        formula="number of w with 0 < |w| < 2^-126",
        how_to_read="0 in a healthy layer. Weight decay without gradient makes them; they slow many processors down.",
    ),
    _size(
        name="levels",
        title="grid of the values",
        what="Whether a weight that is stored as floats takes few values only: count (most levels in one group), bits "
        "(that hold them), granularity (tensor, output, input or block: what has a grid of its own), block (values in "
        "one). Null with the reason continuous where values hardly repeat, as training leaves them.",
        formula="distinct values of a group <= 256, each at least twice on average, in a sample of 64 groups; zeros "
        "are not counted as repetitions; bits = ceil(log2(count))",
        how_to_read="Somebody rounded the weights and stored the result as floats: a model that was quantised and "
        "converted back, or one trained with fake quantisation.",
        not_meaning="Nothing is wrong with a rounded layer as such; but its small eigenvalues are those of the "
        "rounding error.",
    ),
    _size(
        name="depth",
        title="place in the network",
        what="How many weights lie before this one on the longest way through the graph.",
        formula="longest path to the layer, counted in nodes that hold weights",
        how_to_read="The axis of a plot of alpha over the network. The order in the file is not the depth.",
    ),
    _scale(
        name="sv_max",
        title="largest singular value",
        what="The most that the layer can stretch a vector.",
        formula="sv_1",
    ),
    _scale(
        name="sv_min",
        title="smallest singular value",
        what="The least that the layer stretches a vector of its M directions. At or below the rank tolerance it is "
        "rounding error.",
        formula="sv_K",
    ),
    _scale(
        name="lambda_max",
        title="largest eigenvalue",
        what="Largest eigenvalue of X = W^T W / N.",
        formula="sv_max^2 / N",
        how_to_read="Compare it with lambda_plus, the largest that noise of the same bulk would have.",
        not_meaning="WeightWatcher's lambda_max has no 1/N.",
        source="Martin and Mahoney, Universality and Capacity Metrics (draft), eqn 2",
    ),
    _scale(
        name="norm",
        title="squared Frobenius norm",
        what="Sum of all squared weights.",
        formula="sum sv^2",
        not_meaning=_NORM_CAVEAT,
        source=_NATURE,
    ),
    _scale(
        name="spectral_norm",
        title="squared spectral norm",
        what="The square of the largest singular value, as WeightWatcher has it.",
        formula="sv_max^2",
        not_meaning=_NORM_CAVEAT,
        source=_NATURE,
    ),
    _scale(
        name="log_norm",
        title="log of the squared Frobenius norm",
        what="Its mean over the layers is one of the published capacity metrics.",
        formula="log10 sum sv^2",
        how_to_read="Within a series of models of one architecture, a smaller mean went with a better test accuracy.",
        not_meaning=_NORM_CAVEAT,
        source=_NATURE,
    ),
    _scale(
        name="log_spectral_norm",
        title="log of the squared spectral norm",
        what="Its mean over the layers is one of the published capacity metrics.",
        formula="log10 sv_max^2",
        how_to_read="As log_norm. A jump of a decade between neighbouring layers is worth a look: compressed and "
        "distilled models have them.",
        not_meaning=_NORM_CAVEAT,
        source=_NATURE,
    ),
    _scale(
        name="trace",
        title="sum of the eigenvalues",
        what="The total variance of X, spread over its eigenvalues.",
        formula="sum lambda",
    ),
    _scale(
        name="log_det",
        title="log determinant",
        what="Sum of the natural logarithms of the eigenvalues above the rank tolerance.",
        formula="sum ln lambda over the R largest",
        not_meaning="It leaves out what is zero at the precision of the weights, so it exists for singular matrices.",
    ),
    _shape(
        name="rank",
        title="rank",
        what="Singular values above the rank tolerance, which follows from the precision of the stored weights, not "
        "from that of the computation.",
        formula="R = number of sv > tolerance",
        how_to_read="Compare with num_evals. docs/decisions/002 says how the tolerance is chosen.",
    ),
    _shape(
        name="rank_loss",
        title="missing rank",
        what="Directions that the layer does not use at all.",
        formula="K - R",
        how_to_read="Mostly 0. Large values come from pruned or duplicated channels, from "
        "low-rank factors that were merged, or from too much regularisation.",
    ),
    _shape(
        name="stable_rank",
        title="stable rank",
        what="How many directions carry the weight of the layer, counted by their share of the largest.",
        formula="sum sv^2 / sv_max^2",
        how_to_read="Between 1 and the rank. In published training runs it falls while a layer learns.",
        not_meaning="It grows with the size of the matrix; use stable_rank_ratio to compare layers.",
        source="Mahoney and Martin, slides, Simons Institute (2018): Stable Rank",
    ),
    _shape(
        name="stable_rank_ratio",
        title="stable rank, relative to noise",
        what="The stable rank over what independent random weights of this size have.",
        formula="stable_rank / (num_matrices M / (1 + Q^-1/2)^2)",
        how_to_read="About 1 for random weights, a few per cent more for small matrices; smaller the more structure "
        "there is.",
        source="Marchenko-Pastur upper edge",
    ),
    Entry(
        name="log_stable_rank",
        kind="metric",
        group="Ranks and entropy",
        title="log stable rank",
        what="Quotient of two logarithms, proposed as a capacity metric.",
        formula="log10 sum sv^2 / log10 lambda_max",
        how_to_read="Hard to read: it changes with the scale of W, is negative where lambda_max is below 1, and has no "
        "value near lambda_max = 1 (near_singular).",
        not_meaning="It is not the logarithm of stable_rank.",
        source="Martin and Mahoney, Universality and Capacity Metrics (draft), eqn 6",
        scale_or_shape="mixed",
    ),
    _shape(
        name="entropy",
        title="matrix entropy",
        what="How evenly the eigenvalues share their sum: 1 where all are equal, 0 where one has everything.",
        formula="-(1 / ln R) sum p ln p,  p = lambda / sum lambda, over the R largest",
        how_to_read="Random weights are near 1 - 1 / (2 Q ln K), which is 0.92 for 512 x 512 and 0.99 for 4096 x 384. "
        "Read entropy_deficit, which takes that out.",
        source="Mahoney and Martin, slides, Simons Institute (2018): Matrix Entropy",
    ),
    _shape(
        name="entropy_deficit",
        title="missing entropy, relative to noise",
        what="How far the entropy lies below 1, in units of what independent random weights of this size miss.",
        formula="(1 - entropy) 2 Q ln K",
        how_to_read="1 for random weights at any aspect ratio; larger the more structure there is.",
        source="mean of lambda ln lambda under the Marchenko-Pastur law is 1 / (2 Q)",
    ),
    _estimate(
        name="estimate",
        title="what was estimated",
        what="Of a layer above stochastic_above: its largest eigenvalues with error bounds, and the distribution of "
        "all, by block Lanczos from random vectors. Its norm and trace are exact; spectral_norm and what follows from "
        "it are as certain as the first of evals.",
        not_meaning="It is no full spectrum: alpha, rank, entropy, bulk and phase are not known.",
        source="Golub and Meurant, Matrices, Moments and Quadrature (2010); Ubaru, Chen and Saad, SIAM J. Matrix Anal. "
        "Appl. 38, 1075 (2017)",
        formula="X = W^T W / N, from V and X V alone",
    ),
    _estimate(
        name="estimate.products",
        title="products with the matrix",
        what="How often W and its transpose were multiplied by a block of vectors.",
        formula="steps of block Lanczos",
    ),
    _estimate(
        name="estimate.block",
        title="vectors of a block",
        what="Random vectors at the start; of eigenvalues that are equal no more may be told apart.",
        formula="columns of V",
    ),
    _estimate(
        name="estimate.trace",
        title="sum of all eigenvalues",
        what="Exact to rounding, from the squares of the weights.",
        formula="sum lambda",
    ),
    _estimate(
        name="estimate.evals",
        title="largest eigenvalues",
        what="The largest Ritz values, descending: lower bounds of the largest eigenvalues of X.",
        formula="theta of T y = theta y,  T = V^T X V over the Krylov space",
    ),
    _estimate(
        name="estimate.errors",
        title="bounds of their errors",
        what="For each of evals the residual: an eigenvalue of X is no further away.",
        formula="|X y - theta y|",
        how_to_read="That none above was missed holds with probability 1 over the random vectors, not for certain.",
    ),
    _estimate(
        name="estimate.shares",
        title="distribution of the eigenvalues",
        what="At 24 eigenvalues the estimated share below, its standard error over the random vectors (stderr), and "
        "the weight that the quadrature cannot place (resolution).",
        how_to_read="The true share is within 2 stderr + resolution; usually within a few hundredths.",
        formula="mean over v of the weights (v^T y)^2 with theta below,  v of the first block",
    ),
)
