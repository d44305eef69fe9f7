"""Names that a reader finds in the source model, and ids that are unique and stable.

Exporters rename weights (``onnx::MatMul_1593``) but keep the module hierarchy in
the node's path, or the other way round. The name of a layer is the tensor's
where that says something, else the node's, in dotted form.
"""

from __future__ import annotations

import re

from onnxspec.limits import DEFAULT_LIMITS

__all__ = ["display", "layer_name", "module_of", "unique"]

_ANONYMOUS = re.compile(
    r"""^(?:
        (?:[A-Za-z\d]+_)?onnx::[A-Za-z]+_\d+       # onnx::MatMul_1593, with a prefix of onnx.compose
      | [A-Za-z]*::?[A-Za-z]+_\d+
      | (?:val|tensor|const|constant|Constant|Const|t|v|p|x|w|c|_v|arg|var|initializer|value|_val|weight)_?\d*
        (?:_output_0|:0)?
      | \d+ | Constant_\d+ .* | (?:.*/)?Constant(?:_\d+)?_output_\d+ | (?:Constant|auto|helper|reorder)_.*\d+
      | [WRB]__\d+ | (?:Conv|Func)__\d+ | Func/StatefulPartitionedCall/input/_\d+(?::0)?
      | (?:const_fold_opt|new_shape|const_starts|Reshape|Transpose|reorder|fill_like)_*\d*  # tf2onnx, onnxruntime
      | (?:.*/)?(?:Const|Constant)(?:_\d+)?(?::0)?
    )$""",
    re.VERBOSE,
)
"""Names that exporters make up."""

_OUTER = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?|ConstantFolding|jax2tf_.*|pjit_.*|resource)$")
_OPERATIONS = re.compile(
    r"""^(?:
        weights? | kernel | [Ww] | w_\d+ | embeddings?_table | W_all
      | MatMul | Gemm | FusedMatMul | FusedConv | FusedGemm | GemmFastGelu | NhwcFusedConv
      | Conv | ConvTranspose | Gather | LSTM | GRU | RNN
      | Einsum | einsum | Conv[123]D | convolution | depthwise | DepthwiseConv2dNative | separable_conv2d
      | conv2d_transpose | ExpandDims | ReadVariableOp | VariableV2 | resource | read | read_enter | Enter
      | GatherV2 | embedding_lookup | Tensordot | BiasAdd | Cast | transpose | Transpose | Reshape | Const
      | Squeeze | Identity
    )(?:_\d+)?(?:_Gemm__\d+)?(?:_add)?(?::0)?$""",
    re.VERBOSE,
)
"""Last parts of a path that name the operation or the variable, not the module."""

_ENDINGS = re.compile(r"(?<=.)(?:[._]weights?|\.(?:kernel|[Ww]|w_\d+|embeddings?_table))(?:_\d+)?(?::0)?$")
_QUANTIZED = re.compile(
    r"(?:_quantized|_scale|_zero_point|_q4|_Q4|_DequantizeLinear(?:_Output)?|_transposed|_fp16|_nchwc|_quant"
    r"|_output_0|_deepcopy_\d+|_weights_fused_bn|_kernel_quantized)+$"
)
_NUMBERED = re.compile(
    r"^(?:(?:node_)?(?:MatMul|Gemm|Conv|ConvTranspose|Gather|GatherV2|LSTM|GRU|RNN|Einsum|node|n|linear|conv2d|conv1d"
    r"|embedding|matmul|addmm|mm)(?:[_.@]?\d+)*|\d*)$"
)
_REPEATED = ("conv1d", "conv2d", "conv3d", "dense", "embedding")
_STACKED = re.compile(r"^(?:LSTM|GRU|RNN)_(\d+)$")
_CELLS = re.compile(r"^(?:lstm|gru|simple_rnn)_cell(?:_\d+)?$")
_CELL_KERNELS = {"Cast": "kernel", "Cast_1": "recurrent_kernel"}
_QUOTED = re.compile(r"'([^']*)'")
_CONTROL = re.compile(r"[^\x20-\x7e\u00a1-\u02ff\u0370-\u1fff\u2c00-\ud7ff\uf900-\ufdff]|\\(?=x[0-9a-f]{2})")


def display(name: str, length: int = DEFAULT_LIMITS.name_length) -> str:
    """Make a name from the file fit to be shown: escaped where it is not plain text, shortened in the middle."""
    if len(name) > length:
        half = (length - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    return _CONTROL.sub(_escape, name)


def _escape(match: re.Match[str]) -> str:
    """Write one character as a backslash escape."""
    character = match.group()
    if character in "\\…":
        return character
    return character.encode("unicode_escape").decode()


def module_of(scopes: str) -> str:
    """Give the innermost module of a list of scopes, the last of which is the call itself.

    >>> module_of("['', 'encoder', 'encoder.layer.0', 'linear_3']")
    'encoder.layer.0'
    """
    names = _QUOTED.findall(scopes)
    return names[-2] if len(names) > 1 else ""


def layer_name(
    tensor: str, node: str, op_type: str, index: int, role: str = "", bias: str = "", module: str = ""
) -> str:
    """Choose the name of a layer from the names of its tensor, its module, its node and its bias.

    Parameters
    ----------
    tensor, node, op_type : str
        Names of the stored tensor, the node and the operator.
    index : int
        Position of the node, for nodes without a name.
    role : str
        Role of the layer: it tells W and R of a recurrent node apart.
    bias : str
        Name of the bias that is added, which says the module where the others do not.
    module : str
        Path of the module, where the file says it.

    >>> layer_name("onnx::MatMul_1593", "/encoder/layer.3/attention/self/query/MatMul", "MatMul", 7)
    'encoder.layer.3.attention.self.query'
    >>> layer_name("layer1.0.conv1.weight", "Conv_2", "Conv", 2)
    'layer1.0.conv1'
    >>> layer_name("StatefulPartitionedCall/model/dense/MatMul/ReadVariableOp:0", "", "MatMul", 0)
    'model.dense'
    >>> layer_name("val_55", "node_MatMul_56", "MatMul", 56, bias="model.linear1.bias")
    'model.linear1'
    """
    plain = _QUANTIZED.sub("", tensor)
    if plain and _ANONYMOUS.match(plain) is None and (from_tensor := _dotted(plain)):
        return display(from_tensor)
    which = {"recurrent_input": ".input", "recurrent_hidden": ".hidden"}.get(role, "")
    if module:
        return display(module + which)
    from_node = _dotted(_QUANTIZED.sub("", _main_part(node, op_type)))
    if from_node and _NUMBERED.match(from_node) is None:
        return display(from_node + which)
    from_bias = re.sub(r"[._/](?:bias|b_0|b|beta|BiasAdd.*)(?::0)?$", "", bias)
    if from_bias and from_bias != bias and _ANONYMOUS.match(from_bias) is None:
        return display(_dotted(from_bias) + which)
    return display((node or f"{op_type}_{index}") + which)


def _main_part(node: str, op_type: str) -> str:
    """Give of a node's name that tf2onnx joined from several the one that says the product."""
    parts = node.split(";")
    products = ("BiasAdd", "Conv", "conv", "MatMul", "Tensordot", "Gather", op_type)
    return next((part for part in parts if part.rpartition("/")[2].startswith(products)), parts[0])


def _dotted(path: str) -> str:
    """Turn a path of modules into a dotted name without the parts that say nothing."""
    parts: list[str] = []
    for part in path.split("/"):
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()  # PyTorch repeats the module: /layer1/layer1.0/conv1
        if part and (parts or _OUTER.match(part) is None):
            parts.append(part)
    suffix = _strip_operations(parts)
    name = ".".join(parts)
    while (shorter := _ENDINGS.sub("", name)) != name:
        name = shorter
    return name.removesuffix(":0").strip(".") + suffix


def _strip_operations(parts: list[str]) -> str:
    """Take off the last parts that name operations; give what of them tells layers of one module apart."""
    whole = len(parts)
    while len(parts) > 1:
        last, before = parts[-1], parts[-2]
        if last in _CELL_KERNELS and _CELLS.match(before):
            parts.pop()
            return f".{_CELL_KERNELS[last]}"
        stacked = _STACKED.match(last)
        if stacked:
            parts.pop()
            return f".{stacked[1]}"
        # Flax calls a module Conv_0; PyTorch ends a node's path with Conv_0.
        is_module = last.startswith("Conv_") and len(parts) < whole
        if is_module or not (_OPERATIONS.match(last) or (last in _REPEATED and before.startswith(last))):
            return ""
        parts.pop()
    return ""


def unique(names: list[str]) -> list[str]:
    """Make ids from names: the second ``x`` becomes ``x#2``, in graph order."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    ids = []
    for name in names:
        candidate = name
        while candidate in taken:
            counts[name] = counts.get(name, 1) + 1
            candidate = f"{name}#{counts[name]}"
        taken.add(candidate)
        ids.append(candidate)
    return ids
