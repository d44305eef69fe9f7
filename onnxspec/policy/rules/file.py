"""Rules about the file: where its bytes come from, and whether it is the file that was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial

from onnxspec.policy.context import Context, Hit, Rule, about, matches
from onnxspec.policy.rules.coverage import UNREADABLE

__all__ = ["RULES"]

REFUSED = (
    "external_data_outside",
    "external_data_symlink",
    "external_data_hard_link",
    "external_data_not_a_file",
    "external_data_location",
    "external_data_range",
    "external_data_memory",
)
"""Diagnostics of references to external data that no exporter writes."""

ONNX_DOMAINS = ("", "ai.onnx")


def _external_data(context: Context) -> Iterator[Hit]:
    if context.policy.file.external_data:
        return
    for file in context.report.model.external_files:
        yield Hit(
            file.location, "weights lie in this external file, which the policy does not allow", key=file.location
        )


def _external_data_refused(context: Context) -> Iterator[Hit]:
    for diagnostic in context.report.diagnostics:
        if diagnostic.code in REFUSED:
            subject = diagnostic.subject or "model"
            yield Hit(subject, f"{diagnostic.code}: {diagnostic.message}", key=f"{diagnostic.code} {subject}")


def _foreign_domain(context: Context) -> Iterator[Hit]:
    allowed = context.policy.file.domains
    for domain, version in sorted(context.report.model.opset_import.items()):
        names = ONNX_DOMAINS if domain in ONNX_DOMAINS else (domain,)
        if not any(fnmatchcase(name, pattern) for name in names for pattern in allowed):
            message = f"the model imports operators of the domain {domain!r} (version {version}), which is not allowed"
            yield Hit(domain or "ai.onnx", message, key=domain)


def _opset(context: Context) -> Iterator[Hit]:
    imports = context.report.model.opset_import
    versions = [imports[domain] for domain in ONNX_DOMAINS if domain in imports]
    if not versions:
        yield Hit("model", "the model does not say which version of ONNX's operators it uses", key="absent")
        return
    version, rules = max(versions), context.policy.file
    if rules.opset_max is not None and version > rules.opset_max:
        message = f"opset {version} is newer than {rules.opset_max}, the newest that is allowed"
        yield Hit("model", message, key="max", badness=float(version))
    if rules.opset_min is not None and version < rules.opset_min:
        message = f"opset {version} is older than {rules.opset_min}, the oldest that is allowed"
        yield Hit("model", message, key="min", badness=-float(version))


def _size(context: Context) -> Iterator[Hit]:
    limit, model = context.policy.file.max_bytes, context.report.model
    if limit is None:
        return
    unknown = [file.location for file in model.external_files if file.bytes is None]
    if unknown:
        yield Hit("model", f"the size of {len(unknown)} external files is not known", key="unknown", inconclusive=True)
    total = model.bytes + sum(file.bytes or 0 for file in model.external_files)
    if total > limit:
        yield Hit("model", f"{total:,} bytes are more than the {limit:,} allowed", badness=float(total))


def _file_hash(context: Context) -> Iterator[Hit]:
    model, pins = context.report.model, context.policy.pins
    if pins.sha256 and model.sha256.lower() not in pins.sha256:
        yield Hit("model", f"its SHA-256 is {model.sha256[:64]}, which is not pinned", key=model.sha256)
    found = {file.location: file.sha256 for file in model.external_files}
    for location, wanted in pins.external.items():
        have = found.get(location)
        if location not in found:
            yield Hit(location, "the pinned external file is not used by the model", key=location)
        elif have is None:
            yield Hit(location, "its SHA-256 is not in the report", key=location, inconclusive=True)
        elif have.lower() != wanted:
            yield Hit(location, f"its SHA-256 is {have[:64]}, not the pinned one", key=f"{location} {have}")


def _layer_hash(context: Context) -> Iterator[Hit]:
    pins: Mapping[str, str] = context.policy.pins.layers
    for pattern, wanted in pins.items():
        found = [layer for layer in context.report.layers if matches(layer, pattern)]
        if not found:
            yield Hit(pattern, "no layer has the name that is pinned", key=pattern)
        for layer in found:
            have = (layer.content_hash, layer.value_hash)
            if have == (None, None):
                yield about(layer, "its hash is not in the report", inconclusive=True)
            elif wanted not in have:
                yield about(layer, f"its content hash is {layer.content_hash}, not the pinned one")


def _file_changed(context: Context) -> Iterator[Hit]:
    for diagnostic in context.report.diagnostics:
        if diagnostic.code == "file_changed":
            subject = diagnostic.subject or "model"
            yield Hit(subject, diagnostic.message, key=subject)


STRUCTURE = frozenset(
    {
        "cyclic_graph",
        "duplicate_name",
        "external_data_unknown_key",
        "invalid_graph",
        "invalid_utf8",
        "recursive_function",
        "too_many_calls",
        "undefined_input",
        "unsorted_nodes",
    }
)


def _structure(context: Context) -> Iterator[Hit]:
    layers = {layer.name for layer in context.report.layers}
    for diagnostic in context.report.diagnostics:
        odd = diagnostic.code in STRUCTURE
        broken = diagnostic.severity == "error" and diagnostic.subject not in layers
        known = diagnostic.code in UNREADABLE or diagnostic.code in (*REFUSED, "file_changed")
        if (odd or broken) and not known:
            subject = diagnostic.subject or "model"
            yield Hit(subject, f"{diagnostic.code}: {diagnostic.message}", key=f"{diagnostic.code} {subject}")


def _dtype(context: Context) -> Iterator[Hit]:
    allowed = context.policy.file.dtypes
    for layer in context.report.layers:
        if not any(fnmatchcase(layer.dtype, pattern) for pattern in allowed):
            yield about(layer, f"it is stored as {layer.dtype}, which is not allowed")


_rule = partial(Rule, group="file")

RULES = (
    _rule(
        "OS101",
        "external-data",
        severity="warning",
        title="weights outside the model file",
        rationale="External data is a second file that must travel with the model, be scanned and be pinned as well. "
        "A pipeline that copies one file loses or mixes up the weights.",
        remedy="Ship the model as one file, or set file.external_data = true and pin the external files.",
        thresholds=("file.external_data",),
        look=_external_data,
    ),
    _rule(
        "OS102",
        "external-data-refused",
        severity="error",
        title="external data that points where it must not",
        rationale="A reference that leaves the model's folder, goes through a link, names a device or lies about its "
        "range makes careless readers open files of the machine that loads the model.",
        remedy="Refuse the file and ask the vendor. Export again with relative locations beside the model.",
        look=_external_data_refused,
    ),
    _rule(
        "OS103",
        "foreign-domain",
        severity="warning",
        title="operators of a domain that is not allowed",
        rationale="Operators outside ONNX's own domains run code of a particular runtime or of a library that must be "
        "loaded beside it.",
        remedy="Add the domain to file.domains if your runtime is meant to load it; otherwise export without it.",
        thresholds=("file.domains",),
        look=_foreign_domain,
    ),
    _rule(
        "OS104",
        "opset-out-of-range",
        severity="warning",
        title="opset absent, too new or too old",
        rationale="A runtime refuses operator sets that it does not know, and readings of one that is not named are "
        "guesses.",
        remedy="Convert the model to an opset that your runtime supports, or move file.opset_max.",
        thresholds=("file.opset_min", "file.opset_max"),
        look=_opset,
    ),
    _rule(
        "OS105",
        "file-too-large",
        severity="error",
        title="larger than allowed",
        rationale="A model larger than expected does not fit the device, or is not the model that was ordered.",
        remedy="Ask for a smaller model, or raise file.max_bytes.",
        thresholds=("file.max_bytes",),
        look=_size,
    ),
    _rule(
        "OS106",
        "file-hash-mismatch",
        severity="error",
        title="not the pinned file",
        rationale="The file is not the one that was reviewed.",
        remedy="Fetch the reviewed file, or review this one and pin its SHA-256.",
        thresholds=("pins.sha256", "pins.external"),
        look=_file_hash,
    ),
    _rule(
        "OS107",
        "layer-hash-mismatch",
        severity="error",
        title="not the pinned weights",
        rationale="A layer that must stay as it is, such as a frozen backbone, has other weights.",
        remedy="Find out who changed the layer, or pin its new hash.",
        thresholds=("pins.layers",),
        look=_layer_hash,
    ),
    _rule(
        "OS108",
        "file-changed",
        severity="error",
        title="the file changed while it was read",
        rationale="The report mixes two states of the file, so it describes neither.",
        remedy="Check a copy that nobody writes to.",
        look=_file_changed,
    ),
    _rule(
        "OS109",
        "odd-structure",
        severity="warning",
        title="a graph that no exporter writes",
        rationale="Duplicate names, cycles, recursive functions and the like are read differently by different "
        "runtimes, so what was checked may not be what runs.",
        remedy="Export the model again with a current exporter; ask the vendor how the file was made.",
        look=_structure,
    ),
    _rule(
        "OS110",
        "dtype-not-allowed",
        severity="warning",
        title="weights of a type that is not allowed",
        rationale="The target cannot compute with the type, or the type was not agreed on.",
        remedy="Convert the weights, or add the type to file.dtypes.",
        thresholds=("file.dtypes",),
        look=_dtype,
    ),
)
