"""Opening models: real files, the parts of a graph, what is recognised, what it costs."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import onnxspec.reading.wire
from fixtures.hostile.wire import attribute, field, graph, key, model, node, number, tensor, varint
from onnxspec.errors import InputError, LimitError, NotAModelError, OnnxspecError, TensorError
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.reading import Attribute, Graph, Node, Source, SparseTensor, StoredTensor, open_model
from onnxspec.reading.wire import walk

ROOT = Path(__file__).resolve().parents[2]


def check_attribute(mine: Attribute, theirs: onnx.AttributeProto) -> None:
    expected = helper.get_attribute_value(theirs) if not theirs.ref_attr_name else None
    if isinstance(mine.value, Graph):
        check_graph(mine.value, expected)
    elif isinstance(mine.value, StoredTensor):
        check_tensor(mine.value, expected)
    elif isinstance(expected, bytes):
        assert mine.value == expected.decode()
    elif isinstance(expected, list) and expected and isinstance(expected[0], bytes):
        assert mine.value == [item.decode() for item in expected]
    else:
        assert mine.value == expected


def check_tensor(mine: StoredTensor, theirs: onnx.TensorProto) -> None:
    assert mine.name == theirs.name
    if theirs.data_type == onnx.TensorProto.STRING:
        assert mine.problem is not None
        return
    expected = numpy_helper.to_array(theirs)
    assert mine.problem is None
    assert mine.load().dtype == expected.dtype
    assert mine.load().tobytes() == expected.tobytes()
    assert mine.shape == expected.shape


def check_node(mine: Node, theirs: onnx.NodeProto) -> None:
    assert (mine.name, mine.op_type, mine.overload) == (theirs.name, theirs.op_type, theirs.overload)
    assert mine.domain == ("" if theirs.domain == "ai.onnx" else theirs.domain)
    assert mine.inputs == tuple(theirs.input)
    assert mine.outputs == tuple(theirs.output)
    assert list(mine.attributes) == [item.name for item in theirs.attribute]
    for item in theirs.attribute:
        check_attribute(mine.attributes[item.name], item)


def check_graph(mine: Graph, theirs: onnx.GraphProto) -> None:
    assert mine.name == theirs.name
    assert mine.inputs == [info.name for info in theirs.input]
    assert mine.outputs == [info.name for info in theirs.output]
    assert len(mine.nodes) == len(theirs.node)
    for node_, proto in zip(mine.nodes, theirs.node, strict=True):
        check_node(node_, proto)
    assert len(mine.initializers) == len(theirs.initializer)
    for stored, proto in zip(mine.initializers, theirs.initializer, strict=True):
        check_tensor(stored, proto)


def test_real_models_equal_onnx(shared: Path) -> None:
    paths = sorted((shared / "models").glob("*/*.onnx"))
    assert len(paths) > 30
    for path in paths:
        theirs = onnx.load(path)
        with open_model(path) as mine:
            check_graph(mine.graph, theirs.graph)
            assert mine.ir_version == theirs.ir_version
            assert mine.opset_import.get("") == max(item.version for item in theirs.opset_import if not item.domain)
            assert mine.diagnostics == []
            assert mine.source.size == path.stat().st_size


def rich_model() -> onnx.ModelProto:
    """Make a model with everything that may hold a tensor."""
    weights = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones((2, 2)), "inner_constant"))],
        "inner",
        [],
        [helper.make_tensor_value_info("c", 1, None)],
        [numpy_helper.from_array(np.full((2,), 7, np.int8), "inner_w")],
    )
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([1.0, 2.0], np.float32), "sparse"),
        numpy_helper.from_array(np.array([0, 3], np.int64), "sparse_indices"),
        [2, 2],
    )
    nodes = [
        helper.make_node("If", ["cond"], ["o"], name="if", then_branch=inner, else_branch=inner),
        helper.make_node("Constant", [], ["k1"], value_ints=[1, -2, 3]),
        helper.make_node("Constant", [], ["k2"], value_float=2.5),
        helper.make_node("Constant", [], ["k3"], value_string="ä"),
        helper.make_node("Constant", [], ["k4"], sparse_value=sparse),
        helper.make_node("Constant", [], ["k5"], value_strings=["a", "b"], value_floats=[1.0, 2.0], value_int=-5),
        helper.make_node("F", ["x"], ["y"], domain="local", overload="o1"),
        helper.make_node("Custom", ["", "w"], ["z"], domain="ai.onnx", tensors=[weights, weights], graphs=[inner]),
    ]
    main = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("x", 1, ["batch", 3]), helper.make_tensor_value_info("s", 1, None)],
        [helper.make_tensor_value_info("y", 1, None)],
        [weights],
        sparse_initializer=[sparse],
        doc_string="0",
    )
    body = [helper.make_node("MatMul", ["a", "fw"], ["b"])]
    constant = helper.make_node("Constant", [], ["fw"], value=numpy_helper.from_array(np.eye(3), "function_w"))
    function = helper.make_function(
        "local",
        "F",
        ["a"],
        ["b"],
        [constant, *body],
        [helper.make_opsetid("ai.onnx", 18)],
        ["p"],
        [helper.make_attribute("q", 3)],
        overload="o1",
    )
    function.node[1].attribute.add(name="r", ref_attr_name="p", type=onnx.AttributeProto.INT)
    return helper.make_model(
        main,
        functions=[function],
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("local", 1)],
        producer_name="tests",
        producer_version="1",
    )


def test_everything_that_holds_tensors(tmp_path: Path) -> None:
    theirs = rich_model()
    path = tmp_path / "model.onnx"
    onnx.save(theirs, path)
    with open_model(path) as mine:
        check_graph_without_sparse(mine.graph, theirs.graph)
        assert mine.producer == "tests 1"
        assert mine.opset_import == {"": 18, "local": 1}
        assert mine.graph.input_shapes == {"x": (None, 3)}
        (sparse,) = mine.graph.sparse_initializers
        constant = mine.graph.nodes[4].attributes["sparse_value"].value
        for found in (sparse, constant):
            assert isinstance(found, SparseTensor)
            assert (found.name, found.shape) == ("sparse", (2, 2))
            assert found.values.load().tolist() == [1, 2]
            assert found.indices.load().tolist() == [0, 3]
        lists = mine.graph.nodes[7].attributes
        assert [item.load().tolist() for item in lists["tensors"].value] == [[[0, 1, 2], [3, 4, 5]]] * 2
        assert lists["graphs"].value[0].initializers[0].load().tolist() == [7, 7]
        (function,) = mine.functions
        assert (function.domain, function.name, function.overload) == ("local", "F", "o1")
        assert (function.inputs, function.outputs, function.attributes) == (["a"], ["b"], ["p"])
        assert function.attribute_defaults["q"].value == 3
        assert function.opset_import == {"": 18}
        assert function.nodes[0].attributes["value"].value.load().tolist() == np.eye(3).tolist()
        assert function.nodes[1].attributes["r"].ref_attr_name == "p"


def check_graph_without_sparse(mine: Graph, theirs: onnx.GraphProto) -> None:
    for node_, proto in zip(mine.nodes[:4], list(theirs.node)[:4], strict=True):
        check_node(node_, proto)
    check_node(mine.nodes[5], theirs.node[5])
    check_node(mine.nodes[6], theirs.node[6])
    check_tensor(mine.initializers[0], theirs.initializer[0])


def test_attributes_without_a_type(tmp_path: Path) -> None:
    attributes = [
        attribute("i", number(3, 5)),
        attribute("f", key(2, 5) + struct.pack("<f", 0.5)),
        attribute("s", field(4, b"x\xff")),
        attribute("t", field(5, tensor("t", (1,), raw=struct.pack("<f", 2)))),
        attribute("ints", number(8, 1) + number(8, -1)),
        attribute("nothing", b""),
        attribute("zero", b"", kind=2),
        attribute("no_ints", b"", kind=7),
    ]
    path = tmp_path / "model.onnx"
    path.write_bytes(model(graph([node("Op", [], [], attributes)])))
    with open_model(path) as opened:
        found = {name: item.value for name, item in opened.graph.nodes[0].attributes.items()}
        stored = found.pop("t")
        assert isinstance(stored, StoredTensor)
        assert stored.load().tolist() == [2]
        assert found == {
            "i": 5,
            "f": 0.5,
            "s": "x\\xff",
            "ints": [1, -1],
            "nothing": None,
            "zero": 0,
            "no_ints": [],
        }


def test_a_file_cannot_imitate_a_token(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    first = tensor("a", (1,), raw=struct.pack("<f", 1), more=field(12, "1"))
    second = tensor("b", (1,), raw=struct.pack("<f", 2)) + field(12, "0")
    path.write_bytes(model(graph([], [first, second])))
    with open_model(path) as opened:
        assert [stored.load()[0] for stored in opened.graph.initializers] == [1, 2]


@pytest.mark.parametrize("window", [33, 40, 64, 101, 500, 2**18])
@pytest.mark.parametrize("attributes", [0, 1, 2, 3])
def test_skeleton_across_windows(window: int, attributes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxspec.reading.wire, "WINDOW", window)
    nodes = []
    for i in range(300):
        items = [attribute("axis", number(3, i * 40), 2), attribute("axes", field(8, varint(i) * (i % 99)), 7)]
        items.append(attribute("mode", field(4, "linear") + key(2, 5) + bytes((i % 256, 0, 0x80, 0xFF)), 3))
        nodes.append(node("Op" * (i % 70), [f"in{i}", "ä" if i % 10 == 0 else "b"], [f"out{i}"], items[:attributes]))
    inner = graph(nodes[:20], [tensor("v", (2,), raw=bytes(8))])
    nodes.append(node("If", [], [], [attribute("then_branch", field(6, inner), 5)]))
    data = model(graph(nodes, [tensor(f"w{i}", (1,), raw=bytes(4)) for i in range(30)]))
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    expected = onnx.ModelProto.FromString(data)
    with Source.open(path) as source:
        found = walk(source, DEFAULT_LIMITS)
    skeleton = onnx.ModelProto.FromString(found.data)
    assert len(found.tensors) == 31
    inside = expected.graph.node[-1].attribute[0].g
    for i, stored in enumerate([*inside.initializer, *expected.graph.initializer]):
        stored.ClearField("raw_data")
        stored.doc_string = str(i)
    assert skeleton == expected


def test_skeleton_keeps_no_payload_and_no_text(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    body = tensor("w", (2**18,), raw=bytes(2**20), more=field(12, "d" * 1000))
    path.write_bytes(model(graph([], [body], field(10, "doc" * 1000)), field(14, field(1, "k") + field(2, "v" * 1000))))
    with Source.open(path) as source:
        assert len(walk(source, DEFAULT_LIMITS).data) < 100


def test_source_reads_hashes_and_closes(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "file"
    data = os.urandom(3_000_000)
    path.write_bytes(data)
    with Source.open(path) as source:
        assert source.size == len(data)
        assert source.pread(1000, 5) == data[1000:1005]
        assert source.sha256() == hashlib.sha256(data).hexdigest()
        assert source.unchanged()
        with pytest.raises(TensorError):
            source.pread(len(data) - 2, 3)
        path.write_bytes(data[:10])
        assert not source.unchanged()
    with pytest.raises(TensorError):
        source.pread(0, 1)


def test_stream_is_spooled_and_has_no_folder() -> None:
    sound = model(graph([], [tensor("w", (1,), raw=bytes(4)), tensor("e", (1,), external=[("location", "x")])]))
    with open_model(Source.spool(io.BytesIO(sound))) as opened:
        stored, external = opened.graph.initializers
        assert opened.source.path == "-"
        assert stored.load().tolist() == [0]
        assert external.problem is not None
        assert external.problem.code == "external_data_unavailable"
    with pytest.raises(LimitError):
        Source.spool(io.BytesIO(sound), Limits(file_bytes=20))
    with pytest.raises(NotAModelError, match="empty"):
        open_model(Source.spool(io.BytesIO(b"")))


def small_model() -> bytes:
    """Make a small model with every kind of field."""
    theirs = rich_model()
    for proto in (theirs.graph.initializer.add(), theirs.graph.initializer.add()):
        proto.CopyFrom(helper.make_tensor("typed", onnx.TensorProto.INT8, [3], [-1, 2, 3]))
    external = theirs.graph.initializer.add(name="e", data_type=1, dims=[2])
    onnx.external_data_helper.set_external_data(external.__class__(raw_data=b"x"), "w.data")
    external.data_location = onnx.TensorProto.EXTERNAL
    external.external_data.add(key="location", value="w.data")
    external.external_data.add(key="offset", value="0")
    data: bytes = theirs.SerializeToString()
    return data


SMALL = small_model()


def read_all(path: Path) -> None:
    """Open a file and read all that it has, as far as it is sound."""
    limits = Limits(tensor_bytes=2**20, file_bytes=2**20)
    try:
        with open_model(path, limits) as opened:
            stack = [opened.graph]
            attributes = [a for f in opened.functions for n in f.nodes for a in n.attributes.values()]
            tensors: list[StoredTensor] = []
            while stack:
                current = stack.pop()
                tensors += current.initializers
                for sparse in current.sparse_initializers:
                    tensors += [sparse.values, sparse.indices]
                for node_ in current.nodes:
                    attributes += node_.attributes.values()
                for item in attributes:
                    values = item.value if isinstance(item.value, list) else [item.value]
                    stack += [value for value in values if isinstance(value, Graph)]
                    tensors += [value for value in values if isinstance(value, StoredTensor)]
                attributes = []
            for stored in tensors:
                for read in (stored.load, stored.load_float64, stored.content_hash):
                    with contextlib.suppress(TensorError):
                        read()
            opened.external_files()
    except InputError as error:
        message = str(error)
        if str(path) not in message:
            raise AssertionError(message) from error


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_models_raise_nothing_else(data: st.DataObject, tmp_path: Path) -> None:
    broken = bytearray(SMALL)
    for _ in range(data.draw(st.integers(0, 4))):
        position = data.draw(st.integers(0, len(broken) - 1))
        broken[position] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(broken) - 1))
        broken[position:position] = data.draw(st.binary(max_size=12))
    cut = data.draw(st.one_of(st.just(len(broken)), st.integers(0, len(broken))))
    (tmp_path / "w.data").write_bytes(bytes(8))
    path = tmp_path / "model.onnx"
    path.write_bytes(broken[:cut])
    read_all(path)


@given(data=st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_raise_nothing_else(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    try:
        with open_model(path):
            pass
    except OnnxspecError as error:
        message = str(error)
        if str(path) not in message:
            raise AssertionError(message) from error


def test_truncations_are_never_sound(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    data = model(graph([node("Op", ["x"], ["y"])], [tensor("w", (64, 64), raw=bytes(2**14))]))
    for cut in (*range(40), *range(40, len(data) - 5, 997)):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError):
            open_model(path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of resident memory from /proc")
def test_gibibyte_model_takes_little_memory(tmp_path: Path) -> None:
    body = tensor("w", (16384, 16384))
    payload = 2**30
    body_length = len(body) + len(key(9, 2) + varint(payload)) + payload
    graph_length = len(key(5, 2) + varint(body_length)) + body_length
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.write(number(1, 8) + key(7, 2) + varint(graph_length))
        file.write(key(5, 2) + varint(body_length) + body + key(9, 2) + varint(payload))
        file.truncate(file.tell() + payload)
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from onnxspec.reading import open_model\n"
        "with open_model(sys.argv[1]) as model:\n"
        "    tensor = model.graph.initializers[0]\n"
        "    assert tensor.problem is None and tensor.nbytes == 2**30\n"
        "    assert not tensor.read_rows(16000, 16010).any()\n"
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM:')))\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * 1024 < 150 * 10**6


def test_opening_imports_neither_all_of_onnx_nor_numba(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(graph()))
    script = (
        "import sys\n"
        "from onnxspec.reading import open_model\n"
        "open_model(sys.argv[1]).close()\n"
        "print(sorted({'onnx', 'onnx.checker', 'numba', 'scipy', 'ml_dtypes'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_of_the_metadata_of_nodes_the_scopes_alone_are_kept(tmp_path: Path) -> None:
    """So many that some stand across the ends of what is read at a time."""
    nodes = []
    for i in range(600):
        one = helper.make_node("Relu", [f"x{i}"], [f"x{i + 1}"])
        for name, value in (
            ("pkg.torch.onnx.stack_trace", "File " * (i % 97)),
            ("pkg.torch.onnx.name_scopes", f"['', 'block.{i}', 'relu']"),
            ("pkg.torch.onnx.name_scope", "no"),
            ("a", "b" * (i * 7 % 1500)),
        ):
            one.metadata_props.add(key=name, value=value)
        nodes.append(one)
    path = tmp_path / "model.onnx"
    data = helper.make_model(helper.make_graph(nodes, "g", [], [])).SerializeToString()
    assert len(data) > 2 * onnxspec.reading.wire.WINDOW
    path.write_bytes(data)
    with open_model(path) as opened:
        assert [node.scopes for node in opened.graph.nodes] == [f"['', 'block.{i}', 'relu']" for i in range(600)]
    with Source.open(path) as source:
        assert b"stack_trace" not in walk(source, DEFAULT_LIMITS).data
