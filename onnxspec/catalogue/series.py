"""What `onnxspec series` measures: correlations of metrics with accuracy, and metrics that only a series has."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_relation = partial(Entry, kind="metric", group="Series", scale_or_shape="neither")
_shape = partial(Entry, kind="metric", group="Series", scale_or_shape="shape")
_scale = partial(Entry, kind="metric", group="Series", scale_or_shape="scale")
_mixed = partial(Entry, kind="metric", group="Series", scale_or_shape="mixed")
_reason = partial(Entry, kind="reason", group="Series")
_term = partial(Entry, kind="term", group="Words")

_DRAFT = "Martin and Mahoney, Universality and Capacity Metrics (draft)"
_PERMUTED = (
    "Its p-value is the share of permutations of the accuracies that do as well: all of them up to 8 models, 9,999 "
    "drawn ones above."
)

ENTRIES = (
    _relation(
        name="series.kendall_tau",
        title="Kendall's tau-b",
        what="How much of the order of the models by a metric is their order by accuracy: 1 the same, -1 reversed.",
        formula="(concordant - discordant) / sqrt((pairs - ties of x)(pairs - ties of y))",
        how_to_read=_PERMUTED,
        source="Kendall 1945",
    ),
    _relation(
        name="series.stratified_tau",
        title="Kendall's tau within groups",
        what="Over the pairs of models of one group alone, all groups together: many groups that are too small to "
        "conclude anything may do so together.",
        formula="sum (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y), pairs within groups",
        how_to_read="Its p-value, stratified_p, permutes the accuracies within each group.",
    ),
    _relation(
        name="series.stratified_p",
        title="p-value of stratified_tau",
        what="Share of 9,999 permutations of the accuracies within each group that do as well, two-sided.",
        formula="(permutations that do as well + 1) / 10,000",
    ),
    _relation(
        name="series.pooled_tau",
        title="Kendall's tau over all models",
        what="What the groups are compared with: it sees differences between groups and within them.",
        formula="tau-b",
    ),
    _relation(
        name="series.between_tau",
        title="Kendall's tau between groups",
        what="Over the groups' means of metric and accuracy.",
        formula="tau-b of (mean x, mean y)",
    ),
    _relation(
        name="series.threshold",
        title="smallest tau whose sign counts",
        what="Signs of taus of this size or less decide nothing about Simpson's paradox.",
        formula="0.3",
    ),
    _relation(
        name="series.spearman",
        title="Spearman's rho",
        what="Pearson's correlation of the ranks; equal numbers get the mean of their ranks.",
        formula="r(rank x, rank y)",
        how_to_read=_PERMUTED,
    ),
    _relation(
        name="series.pearson",
        title="Pearson's correlation",
        what="How well a straight line fits, with its sign.",
        formula="sum (x - mean)(y - mean) / sqrt(sum (x - mean)^2 sum (y - mean)^2)",
        how_to_read=_PERMUTED,
    ),
    _relation(
        name="series.r2",
        title="explained share",
        what="Share of the variance of the accuracies that the line explains: the square of pearson.",
        formula="1 - sum residual^2 / sum (y - mean)^2",
        not_meaning="With four models a large value is common by chance; look at loo_rmse and the p-value.",
    ),
    _relation(
        name="series.rmse",
        title="error of the line",
        what="Root mean square distance of the accuracies from the line through them, in the unit of the accuracy.",
        formula="sqrt((1/n) sum residual^2)",
        how_to_read="Divided by n, as in the published tables, not by n - 2.",
        source="Martin, Peng and Mahoney, Nature Communications 12, 4122 (2021)",
    ),
    _relation(
        name="series.loo_rmse",
        title="error for a model left out",
        what="As rmse, but each model is predicted from the line through the others.",
        formula="sqrt((1/n) sum (residual / (1 - leverage))^2)",
        how_to_read="What to expect of a further model of the series. Much larger than rmse: one model holds the line.",
    ),
    _relation(
        name="series.slope",
        title="slope of the line",
        what="Change of accuracy for one more of the metric.",
        formula="sum (x - mean)(y - mean) / sum (x - mean)^2",
    ),
    _relation(
        name="series.slope_stderr",
        title="standard error of the slope",
        what="From the residuals, with n - 2 degrees of freedom.",
        formula="sqrt(sum residual^2 / (n - 2) / sum (x - mean)^2)",
    ),
    _relation(
        name="series.intercept",
        title="intercept of the line",
        what="The line's accuracy where the metric is 0.",
        formula="mean y - slope mean x",
    ),
    _relation(
        name="series.n",
        title="models with both numbers",
        what="Models of the set that have the metric and an accuracy.",
        formula="count",
    ),
    _relation(
        name="series.min_p",
        title="smallest p-value that can be had",
        what="p-value of tau if the order were perfect, with this number of models and these ties.",
        formula="2 / n! without ties; at least 1 / 10,000 where permutations are drawn",
        how_to_read="Above 0.05 (any series of four models: 0.083) nothing can be concluded, however good it looks.",
    ),
    _relation(
        name="series.permutations",
        title="permutations behind the p-values",
        what="All n! of them where exact is true, otherwise drawn with a seed from the numbers.",
        formula="count",
    ),
    _relation(
        name="series.expected_sign",
        title="sign that the theory claims",
        what="-1 for norms, alpha and alpha_hat: a smaller value is said to go with a better accuracy. Else none.",
        formula="-1 or null",
        source=_DRAFT,
    ),
    _scale(
        name="series.log_norm_sum",
        title="log product norm (Frobenius)",
        what="Logarithm of the product of the squared Frobenius norms.",
        formula="sum log10 sum sv^2",
        not_meaning="It grows with depth; log_norm_mean does not.",
        source=f"{_DRAFT}, eqn 5",
    ),
    _scale(
        name="series.log_spectral_norm_sum",
        title="log product norm (spectral)",
        what="Logarithm of the product of the squared spectral norms.",
        formula="sum log10 sv_max^2",
        source=f"{_DRAFT}, eqn 5",
    ),
    _mixed(
        name="series.alpha_hat_slices_sum",
        title="alpha_hat over kernel positions, summed",
        what="The capacity metric for convolutions as its first draft has it: one fit for each kernel position, summed "
        "over positions and layers. Layers of one matrix count as they are.",
        formula="sum over layers and positions of alpha log10 lambda_max",
        how_to_read="Positions with fewer eigenvalues than min_evals have no fit and are left out of the sum.",
        source=f"{_DRAFT}, eqn 3 and Methodology",
    ),
    _mixed(
        name="series.log_stable_rank_mean",
        title="mean of log_stable_rank",
        what="Mean of log_stable_rank over the layers that have one.",
        formula="(1/n) sum log10 norm / log10 lambda_max",
        source=f"{_DRAFT}, eqn 6",
    ),
    _shape(
        name="series.stable_rank_ratio_mean",
        title="mean of stable_rank_ratio",
        what="Mean stable rank over that of a random matrix of the same shape.",
        formula="(1/n) sum stable_rank_ratio",
    ),
    _shape(
        name="series.entropy_deficit_mean",
        title="mean of entropy_deficit",
        what="Mean lack of entropy over that of a random matrix of the same shape.",
        formula="(1/n) sum entropy_deficit",
    ),
    _shape(
        name="series.mp_softrank_mean",
        title="mean of mp_softrank",
        what="Mean of the bulk's edge over the largest eigenvalue. Needs effort standard.",
        formula="(1/n) sum lambda_plus / lambda_max",
    ),
    _shape(
        name="series.spikes_mean",
        title="mean number of spikes",
        what="Mean number of eigenvalues beyond the bulk. Needs effort standard.",
        formula="(1/n) sum spikes",
    ),
    _relation(
        name="series.layers_averaged",
        title="layers in the means, as a control",
        what="Depth alone. A metric that ranks a series no better than this says nothing that depth does not.",
        formula="count",
    ),
    _relation(
        name="series.log_parameters",
        title="size of the model, as a control",
        what="Number of stored elements, as a logarithm. It looks at no value of a weight.",
        formula="log10 parameters",
        how_to_read="A metric that ranks a series no better than this says nothing that size does not.",
    ),
    _reason(
        name="too_few_models",
        title="too few models",
        what="A correlation and a line need three models, a bootstrap interval five.",
        how_to_read="Add models to the series or to the group.",
    ),
    _reason(
        name="constant_metric",
        title="the metric is constant",
        what="All models have the same value, to twelve digits.",
    ),
    _reason(
        name="constant_accuracy",
        title="the accuracy is constant",
        what="All models have the same accuracy, so nothing can rank them.",
    ),
    _reason(
        name="not_given",
        title="no number in the table",
        what="The cell of the CSV file is empty, or this model has no such metric.",
    ),
    _reason(
        name="not_sliced",
        title="kernel positions were not fitted one by one",
        what="The sum over kernel positions needs a report made with --conv slices; this one was not.",
        how_to_read="Name the model instead of its report, or make the report with --conv slices.",
    ),
    _reason(
        name="no_layers",
        title="no layer to average",
        what="The model has no analysed layer that enters its means.",
    ),
    _reason(
        name="no_layer_has_it",
        title="no layer has this number",
        what="Every layer of the model lacks it, each for its own reason.",
        how_to_read="analyze lists the reasons layer by layer. Small layers have no alpha (too_small).",
    ),
    _reason(
        name="one_point_decides",
        title="one model alone fixes the line",
        what="Without that model the others have the same value of the metric, so no line predicts it.",
    ),
    _reason(
        name="degenerate_resamples",
        title="resamples say nothing",
        what="More than a tenth of the resamples are constant, or all give one value, as those of a perfect order do.",
    ),
    _term(
        name="series",
        title="series of models",
        what="Models whose accuracies are known, best of one architecture and one training, that differ in size or "
        "training.",
    ),
    _term(
        name="simpson",
        title="Simpson's paradox",
        what="A metric goes with accuracy one way over all models and the other way within groups, or opposite ways in "
        "two groups. Flagged where Kendall's tau exceeds 0.3 on both sides.",
        how_to_read="The grouping explains the trend, not the metric: compare within groups. Look at the p-values: two "
        "small groups differ by chance.",
    ),
    _term(
        name="checkpoint",
        title="checkpoint",
        what="The model as it was at one moment of its training.",
    ),
    _term(
        name="transition",
        title="transition",
        what="What track flags between two checkpoints of a layer: another phase, another trained verdict, the first "
        "spikes, more than 1 % of the rank lost, or a scale_jump.",
    ),
    _term(
        name="scale_jump",
        title="jump of scale",
        what="lambda_max of one layer changes between two checkpoints by more than a decade beyond the median layer's "
        "change.",
        how_to_read="A layer whose scale leaves the others behind was re-scaled, compressed, or is diverging.",
    ),
)
