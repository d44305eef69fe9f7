"""Roles of layers, settings of an analysis, and the words of the report."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_role = partial(Entry, kind="role", group="Roles")
_setting = partial(Entry, kind="setting", group="Settings")
_term = partial(Entry, kind="term", group="Words")

ENTRIES = (
    _role(name="dense", title="matrix product", what="A linear layer: Gemm, MatMul and their quantised forms."),
    _role(
        name="conv",
        title="convolution",
        what="A kernel of one to three spatial axes. ESD, alpha and norms come from its kernel positions, bulk and "
        "phase from the unfolded matrix C_out x C_in*k.",
    ),
    _role(name="conv_transpose", title="transposed convolution", what="As conv, for ConvTranspose."),
    _role(
        name="depthwise_conv",
        title="depthwise convolution",
        what="One filter for each channel, so no matrix that mixes channels. It has norms, no fit, and enters no mean.",
    ),
    _role(
        name="embedding",
        title="table of vectors",
        what="Rows are looked up, not multiplied. Its spectrum shows how often tokens occur, so it enters no mean.",
    ),
    _role(
        name="attention_qkv",
        title="query, key and value of attention",
        what="The three projections of an attention layer, where the operator stores them as one weight.",
    ),
    _role(
        name="recurrent_input",
        title="input weights of a recurrent layer",
        what="What an LSTM, GRU or RNN multiplies its input with.",
    ),
    _role(
        name="recurrent_hidden",
        title="hidden weights of a recurrent layer",
        what="What an LSTM, GRU or RNN multiplies its own state with.",
    ),
    _setting(
        name="effort",
        title="how much is computed",
        what="fast: norms, ranks and alpha. standard: also intervals, bulk, spikes, trained verdict and phase. full: "
        "also goodness of fit, other laws, and p-values by permutation.",
    ),
    _setting(
        name="cross_check",
        title="second opinion on the power laws",
        what="Fit every tail with the powerlaw package too, and say whether it finds the same.",
    ),
    _setting(
        name="conv",
        title="matrices of a convolution",
        what="pooled: the eigenvalues of all kernel positions together. slices: one fit for each position, alpha is "
        "their mean. unfold: one matrix C_out x C_in*k.",
    ),
    _setting(
        name="ks",
        title="form of the KS distance",
        what="grid: as in Clauset's code, powerlaw 1.5 and WeightWatcher. two_sided: the textbook distance. seed2018: "
        "as powerlaw 1.4 with xmax, which made the published tables.",
        how_to_read="Another form may choose another xmin, and alpha with it.",
    ),
    _setting(
        name="min_evals",
        title="fewest eigenvalues for a fit",
        what="Layers with fewer have norms, but no power-law fit and no phase (too_small).",
        how_to_read="50 by default. Below it, alpha of random weights lies anywhere.",
    ),
    _setting(
        name="min_tail",
        title="fewest eigenvalues in a tail",
        what="Candidates for xmin that leave fewer are not chosen. By default max(10, 2 % of the eigenvalues).",
    ),
    _setting(
        name="stochastic_above",
        title="estimate above this side",
        what="Of a matrix whose shorter side is longer, norms and the largest eigenvalues are estimated from 24 "
        "products with blocks of 16 vectors, without its Gram matrix. Everything else is null with the reason "
        "stochastic, alpha too. By default no matrix is.",
        how_to_read="For matrices whose eigenvalues cost too much time, or whose Gram matrix too much memory.",
    ),
    _setting(
        name="exact",
        title="singular values by SVD",
        what="Instead of the eigenvalues of the Gram matrix, which are as good for float32 weights and faster.",
    ),
    _setting(name="spectra", title="keep all eigenvalues", what="Puts every eigenvalue into the JSON report."),
    _setting(
        name="gates",
        title="gates of recurrent layers one by one",
        what="One matrix for each gate of an LSTM or GRU, rather than one for each direction.",
    ),
    _setting(
        name="include",
        title="layers to analyse all the same",
        what="Globs on id, name, tensor or slot: kept even where the values look like a mask, table or fixed basis.",
    ),
    _setting(
        name="exclude",
        title="layers to leave out",
        what="Globs; the layers are skipped with the reason excluded.",
    ),
    _setting(
        name="roles",
        title="roles set by hand",
        what="Globs with the role that their layers are to have, where the graph does not show it.",
    ),
    _term(name="tensor", title="tensor", what="One stored constant of the file."),
    _term(
        name="slot",
        title="slot",
        what="One input of one node that can hold a weight (Conv input 1, Gemm input 1, LSTM inputs 1 and 2, ...) and "
        "is fed by a constant with two or more axes longer than 1 and at least 64 elements. Coverage counts slots.",
    ),
    _term(
        name="layer",
        title="layer",
        what="One distinct weight tensor with its role. used_by lists its slots, so a shared weight is one layer.",
    ),
    _term(
        name="role",
        title="role",
        what="What the weight does in the network; it decides which matrices are made of it and what is averaged.",
    ),
    _term(
        name="W",
        title="W",
        what="The weight matrix, turned so that N >= M.",
    ),
    _term(
        name="X",
        title="correlation matrix",
        what="Correlation matrix of the columns of W; the eigenvalues are its.",
        formula="X = W^T W / N",
    ),
    _term(
        name="evals",
        title="eigenvalues",
        what="Eigenvalues of X, written lambda in formulas. The singular values sv are those of W.",
        formula="lambda = sv^2 / N",
    ),
    _term(
        name="ESD",
        title="empirical spectral density",
        what="How the eigenvalues of a layer are distributed.",
        formula="rho(x) = (1/K) sum delta(x - lambda_i)",
    ),
    _term(
        name="finding",
        title="finding",
        what="A rule of check that fired.",
        not_meaning="Different from a diagnostic (a fact or caveat) and from a skip (a slot deliberately left out).",
    ),
    _term(name="diagnostic", title="diagnostic", what="A fact or caveat about the file or a layer, with a code."),
    _term(name="skip", title="skip", what="A slot that was not analysed, with the reason."),
    _term(
        name="ok",
        title="analysed",
        what="Status of a layer whose norms exist. With a reason beside it there are norms, but no fit.",
    ),
    _term(
        name="skipped",
        title="skipped",
        what="Status of a layer that was deliberately left out: no weight, over a limit, or an unsupported operator.",
    ),
    _term(
        name="failed",
        title="failed",
        what="Status of a layer whose values cannot be read or are not finite. It enters no mean and never stops the "
        "rest.",
    ),
)
