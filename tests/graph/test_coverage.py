"""Coverage: the slots of ten real models by name, and every parameter of every file at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import onnxspec
from onnxspec.errors import InputError
from onnxspec.layers.summary import NO_WEIGHT_REASONS, coverage_share
from onnxspec.results import Coverage
from tests.graph.make_coverage_230 import MODELS

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "models"
LISTED: dict[str, list[str]] = json.loads((HERE / "coverage_230.json").read_text(encoding="utf-8"))


def test_the_list_names_230_slots() -> None:
    assert {name: len(slots) for name, slots in LISTED.items()} == MODELS
    assert sum(MODELS.values()) == 230
    assert all(len(set(slots)) == len(slots) for slots in LISTED.values())


@pytest.mark.parametrize("name", MODELS)
def test_every_listed_slot_is_found(name: str) -> None:
    path = CACHE / name
    if not path.is_file():
        pytest.skip(f"{name} is not at hand; run tools/fetch_models.py")
    report = onnxspec.inspect(path)
    assert report.coverage.slots == MODELS[name]
    reasons = {skip.slot: skip.reason for skip in report.skipped}
    assert {reasons.get(slot) for slot in LISTED[name]} <= {"not_computed", "fixed_basis"}
    basis = [slot for slot in LISTED[name] if reasons[slot] == "fixed_basis"]
    assert all("stft" in slot or "node_Conv_2" in slot for slot in basis)
    assert coverage_share(report.coverage) == 1


def files(*folders: Path) -> list[Path]:
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*.onnx"))]


def accounted(path: Path) -> Coverage:
    """Check that the parameters of a file add up, and give its coverage."""
    coverage = onnxspec.inspect(path).coverage
    assert sum(coverage.parameters_by_reason.values()) + coverage.parameters_analyzed == coverage.parameters_total
    assert sum(coverage.by_reason.values()) + coverage.slots_analyzed == coverage.slots
    assert coverage.slots_analyzed + coverage.slots_skipped + coverage.slots_failed == coverage.slots
    return coverage


def test_every_parameter_of_the_models_at_hand_is_accounted_for(shared: Path) -> None:
    models = files(shared / "models")
    assert len(models) >= 30
    for path in models:
        coverage = accounted(path)
        allowed = NO_WEIGHT_REASONS | {"not_computed"}
        if path.stem == "resnet20_ortopt_all":
            allowed = allowed | {"reordered"}
        assert set(coverage.parameters_by_reason) <= allowed, path
        assert set(coverage.by_reason) <= allowed, path


def test_every_parameter_of_the_fetched_models_is_accounted_for() -> None:
    models = [path for path in files(CACHE) if path.stat().st_size < 2**24]
    if not models:
        pytest.skip("no models at hand; run tools/fetch_models.py")
    for path in models:
        try:
            coverage = accounted(path)
        except InputError:
            assert path.stat().st_size < 1000, path  # a git-LFS pointer
            continue
        assert set(coverage.parameters_by_reason) <= NO_WEIGHT_REASONS | {"not_computed"}, path
        assert not coverage.unsupported_ops, path


def test_large_constants_are_set_aside_for_a_right_reason_alone() -> None:
    seen = 0
    for path in files(CACHE):
        if path.stat().st_size > 2**24 or path.stat().st_size < 1000:
            continue
        for skip in onnxspec.inspect(path).skipped:
            if skip.reason == "not_computed" or min(sorted(skip.shape)[-2:]) < 50:
                continue
            seen += 1
            assert skip.reason in ("fixed_basis", "constant_of_shape"), (path, skip)
            assert skip.reason != "fixed_basis" or "stft" in skip.tensor, (path, skip)
    if not seen:
        pytest.skip("no models at hand; run tools/fetch_models.py")


def test_five_forms_of_one_model_give_the_same_seven_spectra() -> None:
    folder = CACHE / "silero-vad"
    if not folder.is_dir():
        pytest.skip("silero-vad is not at hand; run tools/fetch_models.py")
    forms = ("16k_op15", "16k_sequence", "op18_ifless", "openvino_16k")
    reports = [
        onnxspec.analyze(folder / f"{name}.onnx", effort="fast", include="*", spectra=True)
        for name in ("silero_vad", *(f"silero_vad_{form}" for form in forms))
    ]
    seven = reports[1].layers
    assert len(seven) == 7
    for report in reports:
        for layer in seven:
            ours = np.array(layer.evals)
            alike = [x for x in report.layers if (x.N, x.M, x.num_matrices) == (layer.N, layer.M, layer.num_matrices)]
            # Files for 8 kHz too hold other layers of these shapes beside them.
            differences = [np.abs(np.array(other.evals) - ours).max() for other in alike]
            assert min(differences) <= 1e-6 * ours[0], (report.model.path, layer.id)


def coverage(**reasons: int) -> Coverage:
    total = 10 + sum(reasons.values())
    return Coverage(total, 10, 0, 0, 0, total, total, 10, reasons, reasons, {})


def test_the_share_leaves_out_what_is_no_weight() -> None:
    assert coverage_share(coverage(vector=30, mask=5)) == 1
    assert coverage_share(coverage(not_computed=30)) == 1
    assert coverage_share(coverage(unsupported_op=10, vector=7)) == 0.5
    assert coverage_share(Coverage(0, 0, 0, 0, 0, 0, 0, 0, {}, {}, {})) == 1
