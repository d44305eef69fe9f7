"""Numbers that compare a layer, as one matrix, with random matrices; and how its weight is stored."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_shape = partial(Entry, kind="metric", group="Bulk and spikes", scale_or_shape="shape")
_scale = partial(Entry, kind="metric", group="Bulk and spikes", scale_or_shape="scale")
_test = partial(Entry, kind="metric", group="Trained or noise", scale_or_shape="shape")
_phase = partial(Entry, kind="metric", group="Phase", scale_or_shape="shape")
_stored = partial(Entry, kind="metric", group="Quantisation", scale_or_shape="neither")

_MP = "Marchenko and Pastur (1967); Mahoney and Martin, slides, Simons Institute (2018): RMT"
_BBP = "Baik, Ben Arous and Peche (2005); Benaych-Georges and Nadakuditi (2012)"

ENTRIES = (
    _shape(
        name="mp",
        title="Marchenko-Pastur fit of the bulk",
        what="What remains of the spectrum of random weights, and the eigenvalues beyond it. A convolution is unfolded "
        "to C_out x C_in*k for it.",
        formula="iterated median: match the bulk's median, take out what lies beyond the edge, repeat",
        how_to_read="mp.reason says why there is none. Where the phase is heavy_tailed or rank_collapse there is no "
        "bulk, and these numbers mean little.",
        source=_MP,
    ),
    _shape(
        name="spikes",
        title="eigenvalues beyond the bulk",
        what="How many eigenvalues are larger than noise of the bulk's strength would have, at the 1 % level for the "
        "whole matrix.",
        formula="number of lambda > spike_edge",
        how_to_read="Each is a direction that the layer has learned, or a mean or a single huge weight. 0 is what "
        "fresh random weights have in 99 % of cases.",
        source=_BBP,
    ),
    _shape(
        name="mp.level",
        title="level of the spikes",
        what="Chance, for a whole matrix of noise, of at least one spike.",
        formula="0.01",
    ),
    _shape(
        name="mp.zeros",
        title="zero eigenvalues left out of the bulk",
        what="Eigenvalues that are 0 at the precision of the weights. The fit is made as if W had no columns for them.",
        formula="M - rank",
    ),
    _scale(
        name="mp.sigma_mp",
        title="noise in the entries",
        what="Standard deviation of the random part of the weights, found from the bulk alone.",
        formula="sigma^2 = median(bulk) / median of the law",
        source=_MP,
    ),
    _scale(
        name="mp.sigma_mp_stderr",
        title="standard error of sigma_mp",
        what="From simulated noise of the same size.",
        formula="0.5 sigma_mp sd(sigma^2) / sigma^2",
    ),
    _scale(
        name="mp.lambda_plus",
        title="upper edge of the bulk",
        what="The largest eigenvalue of infinitely large noise.",
        formula="sigma_mp^2 (1 + 1/sqrt(Q))^2",
        source=_MP,
    ),
    _scale(
        name="mp.lambda_minus",
        title="lower edge of the bulk",
        what="The smallest eigenvalue of infinitely large noise; 0 for square matrices.",
        formula="sigma_mp^2 (1 - 1/sqrt(Q))^2",
        source=_MP,
    ),
    _scale(
        name="mp.delta_tw",
        title="width of the edge",
        what="How far the largest eigenvalue of noise moves from one matrix to the next.",
        formula="sigma^2 (1 + Q^-1/2)^(4/3) Q^-1/2 M^-2/3",
        source="Johnstone, Annals of Statistics 29, 295 (2001)",
    ),
    _scale(
        name="mp.spike_edge",
        title="edge beyond which a spike begins",
        what="The eigenvalue that noise exceeds with the chance mp.level: the Tracy-Widom quantile, widened by the "
        "error of sigma_mp.",
        formula="sigma^2 (mu + t s), t the Tracy-Widom quantile",
        source="Tracy and Widom (1996); centring of Ma, Bernoulli 18, 322 (2012)",
    ),
    _shape(
        name="mp.spikes_95",
        title="spikes at the 5 % level",
        what="As spikes, with a chance of 5 % of calling noise a spike.",
        formula="number of lambda > edge at 5 %",
    ),
    _shape(
        name="mp.spike_fraction",
        title="share of spikes",
        what="Spikes among all eigenvalues.",
        formula="spikes / M",
    ),
    _shape(
        name="mp.spike_thetas",
        title="strength of each spike",
        what="Strength of the signal behind each spike, in units of the noise, strongest first.",
        formula="theta = d / (sigma_mp sqrt(N)), from lambda / sigma^2 = (1 + theta^2)(1/Q + theta^2) / theta^2",
        how_to_read="A signal shows only above Q^(-1/4).",
        source=_BBP,
    ),
    _scale(
        name="mp.spike_strengths",
        title="singular value of each signal",
        what="The singular value d that the signal behind each spike has without the noise.",
        formula="d = theta sigma_mp sqrt(N)",
        source=_BBP,
    ),
    _scale(
        name="mp.sub_threshold_bound",
        title="largest signal that may hide",
        what="A signal with a singular value below it leaves no spike, so nothing is known of it.",
        formula="sigma_mp (N M)^(1/4)",
        source=_BBP,
    ),
    _shape(
        name="mp.k_gd",
        title="rank worth keeping",
        what="Singular values above Gavish and Donoho's threshold: the rank that denoises W best.",
        formula="number of sv > omega(1/Q) median(sv)",
        how_to_read="A hint for low-rank compression.",
        not_meaning="No count of spikes: its threshold lies above the edge of the noise.",
        source="Gavish and Donoho, IEEE Trans. Inf. Theory 60, 5040 (2014)",
    ),
    _shape(
        name="mp.D_bulk",
        title="KS distance of the bulk",
        what="How far the bulk is from the Marchenko-Pastur law.",
        formula="max |F_bulk - F_MP|",
    ),
    _shape(
        name="mp.D_bulk_p",
        title="p-value of the bulk",
        what="Chance that noise has a larger distance than D_bulk.",
        formula="from simulated matrices of noise",
        how_to_read="Small: the bulk is not that of independent entries.",
        not_meaning="Tables for independent samples do not apply; eigenvalues keep their distance.",
    ),
    _shape(
        name="mp.mp_softrank",
        title="Marchenko-Pastur soft rank",
        what="How much of the largest eigenvalue the noise explains.",
        formula="lambda_plus / lambda_max",
        how_to_read="About 1 for random weights; towards 0 the more the largest eigenvalue stands out.",
        source="arXiv 1810.01075, section 3",
    ),
    _shape(
        name="mp.mass_above_edge",
        title="share of the spikes in the sum",
        what="Part of the total variance that lies in the spikes.",
        formula="sum of spikes / sum of lambda",
    ),
    _shape(
        name="mp.tracy_widom_p",
        title="p-value of the largest eigenvalue",
        what="Chance that the largest eigenvalue of noise at sigma_mp lies beyond lambda_max.",
        formula="1 - F_TW((lambda_max - centre) / scale)",
        source="Tracy and Widom (1996)",
    ),
    _shape(
        name="mp.Q_eff",
        title="aspect ratio that would fit best",
        what="Q if it is left free in the fit of the bulk.",
        formula="argmin over q of the distance between bulk quantiles and the law's",
        how_to_read="Below Q where rows are correlated. A diagnostic: it trades off against sigma_mp.",
        source="Mahoney and Martin, slides, Simons Institute (2018): Should we float Q?",
    ),
    _shape(
        name="mp.spacing_ratio",
        title="spacing ratio of the bulk",
        what="Mean ratio of neighbouring gaps between the bulk's singular values.",
        formula="<min(g_i, g_i+1) / max(g_i, g_i+1)>",
        how_to_read="0.531 for random matrices, 0.386 for independent values. Trained bulks stay near 0.531.",
        source="Atas et al., Phys. Rev. Lett. 110, 084101 (2013)",
    ),
    _shape(
        name="mp.spacing_ratio_stderr",
        title="standard error of the spacing ratio",
        what="From the spread of the ratios.",
        formula="sd(ratios) / sqrt(number)",
    ),
    _test(
        name="trained",
        title="told from noise or not",
        what="Test whether the entries of W could be exchanged for each other: seven statistics of row and column "
        "means and norms, correlations, edge and shape of the spectrum, as one p-value.",
        formula="p = corrected smallest p-value of the seven parts",
        how_to_read="structured: something put the entries where they are. noise: nothing was found.",
        not_meaning="noise is not the same as untrained, and structured not the same as well trained.",
    ),
    _test(
        name="trained.p_value",
        title="p-value of the layer",
        what="Chance that noise made of the same entries looks at least as structured.",
        formula="null law of the smallest of seven p-values",
    ),
    _test(
        name="trained.p_adjusted",
        title="p-value, corrected for the number of layers",
        what="With a hundred layers one p-value below 0.01 is to be expected by chance; this takes it into account. "
        "The verdict goes by it.",
        formula="min over ranks j >= i of p_(j) n / j",
        source="Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289 (1995)",
    ),
    _test(
        name="trained.permutations",
        title="permutations drawn",
        what="How often the entries were shuffled for the p-value; 0 where it comes from the table.",
        formula="count",
    ),
    _test(
        name="trained.excess_kurtosis",
        title="excess kurtosis of the entries",
        what="0 for normal entries, -1.2 for uniform ones, large where a few weights are huge.",
        formula="mean(z^4) - 3, z the standardised entries",
    ),
    _test(
        name="trained.row_norm_cv",
        title="spread of the row norms",
        what="Coefficient of variation of the norms along axis 0.",
        formula="sd / mean",
        how_to_read="Compare it with row_norm_cv_noise. Training makes some rows much longer than others.",
    ),
    _test(
        name="trained.row_norm_cv_noise",
        title="spread of the row norms of noise",
        what="What row_norm_cv would be for exchangeable entries.",
        formula="from the moments of the entries",
    ),
    _test(
        name="trained.col_norm_cv",
        title="spread of the column norms",
        what="Coefficient of variation of the norms along axis 1.",
        formula="sd / mean",
        how_to_read="Compare it with col_norm_cv_noise.",
    ),
    _test(
        name="trained.col_norm_cv_noise",
        title="spread of the column norms of noise",
        what="What col_norm_cv would be for exchangeable entries.",
        formula="from the moments of the entries",
    ),
    _phase(
        name="phase",
        title="phase of training",
        what="Which of the 5+1 phases of HT-SR theory the spectrum is in, by rules over the bulk fit, the spikes and "
        "the tail. The phases themselves are explained under their names.",
        formula="rules of onnxspec/diagnosis/phases.py, in the order collapse, bulk, tail",
        how_to_read="phase_evidence has the numbers, the distance to each threshold and the confidence.",
        not_meaning="A description of the spectrum. Alpha alone does not decide it.",
        source="arXiv 1810.01075, section 4",
    ),
    _phase(
        name="phase_evidence",
        title="what led to the phase",
        what="Features, margins to the thresholds in units of their errors, labels, and a reason where undecided.",
        formula="margin = (feature - threshold) / error",
    ),
    _phase(
        name="phase_evidence.confidence",
        title="confidence in the phase",
        what="Chance, 0.5 to 1, that the closest threshold would be passed on the same side again.",
        formula="Phi(smallest margin)",
        not_meaning="It covers sampling errors of the features, not whether the rules are right.",
    ),
    _phase(
        name="phase_evidence.features.zero_share",
        title="share of zero eigenvalues",
        what="Eigenvalues that are zero at the precision of the weights.",
        formula="1 - rank / M",
        how_to_read="From 0.05 on, with a clear step down to them, it is a collapse.",
    ),
    _phase(
        name="phase_evidence.features.stretch",
        title="stretch of the lower half",
        what="By how many decades the lower half of the spectrum is wider than noise.",
        formula="log10(q50 / q05) less that of the Marchenko-Pastur law",
    ),
    _phase(
        name="phase_evidence.features.gap",
        title="largest gap",
        what="Largest step between neighbouring eigenvalues with at least 5 % of them and next to nothing of their sum "
        "below it.",
        formula="max log10(lambda_i / lambda_i+1)",
    ),
    _phase(
        name="phase_evidence.features.bulk_D",
        title="KS distance of the bulk",
        what="As mp.D_bulk.",
        formula="max |F_bulk - F_MP|",
    ),
    _phase(
        name="phase_evidence.features.bulk_p",
        title="p-value of the bulk",
        what="As mp.D_bulk_p.",
        formula="from simulated matrices of noise",
    ),
    _phase(
        name="phase_evidence.features.edge_ratio",
        title="largest eigenvalue over the edge",
        what="How far the largest eigenvalue lies beyond the bulk; the inverse of the soft rank.",
        formula="lambda_max / lambda_plus",
        how_to_read="From 1.3 on spikes stand clear of the edge.",
    ),
    _phase(
        name="phase_evidence.features.spikes",
        title="number of spikes",
        what="As spikes.",
        formula="number of lambda > spike_edge",
    ),
    _phase(
        name="phase_evidence.features.spike_share",
        title="share of spikes",
        what="Spikes among all eigenvalues.",
        formula="spikes / M",
        how_to_read="Above 0.1 they are no separate directions any more but a decay of the bulk's edge.",
    ),
    _phase(
        name="phase_evidence.features.spike_strength",
        title="mean strength of the spikes",
        what="How far the signals behind the spikes exceed the weakest signal that shows.",
        formula="mean of theta / Q^(-1/4)",
        how_to_read="The spikes of a power law are few and strong; those of a decaying edge are many and weak.",
    ),
    _phase(
        name="phase_evidence.features.alpha",
        title="alpha of the unfolded matrix",
        what="Power-law exponent where the decision needed it. For a convolution it is not the layer's alpha, which "
        "comes from the kernel positions.",
        formula="1 + n_tail / sum ln(x / xmin)",
    ),
    _phase(
        name="phase_evidence.features.tail_share",
        title="share of the tail",
        what="Part of the eigenvalues in the power-law tail.",
        formula="n_tail / num_evals",
    ),
    _phase(
        name="phase_evidence.features.tail_decades",
        title="length of the tail in decades",
        what="How many powers of ten the tail spans.",
        formula="log10(xmax / xmin)",
    ),
    _stored(
        name="quantization.bits",
        title="bits of one code",
        what="In how many bits each element is stored.",
        formula="count",
    ),
    _stored(
        name="quantization.block",
        title="elements that share a scale",
        what="Length of a block, where scales are per block.",
        formula="count",
    ),
    _stored(
        name="quantization.clipped",
        title="codes at the ends",
        what="Elements with the smallest or the largest code: their values may have been cut off.",
        formula="count",
    ),
    _stored(
        name="quantization.unused",
        title="codes that never occur",
        what="Codes of the range that no element uses.",
        formula="count",
        how_to_read="Many unused codes: the scale is too large for the weights.",
    ),
    Entry(
        name="quantization.step",
        kind="metric",
        group="Quantisation",
        title="largest step",
        what="The largest distance between neighbouring values that can be stored.",
        formula="max scale",
        scale_or_shape="scale",
    ),
    Entry(
        name="quantization.noise_floor",
        kind="metric",
        group="Quantisation",
        title="rounding error",
        what="Standard deviation of the error that rounding to codes adds to each element. It enters the rank "
        "tolerance.",
        formula="sqrt(mean(scale^2) / 12)",
        scale_or_shape="scale",
    ),
)
