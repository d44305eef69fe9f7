"""Weights in few bits that are decoded some lines at a time: the numbers of the whole, in a fraction of its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import onnxspec
from onnxspec.errors import TensorError
from onnxspec.graph import parts, survey, values
from onnxspec.graph.parts import Decoded
from onnxspec.layers import value_facts
from onnxspec.limits import Limits
from onnxspec.reading import StoredTensor, open_model
from onnxspec.spectra import slabs
from tests.graph.build import rng
from tests.graph.quantized.codes import I8, U8, F, codes, scales, text_model

LONG, SHORT = 1300, 90


@pytest.fixture
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "LARGE", 4000)
    monkeypatch.setattr(values, "IN_FILE", 5000)
    monkeypatch.setattr(slabs, "SLAB_ELEMENTS", 3000)
    monkeypatch.setattr(value_facts, "SLAB", 2000)
    monkeypatch.setattr(parts, "BLOCK", 3000)
    monkeypatch.setattr(parts, "COLUMNS", 64)
    monkeypatch.setattr(parts, "SMALL", 40)


def product(shape: tuple[int, int], decoding: str, arrays: dict[str, Any]) -> onnx.ModelProto:
    rows, columns = shape
    return text_model(f"g (float[1,{rows}] x) => (float[1,{columns}] y) {{ {decoding} y = MatMul(x, v) }}", arrays)


def channels(rows: int, columns: int, axis: int, *, zero: bool = True) -> onnx.ModelProto:
    size = (rows, columns)[axis]
    arrays = {"w": codes(1, (rows, columns), -128, 127, I8), "s": scales(2, size)}
    if zero:
        arrays["z"] = codes(3, (size,), -9, 9, I8)
    inputs = "w, s, z" if zero else "w, s"
    return product((rows, columns), f"v = DequantizeLinear<axis={axis}>({inputs})", arrays)


def blocks(rows: int, columns: int, axis: int, block: int) -> onnx.ModelProto:
    shape = [rows, columns]
    shape[axis] = -(-shape[axis] // block)
    arrays = {"w": codes(1, (rows, columns), -128, 127, I8), "s": scales(2, *shape)}
    return product((rows, columns), f"v = DequantizeLinear<axis={axis}, block_size={block}>(w, s)", arrays)


def four_bits(rows: int, columns: int) -> onnx.ModelProto:
    packed = rng(4).integers(0, 256, (rows * columns + 1) // 2, dtype=np.uint8).tobytes()
    proto = product((rows, columns), "v = DequantizeLinear<axis=1>(w, s)", {"s": scales(2, columns)})
    tensor = TensorProto(name="w", data_type=TensorProto.INT4, dims=[rows, columns], raw_data=packed)
    proto.graph.initializer.append(tensor)
    return proto


def nbits(rows: int, columns: int, block: int, *, zero: bool) -> onnx.ModelProto:
    number = -(-columns // block)
    arrays = {"w": codes(1, (rows, number, block // 2), 0, 255, U8), "s": scales(3, rows, number)}
    if zero:
        arrays["z"] = codes(4, (rows, -(-number // 2)), 0, 255, U8)
    return text_model(
        f"g (float[1,{columns}] x) => (float[1,{rows}] y) {{ y = com.microsoft.MatMulNBits"
        f"<N={rows}, K={columns}, bits=4, block_size={block}>(x, w, s{', z' if zero else ''}) }}",
        arrays,
    )


def by_hand(rows: int, columns: int) -> onnx.ModelProto:
    arrays = {"w": codes(1, (rows, columns), 0, 255, U8), "s": scales(2, columns), "z": np.array(128, F)}
    return product((rows, columns), "c = Cast<to=1>(w) d = Sub(c, z) v = Mul(d, s)", arrays)


def turned(rows: int, columns: int) -> onnx.ModelProto:
    arrays = {"w": codes(1, (columns, rows), -128, 127, I8), "s": scales(2, columns)}
    return product((rows, columns), "d = DequantizeLinear<axis=0>(w, s) v = Transpose<perm=[1,0]>(d)", arrays)


def looked_up(rows: int, columns: int) -> onnx.ModelProto:
    arrays = {"w": codes(1, (rows, columns), -128, 127, I8), "s": scales(2, rows)}
    text = f"g (int64[1] x) => (float[1,{columns}] y) {{ v = DequantizeLinear<axis=0>(w, s) y = Gather(v, x) }}"
    return text_model(text, arrays)


FORMS = {
    "channels of rows": channels(LONG, SHORT, 0),
    "channels of columns": channels(LONG, SHORT, 1),
    "channels, wide": channels(SHORT, LONG, 1),
    "one scale for each input, wide": channels(SHORT, LONG, 0, zero=False),
    "blocks of rows": blocks(LONG, SHORT, 0, 48),
    "blocks of columns": blocks(LONG, SHORT, 1, 32),
    "blocks, wide": blocks(SHORT, LONG, 0, 16),
    "4 bits": four_bits(LONG, SHORT),
    "4 bits, odd rows": four_bits(LONG, SHORT - 1),
    "4 bits, odd and wide": four_bits(SHORT, LONG - 1),
    "MatMulNBits": nbits(LONG, SHORT, 16, zero=False),
    "MatMulNBits with zero points": nbits(LONG, SHORT, 32, zero=True),
    "cast and multiplied": by_hand(LONG, SHORT),
    "transposed": turned(LONG, SHORT),
    "transposed, wide": turned(SHORT, LONG),
    "looked up": looked_up(LONG, SHORT),
}


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("form", FORMS)
def test_parts_give_what_the_whole_gives(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(FORMS[form].SerializeToString())
    (weight,) = onnxspec.iter_weights(path)
    file = weight.in_file()
    assert file is not None
    assert isinstance(file.tensor, Decoded)
    held = weight.canonical()[0, :, :, 0]
    np.testing.assert_array_equal(file.lines(0, 3, 71), held[3:71])
    np.testing.assert_array_equal(file.lines(1, 5, 88), held[:, 5:88].T)
    with monkeypatch.context() as patched:
        patched.setattr(Decoded, "load_exact", None)
        patched.setattr(type(weight.constant), "load", _refusing(type(weight.constant).load))
        in_parts = onnxspec.analyze(path, jobs=1)
    monkeypatch.setattr(values, "decoded", lambda constant: None)
    whole = onnxspec.analyze(path, jobs=1)
    assert in_parts.layers[0].status == "ok"
    assert in_parts.layers[0].quantization.clipped is not None
    assert in_parts.to_json() == whole.to_json()


def _refusing(load: Any) -> Any:
    """Let a constant be loaded whole where it is no weight."""

    def guarded(self: Any, watch: Any = None) -> Any:
        assert self.size < LONG * 20, "a weight was decoded as a whole"
        return load(self, watch)

    return guarded


@pytest.mark.usefixtures("_everything_is_large")
def test_what_cannot_be_cut_is_decoded_whole(tmp_path: Path) -> None:
    proto = FORMS["channels of columns"]
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    stored = next(tensor for tensor in whole.graph.initializer if tensor.name == "w")
    numbers = np.frombuffer(stored.raw_data, np.int8).tolist()
    stored.ClearField("raw_data")
    stored.int32_data.extend(numbers)  # varints have no fixed place
    reports = []
    for name, model in (("raw.onnx", proto), ("varints.onnx", whole)):
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        reports.append(onnxspec.analyze(path, jobs=1).layers[0])
    assert reports[0] == reports[1]


def test_a_weight_above_the_limit_of_folding_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "IN_FILE", 5000)
    monkeypatch.setattr(values, "LARGE", 4000)
    limits = Limits(fold_elements=50_000)
    for form in ("MatMulNBits", "transposed", "channels of rows"):
        path = tmp_path / "m.onnx"
        path.write_bytes(FORMS[form].SerializeToString())
        layer = onnxspec.analyze(path, jobs=1, limits=limits, effort="fast").layers[0]
        assert (layer.status, layer.reason) == ("ok", None), form
        assert layer.value_hash == onnxspec.analyze(path, jobs=1, effort="fast").layers[0].value_hash
        with open_model(path) as opened:
            weight = survey(opened, limits).weights[0]
            with pytest.raises(TensorError) as error:
                weight.canonical()
            assert error.value.code == "over_limit"


@pytest.mark.parametrize("width", [1, 7, 300])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int4", "uint2", "float64"])
def test_columns_of_a_stored_matrix(width: int, dtype: str, tmp_path: Path) -> None:
    import ml_dtypes

    kind = getattr(ml_dtypes, dtype, None) or np.dtype(dtype)
    array = rng(3).integers(0, 2, (301, 311)).astype(kind)
    tensor = StoredTensor.from_array("w", array)
    np.testing.assert_array_equal(tensor.read_lines(1, 5, 5 + width), array[:, 5 : 5 + width].astype(F))
    np.testing.assert_array_equal(tensor.read_lines(1, 5, 5 + width, native=True), array[:, 5 : 5 + width])
    np.testing.assert_array_equal(tensor.read_lines(0, 9, 31, native=True), array[9:31])
