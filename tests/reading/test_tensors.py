"""Values of every element type, in every form of storage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fixtures.hostile.wire import field, graph, key, model, tensor, varint
from onnxspec.errors import TensorError
from onnxspec.reading import StoredTensor, open_model
from onnxspec.reading._dtypes import DTYPES
from onnxspec.reading._payload import decode_varints
from onnxspec.reading.tensors import CHUNK

SUPPORTED = [dtype for dtype in DTYPES.values() if dtype.supported]
SHAPE = (5, 7)
DESCRIPTORS = Path("/proc/self/fd")


def values_of(name: str) -> np.ndarray[Any, Any]:
    """Give 35 values that reach both ends of the type's range."""
    rng = np.random.default_rng(7)
    if name == "bool":
        return rng.integers(0, 2, SHAPE).astype(bool)
    if name.startswith(("int", "uint")):
        bits = int(name.removeprefix("u").removeprefix("int"))
        low, high = (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        wide = rng.integers(low, high, SHAPE, dtype=np.uint64 if low == 0 else np.int64, endpoint=True)
        wide[0, 0], wide[-1, -1] = low, high
        return wide
    values = rng.standard_normal(SHAPE)
    values[0, 0] = 0
    return np.abs(values) + 0.1 if name == "float8e8m0" else values


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    """Give an array of each type."""
    found = {}
    for dtype in SUPPORTED:
        target = helper.tensor_dtype_to_np_dtype(dtype.code)
        found[dtype.name] = values_of(dtype.name).astype(target)
    return found


ARRAYS = arrays()


def typed(name: str, code: int, array: np.ndarray[Any, Any]) -> TensorProto:
    """Store an array in its typed field."""
    proto = TensorProto(name=name, data_type=code, dims=array.shape)
    raw = numpy_helper.from_array(array).raw_data
    if DTYPES[code].field == "int32_data":
        if DTYPES[code].bits == 32:
            proto.int32_data.extend(array.ravel().tolist())
        else:
            width = max(DTYPES[code].bits // 8, 1)
            signed = DTYPES[code].name in {"int8", "int16"}
            proto.int32_data.extend(np.frombuffer(raw, dtype=f"<{'i' if signed else 'u'}{width}").tolist())
    else:
        getattr(proto, DTYPES[code].field).extend(array.ravel().tolist())
    return proto


def save(folder: Path, tensors: list[TensorProto]) -> Path:
    """Save a model with these initializers."""
    path = folder / "model.onnx"
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], tensors)), path)
    return path


@pytest.mark.parametrize("name", [dtype.name for dtype in SUPPORTED])
def test_every_dtype_in_every_form(name: str, tmp_path: Path) -> None:
    code = next(dtype.code for dtype in SUPPORTED if dtype.name == name)
    array = ARRAYS[name]
    raw = numpy_helper.from_array(array, "raw")
    external = numpy_helper.from_array(array, "external")
    (tmp_path / "w.data").write_bytes(b"pad" + external.raw_data)
    onnx.external_data_helper.set_external_data(external, "w.data", 3, len(external.raw_data))
    external.ClearField("raw_data")
    path = save(tmp_path, [raw, typed("typed", code, array), external])
    memory = StoredTensor.from_array("memory", array)
    assert memory.data_type == code
    with open_model(path) as opened:
        kinds = [t.payload.kind for t in opened.graph.initializers]
        assert kinds == ["raw", DTYPES[code].field, "external"]
        hashes = {memory.content_hash()}
        for stored in [*opened.graph.initializers, memory]:
            assert stored.problem is None
            assert (stored.dtype, stored.shape, stored.size) == (name, SHAPE, 35)
            assert stored.nbytes == len(raw.raw_data)
            loaded = stored.load()
            assert loaded.dtype == array.dtype
            assert loaded.flags.c_contiguous
            assert np.array_equal(loaded, array)
            wide = stored.load_float64()
            assert wide.dtype == np.float64
            assert np.array_equal(wide, array.astype(np.float64))
            for start, stop in ((0, 5), (1, 2), (3, 5), (2, 2), (4, 5), (0, 1)):
                assert np.array_equal(stored.read_rows(start, stop), wide[start:stop])
            hashes.add(stored.content_hash())
        assert len(hashes) == 1


@pytest.mark.parametrize("name", [dtype.name for dtype in SUPPORTED])
def test_typed_field_of_onnx_helper(name: str, tmp_path: Path) -> None:
    code = next(dtype.code for dtype in SUPPORTED if dtype.name == name)
    proto = helper.make_tensor("w", code, SHAPE, ARRAYS[name].ravel())
    assert not proto.HasField("raw_data")
    with open_model(save(tmp_path, [proto])) as opened:
        (stored,) = opened.graph.initializers
        assert np.array_equal(stored.load(), numpy_helper.to_array(proto))


@pytest.mark.parametrize("name", [dtype.name for dtype in SUPPORTED if dtype.bits <= 16])
def test_every_code_of_the_narrow_types(name: str, tmp_path: Path) -> None:
    dtype = next(dtype for dtype in SUPPORTED if dtype.name == name)
    codes = np.arange(2**dtype.bits) if dtype.bits >= 8 else np.arange(256)
    raw = codes.astype("<u2" if dtype.bits == 16 else np.uint8).tobytes()
    proto = TensorProto(name="w", data_type=dtype.code, dims=[len(raw) * 8 // dtype.bits], raw_data=raw)
    with np.errstate(invalid="ignore"):
        expected = numpy_helper.to_array(proto).astype(np.float64)
    if name == "bool":
        expected = (codes != 0).astype(np.float64)
    with open_model(save(tmp_path, [proto])) as opened:
        assert np.array_equal(opened.graph.initializers[0].load_float64(), expected, equal_nan=True)


def test_signalling_nan_is_read_in_silence(tmp_path: Path) -> None:
    patterns = ((1, b"\x01\x00\xa0\x7f"), (10, b"\x01\x7d"), (16, b"\xa0\x7f"), (11, b"\x01" + bytes(5) + b"\xf4\x7f"))
    path = tmp_path / "model.onnx"
    path.write_bytes(model(graph([], [tensor("w", (1,), dtype, raw=raw) for dtype, raw in patterns])))
    with open_model(path) as opened:
        for stored in opened.graph.initializers:
            assert np.isnan(stored.load_float64()).all()
            assert stored.load().tobytes() == patterns[opened.graph.initializers.index(stored)][1]


def test_hash_tells_dtype_shape_and_values_apart() -> None:
    arrays = [
        np.zeros((2, 3), np.float32),
        np.zeros((3, 2), np.float32),
        np.zeros((2, 3), np.int32),
        np.ones((2, 3), np.float32),
        np.zeros((6,), np.float32),
    ]
    assert len({StoredTensor.from_array("x", array).content_hash() for array in arrays}) == len(arrays)


def test_hash_ignores_bits_that_no_element_uses(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    tensors = [tensor(name, (3,), 22, raw=raw) for name, raw in (("a", b"\x21\x03"), ("b", b"\x21\xf3"))]
    path.write_bytes(model(graph([], tensors)))
    with open_model(path) as opened:
        a, b = opened.graph.initializers
        assert a.load().tolist() == b.load().tolist() == [1, 2, 3]
        assert a.content_hash() == b.content_hash()


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])], ids=str)
def test_arrays_that_are_no_real_numbers(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(TensorError) as caught:
        StoredTensor.from_array("x", array)
    assert caught.value.code == "unsupported_dtype"


def test_constants_in_memory_may_be_strided_big_endian_scalar_or_empty() -> None:
    base = np.arange(12, dtype=">f4").reshape(3, 4).T
    assert np.array_equal(StoredTensor.from_array("x", base).load_float64(), base)
    scalar = StoredTensor.from_array("x", np.array(2.5))
    assert scalar.load().shape == ()
    assert scalar.load_float64() == 2.5
    empty = StoredTensor.from_array("x", np.empty((0, 3), np.float32))
    assert empty.load_float64().shape == (0, 3)


def test_rows_that_are_not_there() -> None:
    stored = StoredTensor.from_array("x", np.zeros((3, 2)))
    for start, stop in ((-1, 2), (2, 1), (0, 4)):
        with pytest.raises(IndexError):
            stored.read_rows(start, stop)


@pytest.mark.parametrize("shape", [(3, 0), (3, 0, 0), (3, 0, 2), (0, 2, 0)])
def test_rows_without_elements(shape: tuple[int, ...]) -> None:
    stored = StoredTensor.from_array("x", np.zeros(shape))
    assert stored.read_rows(0, shape[0]).shape == shape


def test_unpacked_fields_are_read(tmp_path: Path) -> None:
    floats = np.array([1.5, -2, 3, 4], "<f4")
    doubles = np.array([1e300, -2, 3, 4], "<f8")
    ints = [-(2**40), 5, 300, 0]
    body_floats = b"".join(key(4, 5) + value.tobytes() for value in floats)
    body_doubles = b"".join(key(10, 1) + value.tobytes() for value in doubles)
    body_ints = b"".join(key(7, 0) + varint(value) for value in ints)
    mixed = field(7, varint(ints[0])) + key(7, 0) + varint(5) + key(7, 0) + varint(300) + field(7, varint(0))
    path = tmp_path / "model.onnx"
    tensors = [
        tensor("f", (4,), 1, more=body_floats),
        tensor("d", (2, 2), 11, more=body_doubles),
        tensor("i", (4,), 7, more=body_ints),
        tensor("m", (4,), 7, more=mixed),
        tensor("split", (4,), 1, more=field(4, floats[:1].tobytes()) + field(4, floats[1:].tobytes())),
    ]
    path.write_bytes(model(graph([], tensors)))
    with open_model(path) as opened:
        f, d, i, m, split = opened.graph.initializers
        assert f.load().tolist() == floats.tolist()
        assert f.read_rows(2, 3).tolist() == [3]
        assert d.load().ravel().tolist() == doubles.tolist()
        assert i.load().tolist() == m.load().tolist() == ints
        assert i.content_hash() == m.content_hash() == StoredTensor.from_array("x", np.array(ints)).content_hash()
        assert split.load().tolist() == floats.tolist()
        assert len(f.payload.segments) == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (bytes(5), "payload_length"),
        (b"\x80\x01" * 2, "payload_length"),
        (b"\x80\x01\x80\x01\x01\x80", "payload_malformed"),
        (b"\x80" * 12 + b"\x01\x01", "payload_malformed"),
    ],
    ids=["long", "short", "cut", "overlong"],
)
def test_broken_varints(payload: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(graph([], [tensor("w", (3,), 7, more=field(7, payload))])))
    with open_model(path) as opened:
        (stored,) = opened.graph.initializers
        for read in (stored.load, stored.load_float64, stored.content_hash):
            with pytest.raises(TensorError) as caught:
                read()
            assert caught.value.code == code


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(0, 9))
def test_varints_are_decoded(values: list[int], cut: int) -> None:
    tail = b"\xff" * cut
    data = b"".join(varint(value) for value in values)
    decoded, used = decode_varints(np.frombuffer(data + tail, np.uint8))
    assert used == len(data)
    assert decoded.tolist() == values


def test_payloads_longer_than_a_chunk(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = CHUNK // 64 + 77
    array = rng.integers(-(2**31), 2**31, (rows, 40), dtype=np.int32)
    nibbles = rng.integers(-8, 8, (rows, 161)).astype(ml_dtypes.int4)
    protos = [
        numpy_helper.from_array(array, "raw"),
        typed("typed", TensorProto.INT32, array),
        numpy_helper.from_array(nibbles, "int4"),
    ]
    with open_model(save(tmp_path, protos)) as opened:
        raw, varints, int4 = opened.graph.initializers
        for stored in (raw, varints):
            assert np.array_equal(stored.load(), array)
            assert np.array_equal(stored.load_float64(), array)
            for start in (0, 5000, rows - 9, 17):
                assert np.array_equal(stored.read_rows(start, start + 9), array[start : start + 9])
        assert raw.content_hash() == varints.content_hash()
        assert np.array_equal(int4.load(), nibbles)
        assert np.array_equal(int4.load_float64(), nibbles.astype(np.float64))
        for start in (0, 12345, rows - 9):
            assert np.array_equal(int4.read_rows(start, start + 9), nibbles[start : start + 9].astype(np.float64))


def test_file_that_shrinks_or_changes(tmp_path: Path) -> None:
    path = save(tmp_path, [numpy_helper.from_array(np.ones((64, 64), np.float32), "w")])
    for change in ("shrink", "touch"):
        with open_model(path) as opened:
            (stored,) = opened.graph.initializers
            assert stored.load().all()
            if change == "shrink":
                data = path.read_bytes()
                os.truncate(path, 200)
            else:
                os.utime(path, ns=(1, 1))
            for read in (stored.load, stored.load_float64, stored.content_hash):
                with pytest.raises(TensorError) as caught:
                    read()
                assert caught.value.code == "file_changed"
        if change == "shrink":
            path.write_bytes(data)


def test_side_file_that_is_replaced(tmp_path: Path) -> None:
    side = tmp_path / "w.data"
    side.write_bytes(bytes(64))
    path = tmp_path / "model.onnx"
    path.write_bytes(model(graph([], [tensor("w", (4, 4), external=[("location", "w.data")])])))
    with open_model(path) as opened:
        (stored,) = opened.graph.initializers
        assert not stored.load().any()
        os.utime(side, ns=(1, 1))
        with pytest.raises(TensorError) as caught:
            stored.load()
        assert caught.value.code == "file_changed"


def test_many_side_files_with_few_descriptors(tmp_path: Path) -> None:
    tensors = []
    for i in range(100):
        (tmp_path / f"{i}.data").write_bytes(np.array([i], "<f4").tobytes())
        tensors.append(tensor(f"w{i}", (1,), external=[("location", f"{i}.data")]))
    path = tmp_path / "model.onnx"
    path.write_bytes(model(graph([], tensors)))
    before = len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else None
    opened = open_model(path)
    values = [stored.load()[0] for stored in opened.graph.initializers]
    assert values == list(range(100))
    if before is not None:
        assert len(list(DESCRIPTORS.iterdir())) - before <= 20
        opened.close()
        assert len(list(DESCRIPTORS.iterdir())) == before
    opened.close()
    with pytest.raises(TensorError):
        opened.graph.initializers[0].load()
