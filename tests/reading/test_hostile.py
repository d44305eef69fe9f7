"""Every hostile file ends as it should, and nothing outside the model's folder is opened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import onnxspec.errors
from fixtures.hostile import CASES, Case
from onnxspec.errors import InputError, LimitError, TensorError
from onnxspec.limits import Limits
from onnxspec.reading import Model, open_model

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def check(case: Case, model: Model) -> None:
    tensors = {tensor.name: tensor for tensor in model.graph.initializers}
    if case.code:
        problem = tensors["w"].problem
        assert problem is not None
        assert problem.code == case.code
        with pytest.raises(TensorError, match=r"\w") as caught:
            tensors["w"].load()
        assert caught.value.code == case.code
    elif "w" in tensors:
        assert tensors["w"].problem is None
    if "ok" in tensors:
        assert np.array_equal(tensors["ok"].load(), [[1, 2], [3, 4]])
    if case.diagnostic:
        assert case.diagnostic in {diagnostic.code for diagnostic in model.diagnostics}


def test_names_of_the_cases_are_unique() -> None:
    assert len(BY_NAME) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.name}")
def test_outcome(case: Case, folder: Path) -> None:
    path = case.write(folder)
    if case.error:
        with pytest.raises(InputError) as caught:
            open_model(path)
        assert type(caught.value) is getattr(onnxspec.errors, case.error)
        message = str(caught.value)
        assert case.words in message
        assert str(path) in message
        assert "\n" not in message
    else:
        with open_model(path) as model:
            check(case, model)


@pytest.mark.parametrize("case", [case for case in CASES if 7 <= case.number <= 14], ids=lambda case: case.name)
def test_nothing_outside_the_folder_is_opened(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = case.write(folder)
    opened: list[tuple[str, bool]] = []
    plain = os.open

    def spy(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        opened.append((str(name), dir_fd is not None))
        return plain(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", spy)
    monkeypatch.setattr(os, "supports_dir_fd", {*os.supports_dir_fd, spy})
    try:
        with open_model(path) as model:
            model.external_files()
    except InputError:
        pass
    for name, relative in opened:
        if relative:
            assert "/" not in name
            assert name not in {"..", "secret", "link"}
        else:
            assert name in {str(path), str(folder)}


def test_hard_links_are_read_where_that_is_allowed(folder: Path) -> None:
    path = BY_NAME["hard_link"].write(folder)
    with open_model(path, allow_hard_links=True) as model:
        tensor = model.graph.initializers[0]
        assert np.array_equal(tensor.load(), np.arange(16).reshape(4, 4))


def test_external_data_of_a_folder_below_are_read(folder: Path) -> None:
    from fixtures.hostile.wire import graph, model, tensor

    (folder / "a").mkdir()
    (folder / "a" / "w.data").write_bytes(b"\0" * 4 + np.arange(4, dtype="<f4").tobytes())
    entries = [("location", "a/w.data"), ("offset", "4"), ("length", "16")]
    path = folder / "model.onnx"
    path.write_bytes(model(graph([], [tensor("w", (2, 2), external=entries)])))
    with open_model(path) as opened:
        assert np.array_equal(opened.graph.initializers[0].load(), [[0, 1], [2, 3]])
        (fact,) = opened.external_files()
        assert (fact.location, fact.bytes) == ("a/w.data", 20)
        assert fact.sha256 is not None
        assert len(fact.sha256) == 64


def test_large_file_is_read_at_both_ends(folder: Path) -> None:
    path = BY_NAME["large"].write(folder)
    assert path.stat().st_size > 2**31
    with open_model(path) as model:
        tensor = model.graph.initializers[0]
        assert tensor.problem is None
        first = tensor.read_rows(0, 1)
        last = tensor.read_rows(2_149_999, 2_150_000)
        assert np.array_equal(first[0, :3], [1.5, 2.5, 0])
        assert np.array_equal(last[0, -3:], [0, 3.5, 4.5])


def test_tensors_over_one_range_have_one_location(folder: Path) -> None:
    with open_model(BY_NAME["shared_range"].write(folder)) as model:
        shared = [tensor for tensor in model.graph.initializers if tensor.name.startswith("w")]
        assert len(shared) == 5000
        assert len({tensor.location for tensor in shared}) == 1


def test_broken_names_still_match(folder: Path) -> None:
    from fixtures.hostile.wire import field, graph, model, tensor

    user = field(1, b"\xff\xfe") + field(2, "y") + field(4, "Relu")
    path = folder / "model.onnx"
    path.write_bytes(model(graph([user], [tensor(b"\xff\xfe", (1,), raw=b"\0" * 4)])))
    with open_model(path) as opened:
        name = opened.graph.initializers[0].name
        assert name == "\\xff\\xfe"
        assert opened.graph.nodes[0].inputs == (name,)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(fields=8),
        Limits(nodes=0),
        Limits(tensors=1),
        Limits(depth=1),
        Limits(skeleton_bytes=100),
        Limits(file_bytes=100),
    ],
    ids=str,
)
def test_limits_hold(limits: Limits, folder: Path) -> None:
    path = BY_NAME["short"].write(folder)
    with open_model(path):
        pass
    with pytest.raises(LimitError):
        open_model(path, limits)


def test_many_small_messages_cost_what_protobuf_needs(folder: Path) -> None:
    from fixtures.hostile.wire import field, graph, model

    path = folder / "model.onnx"
    path.write_bytes(model(graph(more=field(11, b"") * 20_000)))
    with open_model(path, Limits(skeleton_bytes=4 * 2**20)) as opened:
        assert len(opened.graph.inputs) == 20_000
    with pytest.raises(LimitError):
        open_model(path, Limits(skeleton_bytes=2**20))


def test_tensor_over_its_limit_is_a_problem_of_the_tensor(folder: Path) -> None:
    with open_model(BY_NAME["same_name"].write(folder), Limits(tensor_bytes=8)) as model:
        small, large = model.graph.initializers
        assert small.problem is None
        assert large.problem is not None
        assert large.problem.code == "tensor_too_large"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS means something else there")
def test_all_cases_within_memory_and_time(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from fixtures.hostile import CASES\n"
        "from onnxspec.errors import OnnxspecError\n"
        "from onnxspec.reading import open_model\n"
        "paths = []\n"
        "for case in CASES:\n"
        "    folder = Path(sys.argv[1], case.name, 'model'); folder.mkdir(parents=True)\n"
        "    paths.append((case, case.write(folder)))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "for case, path in paths:\n"
        "    try:\n"
        "        with open_model(path) as model:\n"
        "            for tensor in model.graph.initializers[:50]:\n"
        "                if tensor.size < 10**6: tensor.load_float64(); tensor.content_hash()\n"
        "    except OnnxspecError as error:\n"
        "        pass\n"
        "print('survived')\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "survived\n", done.stderr
