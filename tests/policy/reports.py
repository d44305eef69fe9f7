"""Reports made by hand, so that each rule is tested at its thresholds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onnxspec.results import Coverage, Diagnostic, ExternalFile, Layer, Layers, ModelInfo, Report, Summary, Tool

HEALTHY: dict[str, Any] = {
    "op_type": "MatMul",
    "role": "dense",
    "used_by": ("/a/MatMul:1",),
    "shape": (256, 128),
    "dtype": "float32",
    "parameters": 32768,
    "averaged": True,
    "N": 256,
    "M": 128,
    "Q": 2.0,
    "num_matrices": 1,
    "num_evals": 128,
    "denormals": 0,
    "levels": None,
    "alpha": 3.0,
    "alpha_stderr": 0.2,
    "alpha_ci": (2.5, 3.5),
    "norm": 100.0,
    "stable_rank_ratio": 0.5,
    "rank": 128,
    "rank_loss": 0,
    "phase": "bulk_spikes",
    "trained": {"verdict": "structured", "p_value": 1e-12, "p_adjusted": 1e-12},
    "traps": {"trapped": False, "causes": [], "ratio_mean": 1.0},
}


def layer(name: str = "a", **values: Any) -> Layer:
    """Give a healthy layer with other values where asked for."""
    hashes = {"content_hash": f"blake3:{_hex(name, 1)}", "value_hash": f"blake3:{_hex(name, 2)}"}
    facts = {"id": name, "name": name, "tensor": f"{name}.weight", **hashes, **HEALTHY, **values}
    return Layer(**{**facts, "reasons": {"levels": "continuous", **values.get("reasons", {})}})


def _hex(name: str, salt: int) -> str:
    written = name.encode("utf-8", "surrogatepass").hex()
    return f"{salt:02x}{written}".ljust(64, "0")[:64]


def failed(name: str, reason: str, detail: str = "why") -> Layer:
    """Give a layer without numbers."""
    return layer(
        name,
        status="failed",
        reason=reason,
        warnings=(detail,),
        **dict.fromkeys(("alpha", "alpha_ci", "norm", "rank", "trained", "traps", "phase", "denormals")),
    )


def report(
    *layers: Layer,
    model: dict[str, Any] | None = None,
    coverage: dict[str, Any] | None = None,
    diagnostics: tuple[Diagnostic, ...] = (),
    external: tuple[ExternalFile, ...] = (),
) -> Report:
    """Give a report of layers, all of which count as looked at."""
    found = layers or (layer(),)
    ok = sum(x.status == "ok" for x in found)
    info = ModelInfo("model.onnx", "ab" * 32, 1000, 8, {"": 17}, "pytorch", 32768, external)
    cover = Coverage(len(found), ok, 0, len(found) - ok, 0, len(found), 100, 100 * ok // len(found), {}, {}, {})
    summary = Summary(len(found), ok, ok, (), 3.0, 3.0, None, *[None] * 9, {})
    return Report(
        "1",
        Tool("onnxspec", "0.1.0"),
        {"effort": "full"},
        replace(info, **(model or {})),
        replace(cover, **(coverage or {})),
        Layers(found),
        summary,
        diagnostics=diagnostics,
    )
