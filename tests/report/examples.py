"""A comparison and a track to make pages of: what happened is known."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import numpy_helper

from onnxspec.engine.compare import Compared, compare_fully
from onnxspec.results import Diagnostic, Layers, Tool
from onnxspec.results.comparison import Change, Unmatched
from onnxspec.results.tracking import TRACK_METRICS, Checkpoint, Course, Track, Transition

LENET = Path(__file__).resolve().parents[2] / "fixtures" / "models" / "lenet5.onnx"
HOSTILE = "</script></title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}\x1b[31m\u202e"


@cache
def compared() -> Compared:
    """Compare LeNet5 with a copy: conv1 as it was, conv2 cast, fc1 with an update of rank 3, fc2 rounded."""
    rng = np.random.default_rng(0)
    model = onnx.load(LENET)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name == "conv2.weight":
            values = values.astype(np.float16).astype(np.float32)
        elif tensor.name == "fc1.weight":
            update = rng.normal(size=(values.shape[0], 3)) @ rng.normal(size=(3, values.shape[1]))
            values = (values + 0.01 * update).astype(np.float32)
        elif tensor.name == "fc2.weight":
            step = np.abs(values).max() / 7
            values = (np.round(values / step) * step).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
    with TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "tuned.onnx")
        found = compare_fully(LENET, Path(folder) / "tuned.onnx", effort="fast", jobs=1)
    a, b = (replace(found.comparison.a, path="lenet5.onnx"), replace(found.comparison.b, path="tuned.onnx"))
    return replace(found, comparison=replace(found.comparison, a=a, b=b))


def hostile_comparison(rows: int = 600) -> Compared:
    """Put a hostile text into every place that takes one; in lists of so many rows."""
    found = compared()
    pairs = [
        replace(
            pair,
            name_a=HOSTILE,
            name_b=HOSTILE + "b",
            role=HOSTILE,
            verdict=HOSTILE,
            reason=HOSTILE,
            phase_a=HOSTILE,
            phase_b=HOSTILE,
            matched_by=HOSTILE,
            changes=(Change(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: [HOSTILE]}),) * 2,
            elements={HOSTILE: HOSTILE, "relative_change": HOSTILE, "cosine": None},
            audit={"sqnr_db": math.inf, "bits": HOSTILE, "moved_beyond_rounding": [HOSTILE] * 9},
        )
        for pair in found.comparison.pairs
    ]
    layers = [Layers([replace(x, name=HOSTILE, tensor=HOSTILE) for x in report.layers]) for report in found.reports]
    left = (Unmatched(HOSTILE, HOSTILE, HOSTILE, (1, 2), HOSTILE),)
    comparison = replace(
        found.comparison,
        a=replace(found.comparison.a, path=HOSTILE, producer=HOSTILE, sha256=HOSTILE),
        pairs=tuple(pairs),
        unmatched_a=left,
        unmatched_b=left * rows,
        verdicts={HOSTILE: 4},
        diagnostics=(Diagnostic(HOSTILE, "info", HOSTILE, HOSTILE),),
        settings={HOSTILE: HOSTILE},
    )
    reports = tuple(replace(report, layers=some) for report, some in zip(found.reports, layers))
    return Compared(comparison, reports)


def tracked(layers: int = 3, checkpoints: int = 7, name: str = "fc") -> Track:
    """Give a track whose numbers follow known curves; layer 1 has no alpha in its first checkpoint."""
    phases = ("random_like", "bleeding_out", "bulk_spikes", "bulk_decay")
    alpha = {"alpha_before": 6.5, "alpha_after": 6.0}
    last = min(2, checkpoints - 1)
    courses = []
    for k in range(layers):
        values = {metric: tuple(1.0 + k + 0.1 * at for at in range(checkpoints)) for metric in TRACK_METRICS}
        values["entropy"] = tuple(0.99 - 0.01 * (k + 1) * at for at in range(checkpoints))
        values["alpha"] = tuple(None if k == 1 and at == 0 else 7.0 - 0.5 * at for at in range(checkpoints))
        courses.append(
            Course(
                name=f"{name}{k}",
                tensor=f"{name}{k}.weight",
                role="dense",
                shape=(64, 32),
                N=64,
                M=32,
                matched_by=("first", *("tensor",) * (checkpoints - 1)),
                value_hashes=(None,) * checkpoints,
                values=values,
                phases=tuple(phases[min(at // 2, 3)] for at in range(checkpoints)),
                verdicts=("noise", *("structured",) * (checkpoints - 1)),
                reasons=(None,) * checkpoints,
            )
        )
    return Track(
        schema_version="1",
        tool=Tool("onnxspec", "0"),
        source="runs/first",
        settings={"effort": "standard"},
        checkpoints=tuple(
            Checkpoint(f"epoch_{at}", f"runs/epoch_{at}.onnx", "ab" * 32, None, 0.9995) for at in range(checkpoints)
        ),
        layers=tuple(courses),
        transitions=(
            Transition(f"{name}0", "phase", 0, last, "random_like", "bleeding_out", alpha),
            Transition(f"{name}1", "scale_jump", 0, last, 0.5, 50.0, {"decades": 2.0}),
        ),
        notes=("the first note",),
    )


def hostile_track(rows: int = 600) -> Track:
    """Put a hostile text into every place that takes one; in lists of so many rows."""
    track = tracked()
    courses = [
        replace(
            course,
            name=HOSTILE,
            tensor=HOSTILE,
            role=HOSTILE,
            matched_by=(HOSTILE,) * 7,
            phases=(HOSTILE,) * 7,
            verdicts=(HOSTILE,) * 7,
            reasons=(HOSTILE,) * 7,
            values={**course.values, "spikes": (math.nan, math.inf, 1e308, -1e308, None, 0.0, 1e-320)},
        )
        for course in track.layers
    ]
    return replace(
        track,
        source=HOSTILE,
        checkpoints=tuple(Checkpoint(HOSTILE, HOSTILE, HOSTILE, HOSTILE, None) for _ in range(7)),
        layers=tuple(courses),
        transitions=(Transition(HOSTILE, HOSTILE, 0, 1, HOSTILE, HOSTILE, {HOSTILE: math.inf}),) * rows,
        notes=(HOSTILE,) * 3,
        settings={HOSTILE: HOSTILE},
    )
