"""Further looks at a layer: health flags, the SETOL condition, traps, and localisation of vectors."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_health = partial(Entry, kind="metric", group="Health flags", scale_or_shape="shape")
_erg = partial(Entry, kind="metric", group="Log-determinant condition", scale_or_shape="shape")
_trap = partial(Entry, kind="metric", group="Correlation traps", scale_or_shape="shape")
_vector = partial(Entry, kind="metric", group="Localisation", scale_or_shape="shape")

_SETOL = "SETOL, arXiv 2507.17912"
_TRAPS = "WeightWatcher, correlation traps; the edge is that of mp.spike_edge"
_VECTORS = "Mahoney and Martin, slides, Simons Institute (2018): Spikes carry more information"

ENTRIES = (
    _health(
        name="health",
        title="flags for an odd layer",
        what="over_trained, under_trained, not_told_from_noise, no_power_law, rank_collapse and trap, each only where "
        "the error bars support it; and how heavy the tail reads.",
        formula="over_trained: all of alpha_ci below 2; under_trained: all of it above 6",
        how_to_read="No flag is the usual case. decided says whether the interval lies within one class of tails.",
        not_meaning="The thresholds are WeightWatcher's informal ones. No flag is a verdict on accuracy.",
    ),
    _erg(
        name="erg",
        title="log-determinant condition",
        what="SETOL expects the largest eigenvalues, rescaled to mean 1, to have a product of 1 where the power-law "
        "tail begins, for an ideal layer with alpha 2.",
        formula="sum ln(lambda_i / mean) = 0 over the largest ecs_k",
        not_meaning="It scatters widely even for true power laws, so it is reported and gates nothing.",
        source=_SETOL,
    ),
    _erg(
        name="erg.ecs_k",
        title="size of the effective correlation space",
        what="The most of the largest rescaled eigenvalues that still have a product of at least 1.",
        formula="max k with sum_{i <= k} ln(lambda_i / mean) >= 0",
        source=_SETOL,
    ),
    _erg(
        name="erg.ecs_fraction",
        title="share of that space",
        what="ecs_k over the number of eigenvalues.",
        formula="ecs_k / M",
        source=_SETOL,
    ),
    _erg(
        name="erg.lambda_ecs",
        title="smallest eigenvalue in that space",
        what="In units of the mean eigenvalue.",
        formula="lambda_ecs_k / mean",
        source=_SETOL,
    ),
    _erg(
        name="erg.log_det_ecs",
        title="log determinant of that space",
        what="Natural logarithm of the product of its rescaled eigenvalues; 0 to within the last factor.",
        formula="sum_{i <= ecs_k} ln(lambda_i / mean)",
        source=_SETOL,
    ),
    _erg(
        name="erg.log_det",
        title="log determinant of the rescaled spectrum",
        what="As log_det, for eigenvalues divided by their mean.",
        formula="sum ln(lambda_i / mean) over those that are not zero",
    ),
    _erg(
        name="erg.delta_lambda_min",
        title="distance of the two beginnings",
        what="Start of the power-law tail less the smallest eigenvalue of that space, in units of the mean.",
        formula="xmin / mean - lambda_ecs",
        how_to_read="0 for SETOL's ideal layer.",
        source=_SETOL,
    ),
    _trap(
        name="traps",
        title="correlation traps",
        what="Eigenvalues beyond the edge that survive a shuffle of the entries, so they come from single huge weights "
        "or from a mean that is not zero, not from correlations.",
        formula="eigenvalues of W with its entries shuffled, against the edge of the noise",
        how_to_read="causes names what survives: mean, elements or tails; elements lists the largest weights.",
        not_meaning="A learned low-rank signal does not survive shuffling and is no trap.",
        source=_TRAPS,
    ),
    _trap(
        name="traps.count",
        title="shuffles with a trap",
        what="Shuffles whose largest eigenvalue lies beyond the edge.",
        formula="count",
    ),
    _trap(
        name="traps.ratios",
        title="largest eigenvalue of each shuffle",
        what="Over the edge of infinitely large noise.",
        formula="lambda_max(shuffled) / lambda_plus",
    ),
    _trap(
        name="traps.ratio_mean",
        title="mean of these ratios",
        what="About 1 for entries without outliers and mean.",
        formula="mean(ratios)",
    ),
    _trap(
        name="traps.ratio_sd",
        title="spread of these ratios",
        what="Standard deviation over the shuffles.",
        formula="sd(ratios)",
    ),
    _trap(
        name="traps.edge_ratio",
        title="edge of a trap",
        what="The ratio beyond which a shuffle counts, at the 1 % level.",
        formula="spike_edge / lambda_plus",
    ),
    _trap(
        name="traps.rand_spikes_mean",
        title="spikes of the shuffles",
        what="Eigenvalues beyond the edge, mean over the shuffles.",
        formula="mean number of lambda > edge",
    ),
    _trap(
        name="traps.rand_ks",
        title="distance from the shuffles",
        what="KS distance between the eigenvalues of W and those of each shuffle.",
        formula="max |F_W - F_shuffled|",
        how_to_read="About 3.7 / M for noise; larger the more structure there is.",
        not_meaning="Tables for independent samples do not apply; eigenvalues keep their distance.",
    ),
    _trap(
        name="traps.rand_distance_ww",
        title="WeightWatcher's distance from the shuffles",
        what="Jensen-Shannon distance between the sorted eigenvalues, taken as probabilities.",
        formula="JS(lambda / sum lambda, lambda_shuffled / sum lambda_shuffled)",
        not_meaning="No distance between the two densities.",
        source="WeightWatcher, rand_distance",
    ),
    _trap(
        name="traps.ww_softrank",
        title="WeightWatcher's soft rank",
        what="Largest eigenvalue of a shuffle over that of W, mean over the shuffles.",
        formula="mean lambda_max(shuffled) / lambda_max",
        source="WeightWatcher, ww_softrank",
    ),
    _trap(
        name="traps.mean_strength",
        title="strength of the mean",
        what="Strength of the rank-one part that a mean of the entries makes, over the threshold at which it shows.",
        formula="|mean| sqrt(M) / sigma / Q^(-1/4)",
        how_to_read="Above 1 the mean alone makes a spike.",
    ),
    _trap(
        name="traps.num_elements",
        title="huge elements",
        what="Elements so large that each makes an eigenvalue of its own.",
        formula="number of |w - mean| > sigma (N M)^(1/4)",
    ),
    _trap(
        name="traps.excess_kurtosis",
        title="excess kurtosis of the entries",
        what="As trained.excess_kurtosis.",
        formula="mean(z^4) - 3, z the standardised entries",
    ),
    _vector(
        name="localisation",
        title="localisation of the vectors",
        what="Whether the singular vectors of the spikes concentrate on few elements, against vectors from the bulk "
        "and random ones.",
        formula="entropy, participation ratio and localisation ratio of v, in standard deviations of random vectors",
        how_to_read="Negative z: more localised than random. In published nets the bulk equals random vectors and the "
        "spikes do not.",
        source=_VECTORS,
    ),
    _vector(
        name="localisation.n",
        title="length of the vectors",
        what="Elements of one singular vector.",
        formula="M for the right ones, N for the left ones",
    ),
    _vector(
        name="localisation.spike_entropy_z",
        title="entropy of the spikes' vectors",
        what="Mean over the spikes, in standard deviations of random vectors.",
        formula="z of -sum v_i^2 ln v_i^2",
    ),
    _vector(
        name="localisation.bulk_entropy_z",
        title="entropy of the bulk's vectors",
        what="Mean over a sample of the bulk.",
        formula="z of -sum v_i^2 ln v_i^2",
    ),
    _vector(
        name="localisation.spike_participation_z",
        title="participation ratio of the spikes' vectors",
        what="Mean over the spikes.",
        formula="z of |v|_2 / |v|_4",
    ),
    _vector(
        name="localisation.bulk_participation_z",
        title="participation ratio of the bulk's vectors",
        what="Mean over a sample of the bulk.",
        formula="z of |v|_2 / |v|_4",
    ),
    _vector(
        name="localisation.spike_localisation_z",
        title="localisation ratio of the spikes' vectors",
        what="Mean over the spikes.",
        formula="z of |v|_1 / max |v_i|",
    ),
    _vector(
        name="localisation.bulk_localisation_z",
        title="localisation ratio of the bulk's vectors",
        what="Mean over a sample of the bulk.",
        formula="z of |v|_1 / max |v_i|",
    ),
    _vector(
        name="localisation.bulk_vectors",
        title="vectors of the bulk",
        what="How many vectors from the middle of the spectrum were looked at.",
        formula="count",
    ),
    _vector(
        name="localisation.mann_whitney_p",
        title="are spikes and bulk of one law",
        what="Two-sided p-value of the Mann-Whitney test on the entropies of spikes and bulk.",
        formula="Mann-Whitney U",
        how_to_read="Small: the spikes' vectors are spread otherwise than the bulk's.",
    ),
)
