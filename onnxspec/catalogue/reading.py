"""Why a weight cannot be read, and what is odd about a file."""

from __future__ import annotations

from functools import partial

from onnxspec.catalogue._entry import Entry

__all__ = ["ENTRIES"]

_payload = partial(Entry, kind="reason", group="Data of a tensor")
_external = partial(Entry, kind="reason", group="External data")
_graph = partial(Entry, kind="reason", group="Graph")
_note = partial(Entry, kind="reason", group="Notes about the file")

_BROKEN = "The file is damaged or was written by a broken exporter; export it again."

ENTRIES = (
    _payload(
        name="payload_missing",
        title="no data",
        what="The tensor has dims but no data.",
        how_to_read=_BROKEN,
    ),
    _payload(
        name="payload_length",
        title="wrong length",
        what="The data are shorter or longer than dims and type ask for.",
        how_to_read=_BROKEN,
    ),
    _payload(
        name="payload_malformed",
        title="broken numbers",
        what="A number in a packed field is cut off or longer than ten bytes.",
        how_to_read=_BROKEN,
    ),
    _payload(
        name="payload_field",
        title="data in the wrong field",
        what="The data are in a field in which values of this type cannot be.",
        how_to_read=_BROKEN,
    ),
    _payload(
        name="payload_ambiguous",
        title="data in several places",
        what="The tensor has data twice, so it is open which of them a runtime would use.",
        how_to_read="Two programs may see two models here. Do not trust the file.",
    ),
    _payload(
        name="unreadable_payload",
        title="no stored tensor behind the weight",
        what="The constant has neither stored data nor an operator that makes it.",
    ),
    _payload(
        name="segmented_tensor",
        title="segment of a larger tensor",
        what="ONNX once allowed a tensor to be stored in segments; no runtime reads that.",
    ),
    _payload(
        name="unsupported_dtype",
        title="type that is no real number",
        what="The element type is unknown, text or complex.",
    ),
    _payload(name="negative_dim", title="negative dim", what="A dim of the tensor is negative.", how_to_read=_BROKEN),
    _payload(
        name="dims_overflow",
        title="dims beyond any computer",
        what="The dims ask for more elements than can be addressed.",
        how_to_read="A hostile or damaged file. Nothing was allocated.",
    ),
    _payload(
        name="rank_too_high",
        title="too many dims",
        what="More axes than the limit; real weights have at most six.",
    ),
    _payload(
        name="tensor_too_large",
        title="over the limit of one tensor",
        what="The stored bytes of the tensor exceed the limit.",
    ),
    _payload(name="out_of_memory", title="no memory", what="The stored bytes do not fit in memory."),
    _payload(
        name="file_changed",
        title="the file changed",
        what="Size or date of the file are not what they were when it was opened.",
        how_to_read="Analyse it when it is complete.",
    ),
    _external(
        name="external_data_missing",
        title="side file missing",
        what="The file that holds the data is not there.",
        how_to_read="Put it beside the model, under the name it was exported with.",
    ),
    _external(
        name="external_data_outside",
        title="location outside the model's folder",
        what="The location is absolute or leads upward. Nothing was opened.",
        how_to_read="No exporter writes that. Treat the file as hostile.",
    ),
    _external(
        name="external_data_symlink",
        title="symbolic link",
        what="A link is on the way to the data; links are not followed, because they may lead anywhere.",
        how_to_read="Copy the file in place of the link. Model caches are full of such links.",
    ),
    _external(
        name="external_data_hard_link",
        title="hard link",
        what="The side file has a second name, so it may be any file of the disk.",
        how_to_read="Copy the file, or pass allow_hard_links where you trust the folder.",
    ),
    _external(
        name="external_data_not_a_file",
        title="no regular file",
        what="The location is a folder, device, pipe or socket.",
    ),
    _external(
        name="external_data_location",
        title="location that names no side file",
        what="The location is missing, given twice, too long, has a NUL character, or is the model itself.",
    ),
    _external(
        name="external_data_range",
        title="range outside the side file",
        what="Offset and length are no plain numbers or reach beyond the end of the file.",
        how_to_read="The side file is truncated or belongs to another export.",
    ),
    _external(
        name="external_data_memory",
        title="address in memory",
        what="The location is an address in the memory of the program that wrote it.",
    ),
    _external(
        name="external_data_unavailable",
        title="side files cannot be read here",
        what="The model came from standard input, which has no folder, or the system cannot open files safely.",
        how_to_read="Give the path of the model; use Linux or macOS.",
    ),
    _external(
        name="external_data_unreadable",
        title="side file cannot be opened",
        what="The system refused; the message says why.",
    ),
    _graph(
        name="not_folded",
        title="operator that is not evaluated",
        what="The weight is computed in the graph by an operator that onnxspec does not evaluate.",
        how_to_read="Run the model through a constant-folding optimiser, or report the operator.",
    ),
    _graph(
        name="invalid_graph",
        title="nodes that do not fit",
        what="A node does not fit the shapes or types of its inputs.",
        how_to_read="onnx.checker or a runtime would refuse the model as well.",
    ),
    _graph(
        name="invalid_sparse",
        title="broken sparse tensor",
        what="Indices of a sparse tensor lie outside its shape or do not match its values.",
    ),
    _graph(
        name="invalid_scale",
        title="scales that do not fit",
        what="A scale is zero, negative or not finite, or there are not as many as channels or blocks.",
        how_to_read="The codes cannot be turned into weights; a runtime computes nonsense from them.",
    ),
    _graph(
        name="scale_not_found",
        title="scale is no constant",
        what="The weights are stored as codes, and their scale or zero point was not found among the constants.",
    ),
    _graph(
        name="unsupported_layout",
        title="unknown arrangement of codes",
        what="The codes are packed or ordered in a way that onnxspec does not read.",
        how_to_read="Please report the model.",
    ),
    _graph(
        name="reordered",
        title="kernel in blocks of channels",
        what="onnxruntime stored the optimised model with the kernel in blocks whose size the file does not prove.",
        how_to_read="Analyse the model as it was before the runtime optimised it.",
    ),
    _graph(
        name="cyclic_graph",
        title="cycle",
        what="A value depends on itself. What depends on it is not looked at.",
        how_to_read="No runtime can execute such a graph.",
    ),
    _graph(
        name="recursive_function",
        title="function that calls itself",
        what="ONNX forbids it; the inner call is not entered.",
    ),
    _graph(
        name="too_many_calls",
        title="functions nested too deep",
        what="Functions call functions beyond the limit, or one is called in too many ways; the rest is not entered.",
    ),
    _graph(
        name="duplicate_name",
        title="name given twice",
        what="Two initializers or two nodes of one graph define the same value. The first one counts.",
        how_to_read="Two programs may see two models here. Do not trust the file.",
    ),
    _graph(name="failed", title="failed", what="The layer failed and its reason is not known. Please report it."),
    _note(
        name="undefined_input",
        title="value that nothing defines",
        what="A node reads a value that no node, input or initializer gives.",
        how_to_read="No runtime can execute such a graph.",
    ),
    _note(
        name="tied",
        title="same values as another layer",
        what="Two layers hold the same values, or the same spectrum as a transposed or permuted copy has.",
        how_to_read="Shared embeddings are the usual case. Nothing is wrong.",
    ),
    _note(
        name="unsorted_nodes",
        title="nodes out of order",
        what="Nodes stand before those whose results they read. ONNX wants them sorted; nothing is lost here.",
    ),
    _note(
        name="no_opset_import",
        title="no operator sets named",
        what="The file does not say which versions of the operators it uses.",
    ),
    _note(
        name="future_opset",
        title="operator set of the future",
        what="The file uses a newer operator set than this onnxspec knows; operators may mean something else there.",
    ),
    _note(
        name="future_ir_version",
        title="format of the future",
        what="The file has a newer IR version than this onnxspec knows.",
    ),
    _note(
        name="foreign_domain",
        title="operators of another domain",
        what="The graph uses operators that neither ONNX nor a known runtime defines.",
        how_to_read="Their weights, if any, are counted as unsupported_op.",
    ),
    _note(
        name="pattern_unused",
        title="pattern without a layer",
        what="A pattern of --include, --exclude or --role fits no layer.",
        how_to_read="`onnxspec inspect` lists the names.",
    ),
    _note(
        name="unknown_fields",
        title="fields that ONNX does not define",
        what="The file has protobuf fields of a newer or another format; they were not read.",
    ),
    _note(
        name="training_info_ignored",
        title="graphs for training",
        what="The file holds graphs for training; they were not looked at, nor were weights that only they use.",
    ),
    _note(
        name="invalid_utf8",
        title="names that are no text",
        what="Names are no valid UTF-8; their broken bytes are shown with backslashes.",
    ),
    _note(
        name="attribute_left_out",
        title="attribute too long",
        what="Values of an attribute were too long to be read.",
    ),
    _note(
        name="external_data_unknown_key",
        title="unknown key in external data",
        what="External data have a key that ONNX does not define; it was not used.",
    ),
)
