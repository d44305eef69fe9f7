"""`onnxspec.track` on folders, lists and tables of checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxspec
from onnxspec.errors import InputError, LimitError, UsageError
from onnxspec.limits import Limits
from onnxspec.store import ResultStore
from onnxspec.studies import checkpoints
from onnxspec.studies.checkpoints import natural_key, track
from onnxspec.studies.table import read_table

NUMBERS = (1, 2, 10)


@pytest.fixture(scope="module")
def folder(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints of LeNet5 whose fc1 grows stronger, while its other layers stay."""
    place = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(4)
    spike = np.outer(rng.normal(size=500), rng.normal(size=2450)) * 1e-3
    for step, number in enumerate(NUMBERS):
        model = onnx.load(fixtures / "models" / "lenet5.onnx")
        for tensor in model.graph.initializer:
            if tensor.name == "fc1.weight":
                values = numpy_helper.to_array(tensor) + step * spike
                tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
        onnx.save(model, place / f"epoch_{number}.onnx")
    return place


def test_a_folder_is_taken_in_natural_order(folder: Path) -> None:
    found = onnxspec.track(folder)
    assert [checkpoint.label for checkpoint in found.checkpoints] == ["1", "2", "10"]
    fc1 = found.course("fc1.weight")
    entropy = [value for value in fc1.values["entropy"] if value is not None]
    assert entropy[0] > entropy[1] > entropy[2]
    assert any(note.startswith("never changed: conv1, conv2, fc2") for note in found.notes)
    alone = onnxspec.analyze(folder / "epoch_10.onnx").layers["fc1"]
    assert fc1.values["alpha"][2] == alone.alpha
    assert fc1.values["stable_rank"][2] == alone.stable_rank
    assert fc1.values["alpha_low"][2] == (alone.alpha_ci or (None,))[0]
    assert len(fc1.scree_first) == 500
    assert sum(fc1.scree_first) == pytest.approx(1.0, abs=1e-4)


def test_unchanged_layers_are_analysed_once(folder: Path, tmp_path: Path) -> None:
    with ResultStore(tmp_path) as store:
        first = track(folder, settings=onnxspec.Settings(effort="fast"), job=onnxspec.Job(store=store))
        assert store.reused == 2 * 3
        assert store.added == 4 + 2
    again = track(folder, settings=onnxspec.Settings(effort="fast"))
    assert again.layers == first.layers


def test_no_room_for_a_store_costs_nothing_but_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError("read-only file system")

    expected = track(folder, settings=onnxspec.Settings(effort="fast"))
    monkeypatch.setattr(checkpoints.tempfile, "TemporaryDirectory", refuse)
    assert track(folder, settings=onnxspec.Settings(effort="fast")) == expected


def test_lists_tables_and_saved_reports_give_the_same(folder: Path, tmp_path: Path) -> None:
    settings = onnxspec.Settings(effort="fast", spectra=True)
    expected = track(folder, settings=settings)
    paths = [folder / f"epoch_{number}.onnx" for number in NUMBERS]
    assert track(paths, settings=settings).layers == expected.layers
    (tmp_path / "list.csv").write_text(
        "model,label\n" + "".join(f"{path},step {k}\n" for k, path in enumerate(paths)), encoding="utf-8"
    )
    listed = track(tmp_path / "list.csv", settings=settings)
    assert listed.layers == expected.layers
    assert [checkpoint.label for checkpoint in listed.checkpoints] == ["step 0", "step 1", "step 2"]
    saved = tmp_path / "saved"
    saved.mkdir()
    for path in paths:
        report = onnxspec.analyze(path, settings)
        (saved / f"{path.stem}.json").write_text(report.to_json(), encoding="utf-8")
    assert track(saved).layers == expected.layers


def test_a_note_beside_the_models_is_no_report(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "epoch_1.onnx", tmp_path)
    (tmp_path / "epoch_1.json").write_text('{"loss": 1}', encoding="utf-8")
    assert len(track(tmp_path, settings=onnxspec.Settings(effort="fast")).checkpoints) == 1


def test_bad_checkpoints_cost_only_themselves(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "epoch_1.onnx", tmp_path / "a1.onnx")
    (tmp_path / "a2.onnx").write_bytes(b"")
    found = track(tmp_path, settings=onnxspec.Settings(effort="fast"))
    assert [checkpoint.problem is None for checkpoint in found.checkpoints] == [True, False]
    (tmp_path / "a1.onnx").unlink()
    with pytest.raises(InputError, match="no checkpoint could be analysed"):
        track(tmp_path)


def test_what_is_no_sequence_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.onnx"):
        track(tmp_path)
    with pytest.raises(UsageError, match="stands alone"):
        track([folder, folder / "epoch_1.onnx"])
    with pytest.raises(InputError, match="no checkpoints"):
        track([])
    with pytest.raises(LimitError, match="at most 2"):
        track(folder, job=onnxspec.Job(limits=Limits(series_models=2)))
    (tmp_path / "list.csv").write_text("path\na.onnx\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column model"):
        read_table(tmp_path / "list.csv", needs_accuracy=False)


def test_natural_order() -> None:
    names = ["e10", "e9", "e1", "f", "e09b", "10", "9", "²"]
    assert sorted(names, key=natural_key) == ["9", "10", "e1", "e9", "e09b", "e10", "f", "²"]


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["run/m_001.onnx", "run/m_002.onnx", "run/m_010.onnx"], ["001", "002", "010"]),
        (["a/ckpt-5/model.onnx", "a/ckpt-50/model.onnx"], ["5", "50"]),
        (["x/init.onnx", "x/final.onnx"], ["init", "final"]),
        (["x/m.onnx", "x/m2.onnx"], ["m", "m2"]),
        (["x/only.onnx"], ["only"]),
        (["x/same.onnx", "x/same.onnx"], ["same", "same"]),
    ],
)
def test_labels_are_what_differs(paths: list[str], labels: list[str]) -> None:
    assert checkpoints._labels(paths) == labels
