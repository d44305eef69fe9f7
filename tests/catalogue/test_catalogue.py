"""Code and words hold together: nothing without an entry, no entry without its thing."""

from __future__ import annotations

import types
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxspec
from onnxspec.catalogue import KINDS, Entry, entries, find, suggest
from onnxspec.comparing.series.capacity import CAPACITY
from onnxspec.diagnosis import phases, trained
from onnxspec.diagnosis.health import METRIC_KINDS, Erg, Health
from onnxspec.diagnosis.traps import Traps
from onnxspec.fits.bulk import BulkFit, fit_bulk
from onnxspec.fits.power_law import fit_power_law
from onnxspec.fits.verdict import PowerLawVerdict
from onnxspec.graph.bases import REASONS
from onnxspec.results import Coverage, Layer, Quantization, Summary
from onnxspec.results.comparison import ChangeKind
from onnxspec.results.series import Paradox, Relation
from onnxspec.settings import ROLES, Settings
from onnxspec.spectra.eigen import spectrum
from onnxspec.spectra.metrics import metrics
from onnxspec.spectra.stochastic import Estimate
from onnxspec.spectra.vectors import Localisation
from tests.catalogue import codes

METRICS = {entry.name: entry for entry in entries("metric")}
NO_METRIC = {"slices"}  # a table of the layer's own metrics, one row for each kernel position


def is_number(hint: Any) -> bool:
    """Say whether a field holds numbers: one, several, or none for a reason; counts by key too."""
    args = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(is_number(arg) for arg in args if arg is not type(None))
    if origin is tuple:
        return args[0] is float if args[-1] is Ellipsis else all(map(is_number, args))
    return hint in (int, float)


def numbers_of(cls: type) -> list[str]:
    hints = typing.get_type_hints(cls)
    return [f.name for f in fields(cls) if is_number(hints[f.name])]


def tables_of(cls: type) -> list[str]:
    """Give the fields that are verdicts: mappings of anything."""
    hints = typing.get_type_hints(cls)
    return [f.name for f in fields(cls) if "Mapping[str, typing.Any]" in str(hints[f.name])]


def has_entry(prefix: str, name: str) -> bool:
    return f"{prefix}{name}" in METRICS or name in METRICS


@pytest.mark.parametrize(
    ("cls", "prefix"),
    [
        (Layer, ""),
        (Summary, "summary."),
        (Coverage, "coverage."),
        (BulkFit, "mp."),
        (trained.Trained, "trained."),
        (phases.Phase, "phase_evidence."),
        (phases.Features, "phase_evidence.features."),
        (PowerLawVerdict, "power_law."),
        (Quantization, "quantization."),
        (Health, "health."),
        (Erg, "erg."),
        (Traps, "traps."),
        (Localisation, "localisation."),
        (Relation, "series."),
        (Paradox, "series."),
    ],
)
def test_every_number_has_an_entry(cls: type, prefix: str) -> None:
    missing = [
        name for name in numbers_of(cls) if not has_entry(prefix, name) and name not in {"evals", "shape", "interval"}
    ]
    assert not missing, f"onnxspec/catalogue lacks {', '.join(prefix + name for name in missing)}"


def test_every_metric_of_a_series_has_an_entry() -> None:
    missing = [metric.name for metric in CAPACITY if not has_entry("series.", metric.name)]
    missing = [name for name in missing if not has_entry("summary.", name)]
    assert not missing, f"onnxspec/catalogue lacks {', '.join(missing)}"


def test_every_verdict_of_a_layer_has_an_entry() -> None:
    found = set(tables_of(Layer))
    assert {"mp", "trained"} <= found
    assert not found - METRICS.keys() - NO_METRIC


def test_no_metric_is_unknown_to_the_code() -> None:
    rooms: dict[str, set[str]] = {
        "": {f.name for cls in (Layer, Summary) for f in fields(cls)},
        "summary.": {f.name for f in fields(Summary)},
        "coverage.": {f.name for f in fields(Coverage)},
        "mp.": {f.name for f in fields(BulkFit)},
        "trained.": {f.name for f in fields(trained.Trained)} | {"p_adjusted"},
        "phase_evidence.": {f.name for f in fields(phases.Phase)},
        "phase_evidence.features.": {f.name for f in fields(phases.Features)},
        "power_law.": {f.name for f in fields(PowerLawVerdict)},
        "quantization.": {f.name for f in fields(Quantization)},
        "erg.": {f.name for f in fields(Erg)},
        "traps.": {f.name for f in fields(Traps)},
        "estimate.": {f.name for f in fields(Estimate)},
        "localisation.": {f.name for f in fields(Localisation)},
        "series.": {f.name for cls in (Relation, Paradox) for f in fields(cls)} | {metric.name for metric in CAPACITY},
    }
    for name in METRICS:
        prefix = name[: len(name) - len(name.rpartition(".")[2])]
        assert name.rpartition(".")[2] in rooms.get(prefix, set()), f"{name} is in the catalogue alone"


def test_every_reason_has_an_entry_and_none_is_made_up() -> None:
    known = {entry.name for entry in entries("reason")}
    used = codes.reason_codes() | set(REASONS)
    assert {"too_small", "external_data_missing", "unsupported_op", "cyclic_graph", "unused"} <= used
    assert not used - known, f"onnxspec/catalogue lacks the reasons {sorted(used - known)}"
    assert not known - used, f"no code gives the reasons {sorted(known - used)}"


def test_phases_verdicts_and_settings_are_those_of_the_code() -> None:
    assert {entry.name for entry in entries("phase")} == codes.literals(phases.Label)
    laws = {"supported", "weak", "rejected"}
    assert {entry.name for entry in entries("verdict")} == codes.literals(trained.Verdict) | laws | codes.literals(
        ChangeKind
    )
    assert {entry.name for entry in entries("setting")} == {f.name for f in fields(Settings)}


def test_roles_are_those_of_the_code() -> None:
    known = {entry.name for entry in entries("role")}
    used = codes.roles()
    assert {"conv", "depthwise_conv", "embedding", "recurrent_hidden"} <= used
    assert known == set(ROLES) - set(REASONS)
    assert not used - known, f"onnxspec/catalogue lacks the roles {sorted(used - known)}"
    assert not known - used, f"no code gives the roles {sorted(known - used)}"


def test_law_verdicts_are_those_of_the_code() -> None:
    source = Path(onnxspec.__file__).with_name("fits") / "verdict.py"
    for entry in entries("verdict"):
        if entry.group == "power_law.verdict":
            assert f'"{entry.name}"' in source.read_text(encoding="utf-8")


def test_natures_are_those_of_the_health_flags() -> None:
    for name, nature in METRIC_KINDS.items():
        (entry,) = find(name, "metric")
        assert entry.scale_or_shape == nature, name


def test_names_are_unique_within_a_kind() -> None:
    twice = [key for key, count in Counter((entry.kind, entry.name) for entry in entries()).items() if count > 1]
    assert not twice


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_entries_are_complete_plain_sentences(entry: Entry) -> None:
    assert entry.kind in KINDS
    assert entry.title
    assert entry.what.endswith(".")
    for text in (entry.what, entry.how_to_read, entry.not_meaning):
        assert text is None or text.rstrip(")").endswith((".", "?")), text
        assert text is None or len(text) <= 400
    if entry.kind == "metric":
        assert entry.formula
        assert entry.scale_or_shape
    else:
        assert entry.scale_or_shape is None


def test_reasons_of_real_reports_are_known(fixtures: Path) -> None:
    known = {entry.name for entry in entries("reason")}
    seen: set[str] = set()
    for name in ("unhealthy", "conv_depthwise"):
        path = fixtures / "models" / f"{name}.onnx"
        for report in (onnxspec.analyze(path, effort="fast"), onnxspec.analyze(path), onnxspec.inspect(path)):
            seen |= {layer.reason for layer in report.layers if layer.reason}
            seen |= {reason for layer in report.layers for reason in layer.reasons.values()}
            seen |= set(report.coverage.by_reason) | set(report.coverage.parameters_by_reason)
            seen |= {diagnostic.code for diagnostic in report.diagnostics} | {skip.reason for skip in report.skipped}
            tables = [table for layer in report.layers for table in (layer.mp, layer.trained) if table]
            seen |= {table["reason"] for table in tables if table["reason"]}
    assert {"non_finite", "zero_matrix", "rank_one", "too_small", "effort", "depthwise"} <= seen
    assert not seen - known


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_scale_and_shape_are_as_the_catalogue_says(factor: float) -> None:
    """A factor that is a power of two changes every metric of scale and no other, to the last bit."""
    rng = np.random.default_rng(3)
    W = rng.standard_t(3, (120, 80)) * 0.3

    def measured(matrix: np.ndarray) -> dict[str, Any]:
        found = spectrum(matrix)
        fit = fit_power_law(found.positive_evals)
        values, _ = metrics(found, alpha=fit.alpha)
        bulk = fit_bulk(found.evals, found.N, found.M)
        named: Mapping[str, Any] = {f"mp.{f.name}": getattr(bulk, f.name) for f in fields(BulkFit)}
        law = {name: getattr(fit, name) for name in ("alpha", "alpha_stderr", "xmin", "xmax", "D", "n_tail")}
        return {**values, **named, **law, "N": found.N, "M": found.M, "Q": found.Q}

    before, after = measured(W), measured(W * factor)
    checked = set()
    for name, value in before.items():
        entry = METRICS.get(name)
        if entry is None or value is None or value == ():
            continue
        checked.add(name)
        if entry.scale_or_shape in ("shape", "neither"):
            assert after[name] == value, name
        elif value != 0.0:  # the lower edge of a square matrix, for one
            assert after[name] != value, name
    assert {"alpha", "xmin", "log_stable_rank", "mp.lambda_plus", "mp.Q_eff", "rank", "entropy"} <= checked


def test_find_takes_any_spelling_and_last_parts() -> None:
    assert [entry.name for entry in find("ALPHA")] == ["alpha"]
    assert [entry.name for entry in find("sigma-mp")] == ["mp.sigma_mp"]
    assert [entry.kind for entry in find("isometric")] == ["phase", "verdict"]
    assert [entry.name for entry in find("N")] == ["N"]
    assert find("no such thing") == ()
    assert find("alpha", "reason") == ()


def test_suggest_finds_the_near_names_alone() -> None:
    assert "alpha" in suggest("alfa")
    assert "mp.sigma_mp" in suggest("sigma_pm")
    assert "external_data_missing" in suggest("external_data_misssing")
    assert suggest("zzzzqqqq") == ()
