"""A model that uses up memory, time or its process costs its own verdict, in one sentence; the others go on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from onnxspec.cli import isolation, main
from onnxspec.cli.exit_codes import ExitCode

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"
SOUND = MODELS / "conv2d.onnx"
SMALL = MODELS / "linear_gemm.onnx"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of processes are Linux's")


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[dict], list[str]]]:
    """Check models, each in a child; give exit code, judgements, and the sentences on standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, list[dict], list[str]]:
        monkeypatch.setattr(sys, "argv", ["onnxspec", "check", *map(str, arguments), "-f", "json", "--effort", "fast"])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        found = json.loads(out)
        return int(stop.value.code or 0), found if isinstance(found, list) else [found], err.splitlines()

    return call


def behaving(monkeypatch: pytest.MonkeyPatch, name: str, action: str) -> None:
    """Let the child do something to itself where a file of this name is analysed."""
    start = f"import json, sys; request = json.loads(sys.argv[1]); {name!r} in request['path'] and ({action}); "
    monkeypatch.setattr(isolation, "START", start + isolation.START)


def test_a_crash_costs_one_model(check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "crashes.onnx"
    bad.write_bytes(SOUND.read_bytes())
    behaving(monkeypatch, "crashes", "__import__('os').kill(__import__('os').getpid(), 11)")
    code, (first, second), err = check(bad, SMALL)
    assert code == ExitCode.INCOMPLETE
    assert (first["verdict"], second["model"]["path"]) == ("inconclusive", str(SMALL))
    assert second["model"]["slots_analyzed"] == 1
    assert err == [f"onnxspec: {first['problem']}"]
    assert "crashed (SIGSEGV)" in first["problem"]


def test_a_child_that_hangs_is_ended(check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "hangs.onnx"
    bad.write_bytes(SOUND.read_bytes())
    monkeypatch.setattr(isolation, "GRACE_SECONDS", 1.0)
    behaving(monkeypatch, "hangs", "__import__('time').sleep(600)")
    start = time.monotonic()
    code, (first,), err = check(bad, "--timeout", "0.5")
    assert time.monotonic() - start < 60
    assert code == ExitCode.INCOMPLETE
    assert "--timeout" in first["problem"]
    assert len(err) == 1


def test_what_the_child_started_ends_with_it(check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "forks.onnx"
    bad.write_bytes(SOUND.read_bytes())
    marker = f"onnxspec-test-{tmp_path.name}"
    sleeper = f"__import__('subprocess').Popen([sys.executable, '-c', 'import time; time.sleep(600)', {marker!r}])"
    behaving(monkeypatch, "forks", sleeper)
    code, (first,), _ = check(bad)
    assert first["model"]["slots_analyzed"] == 1
    assert code != ExitCode.INTERNAL
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and running(marker):
        time.sleep(0.05)
    assert not running(marker)


def running(marker: str) -> bool:
    """Say whether a process with this argument is there, and not only waits to be buried."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
    return False


def test_a_memory_bomb_costs_one_model(check, tmp_path: Path) -> None:
    """A constant of 600 MB made from 4 kB: under the limits of the reader, above those of the child."""
    seed = numpy_helper.from_array(np.random.default_rng(0).standard_normal((1, 1000)).astype(np.float32), "s")
    sizes = numpy_helper.from_array(np.array([150_000, 1000]), "n")
    nodes = [helper.make_node("Expand", ["s", "n"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    info = [helper.make_tensor_value_info(name, 1, None) for name in "xy"]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], [seed, sizes])
    path = tmp_path / "bomb.onnx"
    path.write_bytes(helper.make_model(graph, ir_version=8).SerializeToString())
    assert path.stat().st_size < 10_000
    code, (first, second), err = check(path, SMALL, "--max-memory", "900M")
    assert code in (ExitCode.INCOMPLETE, ExitCode.FAILED)
    assert first["verdict"] in ("inconclusive", "failed")
    assert first["model"]["slots_analyzed"] in (None, 0)
    assert second["model"]["slots_analyzed"] == 1
    assert len(err) <= 1


def test_a_burner_of_time_costs_one_model(check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "burns.onnx"
    bad.write_bytes(SOUND.read_bytes())
    behaving(monkeypatch, "burns", "sys.path.__setitem__(slice(None), request['sys_path']), "
             "__import__('onnxspec.cli.isolated', fromlist=['limit']).limit(request['bounds'], spools=False), "
             "any(iter(int, 1))")  # fmt: skip
    code, (first, second), err = check(bad, SMALL, "--max-cpu", "3")
    assert code == ExitCode.INCOMPLETE
    assert first["verdict"] == "inconclusive"
    assert "--max-cpu" in first["problem"]
    assert second["model"]["slots_analyzed"] == 1
    assert len(err) == 1


def test_an_operator_that_burns_time_is_ended(tmp_path: Path) -> None:
    """Folding in onnxruntime has limits of its own: the constant fails, the rest of the model does not."""
    from onnxspec.errors import TensorError
    from onnxspec.graph.runtime import Runtime
    from onnxspec.limits import DEFAULT_LIMITS
    from onnxspec.reading import open_model

    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    info = [helper.make_tensor_value_info(name, 1, None) for name in "abc"]
    graph = helper.make_graph([node], "g", info[:2], info[2:])
    path = tmp_path / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    arrays = [np.ones((8000, 4000), np.float32), np.ones((4000, 8000), np.float32)]
    with open_model(path) as model, Runtime({"": 17}, DEFAULT_LIMITS, seconds=3.0) as runtime:
        start = time.monotonic()
        with pytest.raises(TensorError, match="took too long") as caught:
            runtime.run(model.graph.nodes[0], arrays, 0)
        assert caught.value.code == "not_folded"
        assert time.monotonic() - start < 30
