"""Numbers of a layer that come from its power-law fit."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_shape = partial(Entry, kind="metric", group="Power-law fit", scale_or_shape="shape")
_scale = partial(Entry, kind="metric", group="Power-law fit", scale_or_shape="scale")
_trust = partial(Entry, kind="metric", group="How far to trust alpha", scale_or_shape="shape")
_mixed = partial(Entry, kind="metric", group="Alpha with scale", scale_or_shape="mixed")

_CSN = "Clauset, Shalizi and Newman, SIAM Review 51, 661 (2009)"
_NATURE = "Martin, Peng and Mahoney, Nature Communications 12, 4122 (2021)"

ENTRIES = (
    _shape(
        name="alpha",
        title="power-law exponent",
        what="How fast the largest eigenvalues thin out: p(x) ~ x^-alpha from xmin upward, fitted by maximum "
        "likelihood.",
        formula="alpha = 1 + n_tail / sum ln(x / xmin) over x >= xmin",
        how_to_read="Smaller means a heavier tail, so stronger correlations. Well-trained layers of large models are "
        "mostly between 2 and 4; above 6 nothing tells the tail from that of noise. Read it with alpha_ci, n_tail "
        "and trained.",
        not_meaning="It does not measure test accuracy. A network trained on random labels had alpha 2.3 and 10.6 % "
        "test accuracy, one that diverged 1.7. Two thirds of freshly made 128 x 64 layers lie between 2 and 6 by "
        "chance, and a bulk with a few spikes gives 2 to 4 as well.",
        source=f"{_CSN}, eqn 3.1; arXiv 1810.01075",
    ),
    _trust(
        name="alpha_stderr",
        title="standard error of alpha at a given xmin",
        what="The error of the fit if xmin were known beforehand.",
        formula="(alpha - 1) / sqrt(n_tail)",
        not_meaning="It leaves out the choice of xmin; the true spread is up to 1.6 times as wide. Use alpha_ci.",
        source=f"{_CSN}, eqn 3.2",
    ),
    _trust(
        name="alpha_ci",
        title="95 % interval of alpha",
        what="Bootstrap interval in which xmin is chosen again for every resample. Above 20,000 eigenvalues a resample "
        "draws units of neighbours, a thousandth of the tail that starts with them, rather than single values.",
        formula="hull of the percentile interval and the basic one",
        how_to_read="Two layers whose intervals overlap widely do not differ.",
        source="Davison and Hinkley, Bootstrap Methods, section 5.2",
    ),
    _shape(
        name="alpha_unbiased",
        title="alpha without small-sample bias",
        what="The maximum-likelihood alpha is a little too large for short tails; this one is not, for a given xmin.",
        formula="1 + (alpha - 1) (n_tail - 2) / n_tail",
        how_to_read="The difference from alpha matters below 50 eigenvalues in the tail.",
    ),
    _trust(
        name="alpha_exact_ci",
        title="exact interval of alpha at a given xmin",
        what="95 % interval that is exact for a power law whose xmin is given.",
        formula="2 (alpha' - 1) sum ln(x / xmin) ~ chi-squared with 2 (n_tail - 1) degrees of freedom",
        not_meaning="It leaves out the choice of xmin, as alpha_stderr does.",
        source=f"{_CSN}, appendix B",
    ),
    _trust(
        name="alpha_profile",
        title="competing choices of xmin",
        what="Every stretch of candidates for xmin that fits about as well as the best one, with its alpha, D and "
        "n_tail. alpha_min and alpha_max are the range over those with a tail that is long enough. Above 20,000 "
        "eigenvalues the candidates are those whose tails differ by a thousandth, and all near the deepest minima.",
        formula="candidates with D <= D_min + window",
        how_to_read="A wide range says that alpha depends on where the tail is said to begin.",
    ),
    _scale(
        name="xmin",
        title="start of the tail",
        what="The eigenvalue from which the power law is fitted: the candidate with the smallest KS distance.",
        formula="argmin D(xmin) over the distinct eigenvalues",
        how_to_read="In units of X = W^T W / N.",
        source=f"{_CSN}, section 3.3",
    ),
    _scale(
        name="xmax",
        title="end of the tail",
        what="The largest eigenvalue. The fitted law itself has no upper end.",
        formula="lambda_max",
    ),
    _shape(
        name="D",
        title="KS distance of the tail",
        what="Largest distance between the tail's cumulative distribution and the fitted law's.",
        formula="max |F_i - i / n_tail|,  F_i = 1 - (x_i / xmin)^(1 - alpha),  i = 0 .. n_tail - 1",
        how_to_read="Smaller is closer. A short tail makes D large by itself; gof_p takes that into account.",
        source=f"{_CSN}, section 3.3; the setting ks chooses the form",
    ),
    _shape(
        name="n_tail",
        title="eigenvalues in the tail",
        what="How many eigenvalues the fit rests on.",
        formula="number of x >= xmin",
        how_to_read="Below 50 alpha is rough, whatever its standard error says.",
    ),
    _trust(
        name="gof_p",
        title="goodness of fit",
        what="Share of samples drawn from the fitted law that fit as badly as the data or worse, with xmin chosen "
        "again in each.",
        formula="#(D_b >= D) / B",
        how_to_read="At or below 0.1 the power law is rejected. The spectrum of a bulk with spikes is rejected "
        "although its alpha looks well trained.",
        not_meaning="A large p does not prove a power law. Eigenvalues repel each other, which makes p rather too "
        "large.",
        source=f"{_CSN}, section 4.1",
    ),
    _trust(
        name="alternatives",
        title="other laws on the same tail",
        what="Truncated power law, exponential, stretched exponential and lognormal, each fitted to the tail and "
        "tested against the power law. R is the log-likelihood ratio; p says whether its sign can be trusted.",
        formula="R = sum ln p_1(x) - ln p_2(x);  p = erfc(|R| / sqrt(2 n s^2)), s^2 the variance of the terms",
        how_to_read="R above 0 favours the power law. Only with p <= 0.05 is that more than chance.",
        source=f"Vuong, Econometrica 57, 307 (1989); {_CSN}, section 5",
    ),
    _trust(
        name="best_fit",
        title="law that fits the tail best",
        what="PL, TPL (truncated power law), EXP, S_EXP (stretched exponential) or LOG_N (lognormal). Another law than "
        "PL is named only where it is significantly better.",
        formula="the likeliest law with R < 0 and p <= 0.05, else PL",
        source="Mahoney and Martin, slides, Simons Institute (2018): table of pre-trained models",
    ),
    _trust(
        name="power_law",
        title="is it a power law at all",
        what="Verdict on the power law with the numbers that led to it: supported, weak or rejected; unmet names the "
        "conditions that do not hold.",
        formula="gof_p > 0.1, n_tail >= 50, decades >= 0.7, and no significantly better exponential",
        how_to_read="Read alpha as the exponent of a power law only where this says supported, else as a summary of "
        "how heavy the tail is.",
    ),
    _trust(
        name="cross_check",
        title="second opinion on the power law",
        what="What the powerlaw package finds on the same eigenvalues, with its alpha range opened; only with "
        "--cross-check.",
        formula="its alpha and xmin against ours, to 1e-6",
        how_to_read="agrees says whether both found the same tail; where not, the report keeps our own numbers.",
    ),
    _trust(
        name="power_law.decades",
        title="length of the tail in decades",
        what="How many powers of ten the tail spans.",
        formula="log10(xmax / xmin)",
        how_to_read="Below 0.7 hardly any law can be told from another.",
    ),
    _trust(
        name="power_law.exponential_R",
        title="power law against exponential",
        what="Log-likelihood ratio of the power law and the exponential on the tail.",
        formula="sum ln p_PL(x) - ln p_EXP(x)",
        how_to_read="Negative favours the exponential, which no heavy tail would.",
        source="Vuong, Econometrica 57, 307 (1989)",
    ),
    _trust(
        name="power_law.exponential_p",
        title="p-value of that comparison",
        what="Whether the sign of exponential_R can be trusted.",
        formula="erfc(|R| / sqrt(2 n s^2))",
        source="Vuong, Econometrica 57, 307 (1989)",
    ),
    _shape(
        name="alpha_hill",
        title="Hill's alpha of the upper half",
        what="Exponent with xmin set to the median, as TempBalance and FARMS use it. No choice of xmin is involved.",
        formula="1 + n / sum ln(x / x_median) over the upper half",
        not_meaning="Its value for noise depends on Q (2.1 at Q = 1, 5.0 at Q = 10.7): never compare it between layers "
        "of different Q. Use alpha_hill_excess.",
        source="Hill, Annals of Statistics 3, 1163 (1975)",
    ),
    _shape(
        name="alpha_hill_excess",
        title="Hill's alpha, relative to noise",
        what="alpha_hill less what a random matrix of the same Q has.",
        formula="alpha_hill - alpha_hill_random(Q)",
        how_to_read="About 0 for random weights; negative means a heavier tail than noise. Comparable between layers.",
    ),
    _mixed(
        name="alpha_weighted",
        title="weighted alpha, without 1/N",
        what="Alpha times the log of the squared spectral norm. WeightWatcher's name and convention.",
        formula="alpha log10 sv_max^2",
        how_to_read="Within a series of models of one architecture, a smaller mean went with a better test accuracy.",
        not_meaning="Scaling a layer changes it while the network may compute the same, as before a batch "
        "normalisation.",
        source=_NATURE,
    ),
    _mixed(
        name="alpha_hat",
        title="weighted alpha, with 1/N",
        what="Alpha times the log of the largest eigenvalue of X = W^T W / N.",
        formula="alpha log10 lambda_max",
        how_to_read="As alpha_weighted, from which it differs by alpha log10 N. Compare it only with numbers of the "
        "same convention.",
        not_meaning="Scaling a layer changes it while the network may compute the same.",
        source="Martin and Mahoney, Universality and Capacity Metrics (draft), eqn 3",
    ),
    _mixed(
        name="alpha_hat_slices_sum",
        title="alpha_hat summed over kernel positions",
        what="Only with conv = slices: each kernel position of a convolution is fitted by itself.",
        formula="sum of alpha log10 lambda_max over the positions with a fit",
        source="Martin and Mahoney, Universality and Capacity Metrics (draft), eqn 3",
    ),
    _mixed(
        name="log_alpha_norm",
        title="log of the alpha-norm",
        what="The Schatten norm with alpha as its exponent, without the root.",
        formula="log10 sum (sv^2)^alpha",
        how_to_read="Close to alpha_weighted, because the largest eigenvalues dominate the sum.",
        source=_NATURE,
    ),
)
