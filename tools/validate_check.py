"""Check `onnxspec check` on what nobody doubts: planted faults, networks never trained, real models.

    python tools/validate_check.py faults             six faults in a copy of all-MiniLM-L6-v2
    python tools/validate_check.py untrained          networks of tools/make_untrained.py
    python tools/validate_check.py models [MODEL...]  findings on real models, and their layers not told from noise

Prints Markdown. The models are those of tools/fetch_models.py and tools/export_minilm.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from fetch_models import cache_folder
from onnx import numpy_helper

import onnxspec
from onnxspec.errors import InputError
from onnxspec.policy import check, profile
from onnxspec.results import Layer, Report
from onnxspec.results.findings import Judgement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Fault = Callable[[Array, "dict[str, Array]", np.random.Generator], Array]

SIDE = 128


def randomised(W: Array, _: dict[str, Array], rng: np.random.Generator) -> Array:
    return rng.normal(W.mean(), W.std(), W.shape).astype(np.float32)


def truncated(W: Array, _: dict[str, Array], __: np.random.Generator) -> Array:
    U, sv, Vt = np.linalg.svd(W.astype(np.float64), full_matrices=False)
    return np.asarray((U[:, :8] * sv[:8]) @ Vt[:8], dtype=np.float32)


def not_a_number(W: Array, _: dict[str, Array], rng: np.random.Generator) -> Array:
    W[tuple(rng.integers(0, n) for n in W.shape)] = np.nan
    return W


def four_bits(W: Array, _: dict[str, Array], __: np.random.Generator) -> Array:
    scale = np.abs(W).max(axis=0, keepdims=True) / np.float32(7)
    return np.asarray(np.round(W / scale) * scale, dtype=np.float32)


FAULTS: dict[str, tuple[str, str, Fault]] = {
    "random": ("encoder.layer.1.attention.self.query", "OS301", randomised),
    "duplicated": (
        "encoder.layer.2.intermediate.dense",
        "OS206",
        lambda _, others, __: others["encoder.layer.1.intermediate.dense"].copy(),
    ),
    "zero": ("encoder.layer.3.attention.output.dense", "OS203", lambda W, _, __: np.zeros_like(W)),
    "rank 8": ("encoder.layer.4.output.dense", "OS205", truncated),
    "one NaN": ("encoder.layer.5.attention.self.key", "OS201", not_a_number),
    "int4-rounded": ("encoder.layer.0.output.dense", "OS404", four_bits),
}
"""Fault: the layer it is planted in, the rule that must find it, how it is made."""


def faults(model: Path) -> None:
    """Plant each fault alone and then all together; show what is new against the sound model."""
    sound = onnxspec.analyze(model)
    policy = profile()
    tensors = {layer.name: layer.tensor for layer in sound.layers}
    print("| fault | layer | rule | new findings on the layer | new findings elsewhere |\n|---|---|---|---|---|")
    for names in (*((name,) for name in FAULTS), tuple(FAULTS)):
        report = _with_faults(model, names, tensors)
        judged = check(report, policy, baseline=sound)
        new = [f for f in judged.findings if f.state in ("new", "worse")]
        touched = {FAULTS[name][0] for name in names}
        where = ", ".join(sorted(touched)) if len(names) == 1 else f"{len(touched)} layers"
        rules = ", ".join(FAULTS[name][1] for name in names)
        on = ", ".join(f"{f.code} {f.subject}" if len(names) > 1 else f.code for f in new if f.subject in touched)
        off = ", ".join(f"{f.code} {f.subject}" for f in new if f.subject not in touched)
        print(f"| {' + '.join(names)} | {where} | {rules} | {on or '-'} | {off or '-'} |", flush=True)


def _with_faults(model: Path, names: Sequence[str], tensors: dict[str, str]) -> Report:
    """Analyse a copy of the model with faults in it."""
    proto = onnx.load(model)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    arrays = {name: numpy_helper.to_array(stored[t]).copy() for name, t in tensors.items() if t in stored}
    for number, name in enumerate(names):
        layer, _, make = FAULTS[name]
        changed = make(arrays[layer].copy(), arrays, np.random.default_rng(number))
        stored[tensors[layer]].CopyFrom(numpy_helper.from_array(changed, tensors[layer]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faulty.onnx"
        onnx.save(proto, path)
        return onnxspec.analyze(path)


def _verdict(layer: Layer) -> str:
    trained: Any = layer.trained
    return "none" if trained is None or trained["verdict"] is None else str(trained["verdict"])


def _large(report: Report) -> list[Layer]:
    return [x for x in report.layers if x.status == "ok" and x.averaged and (x.M or 0) >= SIDE]


def untrained(paths: Sequence[Path]) -> None:
    """Show how many layers of networks never trained are told from noise."""
    print(f"| network | layers of {SIDE} x {SIDE} and more | told from noise |\n|---|---|---|")
    total, told = 0, 0
    for path in paths:
        large = _large(onnxspec.analyze(path))
        names = [f"{layer.name} (p = {layer.trained['p_value']:.2g})" for layer in large if _verdict(layer) != "noise"]  # type: ignore[index]
        total, told = total + len(large), told + len(names)
        print(f"| {path.stem} | {len(large)} | {', '.join(names) or '-'} |", flush=True)
    print(f"| all | {total} | {told} ({told / max(total, 1):.1%}) |")


def models(paths: Sequence[Path]) -> None:
    """Show the verdict of the standard profile and the findings of each model."""
    print(f"| model | verdict | findings | layers >= {SIDE} | of these not told from noise |\n|---|---|---|---|---|")
    total, lost, policy = 0, 0, profile()
    for path in paths:
        try:
            report = onnxspec.analyze(path)
        except InputError as error:
            print(f"| {path.stem} | rejected: {type(error).__name__} | | | |")
            continue
        judged: Judgement = check(report, policy)
        found = Counter(f.code + "?" * (f.state == "inconclusive") for f in judged.findings)
        large = _large(report)
        names = [layer.name for layer in large if _verdict(layer) == "noise"]
        total, lost = total + len(large), lost + len(names)
        shown = ", ".join(f"{code} x{n}" if n > 1 else code for code, n in sorted(found.items()))
        print(
            f"| {path.stem} | {judged.verdict} | {shown or '-'} | {len(large)} | {', '.join(names) or '-'} |",
            flush=True,
        )
    print(f"| all {len(paths)} | | | {total} | {lost} ({lost / max(total, 1):.1%}) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("faults", "untrained", "models"))
    parser.add_argument("model", nargs="*", type=Path)
    chosen = parser.parse_args()
    cache = cache_folder()
    if chosen.what == "faults":
        faults(chosen.model[0] if chosen.model else cache / "all-MiniLM-L6-v2.onnx")
    elif chosen.what == "untrained":
        untrained(chosen.model or sorted((cache / "untrained").glob("*.onnx")))
    else:
        models(chosen.model or sorted(path for path in cache.rglob("*.onnx") if path.parent.name != "untrained"))


if __name__ == "__main__":
    main()
