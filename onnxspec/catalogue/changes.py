"""What can have happened to a layer between two models, and the words of comparisons."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_change = partial(Entry, kind="verdict", group="compare")
_reason = partial(Entry, kind="reason", group="Comparisons")

ENTRIES = (
    _change(
        name="identical",
        title="the same values",
        what="Every decoded value is the same, whatever the names, the graph around it or the way it is stored.",
    ),
    _change(
        name="cast",
        title="stored in a narrower type",
        what="Every value is the other one cast to float16, bfloat16, float8 or float32. Beside another change: the "
        "result of that is stored in the narrower type.",
        how_to_read="reversed says that a is the narrower one.",
    ),
    _change(
        name="rounding",
        title="quantised",
        what="The values lie evenly spaced, and at least 99.9 % of them moved by half a step at most or were clipped; "
        "bits, granularity (tensor, channel, block) and step are found from the values.",
        how_to_read="background.share_within_half_step is what Gaussian errors of this size would give, about 0.92 "
        "for one step. edge_ratio near 1: the error has no direction. The audit says what it cost.",
    ),
    _change(
        name="pruned",
        title="values set to zero",
        what="The values that changed are zeros now: anywhere, in whole channels, or N of M consecutive inputs (2:4).",
        how_to_read="Followed by another change where the values that are left changed too.",
    ),
    _change(
        name="sparse_update",
        title="few values changed",
        what="At most half of the values changed, by at least 4 steps of their stored type, and not in one block.",
        not_meaning="Fine-tuning in a narrow type leaves values unchanged too; its changes are of one or two steps.",
    ),
    _change(
        name="low_rank_update",
        title="update of low rank",
        what="The difference has r singular values above the edge of the rounding noise of the stored type, and what "
        "is left without them is no more than that noise: a merged LoRA.",
        formula="sv_r(B - A) > 1.15 s (sqrt N + sqrt M) >= sv_{r+1}(B - A), r <= 0.75 M; r <= 0.75 rank A where the "
        "cosine is below 0.3",
        how_to_read="background.energy is the share of the norm that r directions hold once the elements of the "
        "difference are shuffled. After rounding, directions weaker than its noise cannot be seen: r is a lower bound.",
        source="edge of iid noise: Geman, Ann. Probab. 8 (1980) 252; LoRA: Hu et al., arXiv 2106.09685",
    ),
    _change(
        name="batch_norm_folded",
        title="BatchNormalization folded",
        what="One factor for each output channel explains everything, and only one of the two models has a "
        "BatchNormalization behind the layer.",
        how_to_read="The two are one layer, but every metric of the spectrum differs: such pairs enter no average.",
    ),
    _change(
        name="channels_scaled",
        title="one factor a channel",
        what="One factor for each output, or for each input, explains everything up to rounding.",
        how_to_read="As when a normalisation is folded in, or outliers are moved from activations to weights. It "
        "changes alpha and the norms, so such pairs enter no average.",
    ),
    _change(
        name="scale_change_only",
        title="one factor for the whole layer",
        what="Every value was multiplied by one number. From saved reports: every leading eigenvalue was.",
        how_to_read="alpha, stable rank and entropy are as they were; norms and alpha_hat are not. In a network with "
        "normalisation it changes nothing.",
    ),
    _change(
        name="permuted",
        title="channels in another order",
        what="The same values with outputs, inputs or both in another order; exact, or by correlation where the values "
        "changed as well. same_order_in names other layers that moved along.",
        how_to_read="All metrics of the spectrum are as they were.",
    ),
    _change(name="transposed", title="transposed", what="The matrix is the other one with rows and columns exchanged."),
    _change(
        name="same_spectrum",
        title="same singular values, other values",
        what="The two differ by rotations alone: an orthogonal factor, or an order of channels that was not found. "
        "From saved reports it may be a permutation or a transposition as well.",
    ),
    _change(
        name="dense_fine_tune",
        title="all values changed",
        what="The two are related beyond chance (cosine of 0.3 at least), and the difference is neither rounding nor "
        "of low rank.",
        how_to_read="spikes: directions of the difference beyond its own bulk. rest_over_rounding: how much larger it "
        "is than rounding noise.",
    ),
    _change(
        name="reinitialised",
        title="drawn anew",
        what="b has nothing to do with a (its cosine is that of shuffled rows and inputs), and cannot be told from a "
        "random initialisation (p of the trained verdict at least 1e-4, or isometric).",
    ),
    _change(
        name="unrelated",
        title="another layer",
        what="b has nothing to do with a, and is no random initialisation, or too small to say so.",
        how_to_read="Networks trained from other seeds look like this, and layers that were matched by place alone.",
    ),
    _change(
        name="not_finite",
        title="NaN or infinity",
        what="One of the two has values that are NaN or infinite; further changes are those of the other values.",
    ),
    Entry(
        name="undecided",
        kind="verdict",
        group="compare",
        title="cannot be told",
        what="The evidence speaks for nothing, or the values were not looked at; reason says why.",
    ),
    _reason(
        name="needs_models",
        title="the saved reports do not hold it",
        what="Reports hold hashes, metrics and leading eigenvalues, but no values.",
        how_to_read="Compare the two models instead.",
    ),
    _reason(
        name="batch_norm_differs",
        title="BatchNormalization folded in one model only",
        what="Layers of the two models differ by one factor a channel, so their metrics are not those of equal layers.",
    ),
    _reason(
        name="settings_differ",
        title="reports of different settings",
        what="The two reports were made with different settings; differences of metrics may come from that.",
    ),
    _reason(
        name="no_base",
        title="nothing to take off",
        what="With --base: no layer of the base model has the same values, similar values or the same name, in the "
        "same shape. Equal shape and place alone make no difference worth analysing.",
    ),
    _reason(
        name="base_model",
        title="layers are differences",
        what="The report is about A - B, not about A; the message counts the layers without a counterpart.",
        how_to_read="Norms say how much was added, rank and spikes in how many directions. alpha of a merged LoRA is "
        "that of a few eigenvalues.",
    ),
    _reason(
        name="no_layer_of_shape",
        title="no layer of this shape",
        what="The other model has no layer of the same shape.",
    ),
    _reason(
        name="no_layer_left",
        title="no layer left",
        what="All layers of the same shape in the other model belong to other layers.",
    ),
)
