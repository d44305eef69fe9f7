"""Put the report together."""

from __future__ import annotations

from onnxspec import __version__
from onnxspec.graph import Survey
from onnxspec.layers.summary import cover, summarize, tied
from onnxspec.reading import Model
from onnxspec.results import SCHEMA_VERSION, Diagnostic, Layer, Layers, ModelInfo, Report, Tool
from onnxspec.settings import Settings

__all__ = ["assemble"]


def assemble(model: Model, found: Survey, layers: list[Layer], settings: Settings | None) -> Report:
    """Put the report together."""
    coverage, skipped = cover(found, layers)
    diagnostics = [
        *found.diagnostics,
        *tied(layers),
        *(_diagnostic(layer) for layer in layers if layer.status == "failed"),
    ]
    if not model.source.unchanged():
        diagnostics.append(Diagnostic("file_changed", "error", "the file changed while it was read", None))
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool("onnxspec", __version__),
        settings={} if settings is None else {**settings.canonical(), "hash": settings.digest()},
        model=ModelInfo(
            path=model.source.path,
            sha256=model.source.sha256(),
            bytes=model.source.size,
            ir_version=model.ir_version,
            opset_import=dict(sorted(model.opset_import.items())),
            producer=model.producer,
            parameters=coverage.parameters_total,
            external_files=model.external_files(),
        ),
        coverage=coverage,
        layers=Layers(layers),
        summary=summarize(layers),
        diagnostics=tuple(diagnostics),
        skipped=skipped,
    )


def _diagnostic(layer: Layer) -> Diagnostic:
    """Say in one sentence why a layer failed."""
    return Diagnostic(layer.reason or "failed", "error", layer.warnings[0] if layer.warnings else "failed", layer.name)
