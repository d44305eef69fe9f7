"""Names that a reader finds in the source model, and ids that are unique and stable.

Exporters rename weights (``onnx::MatMul_1593``) but keep the module hierarchy in
the node's path, or the other way round. The name of a layer is the tensor's
where that says something, else the node's, in dotted form.
"""

from __future__ import annotations

import re

from onnxspec.limits import DEFAULT_LIMITS

__all__ = ["display", "layer_name", "unique"]

_ANONYMOUS = re.compile(
    r"""^(?:
        (?:onnx::)?[A-Za-z]*::?[A-Za-z]+_\d+        # onnx::MatMul_1593
      | (?:val|tensor|const|constant|Constant|t|v|p|x|_v|arg|var|initializer|value|_val)_?\d*(?:_output_0|:0)?
      | \d+ | Constant_\d+ .* | .*/Constant(?:_\d+)?_output_\d+ | (?:Constant|auto|helper)_.*\d+
    )$""",
    re.VERBOSE,
)
_SUFFIXES = re.compile(
    r"(?:[._/](?:weight|weights|kernel|W|w|embeddings?_table|MatMul|Gemm|Conv|Gather)(?::0|_\d+)?)+$"
)
_QUANTIZED = re.compile(r"(?:_quantized|_scale|_zero_point|_q4|_Q4|_DequantizeLinear(?:_Output)?|_transposed|_fp16)+$")
_NUMBERED = re.compile(r"^(?:(?:node_)?(?:MatMul|Gemm|Conv|ConvTranspose|Gather|node)(?:_\d+)?|\d*)$")
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


def layer_name(tensor: str, node: str, op_type: str, index: int, role: str = "") -> str:
    """Choose the name of a layer from the names of its tensor and its node.

    >>> layer_name("onnx::MatMul_1593", "/encoder/layer.3/attention/self/query/MatMul", "MatMul", 7)
    'encoder.layer.3.attention.self.query'
    >>> layer_name("layer1.0.conv1.weight", "Conv_2", "Conv", 2)
    'layer1.0.conv1'
    """
    from_tensor = _dotted(_QUANTIZED.sub("", tensor))
    from_node = _dotted(node)
    anonymous = not from_tensor or _ANONYMOUS.match(tensor) is not None
    if not anonymous:
        return display(from_tensor)
    if from_node and _NUMBERED.match(from_node) is None:
        return display(from_node)
    return display(node or (f"{op_type}_{index}"))


def _dotted(path: str) -> str:
    """Turn a path of modules into a dotted name without the parts that say nothing."""
    parts: list[str] = []
    for part in path.split("/"):
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()  # PyTorch repeats the module: /layer1/layer1.0/conv1
        if part:
            parts.append(part)
    return _SUFFIXES.sub("", ".".join(parts)).strip(".")


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
