"""CycloneDX 1.6 ML-BOM: the model as a component, with what is known of it and nothing else."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from onnxspec import __version__
from onnxspec.report._plain import plain, shortened
from onnxspec.results import Report
from onnxspec.results.findings import Judgement

__all__ = ["render"]

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
MAX_FINDINGS = 1000


def render(judgements: Sequence[Judgement]) -> str:
    """Give the judgements as one bill of materials.

    It holds no time, and its serial number follows from its content, so equal runs
    give equal bytes.
    """
    components = []
    seen: set[str] = set()
    for judgement in judgements:
        if judgement.report is None:
            continue
        for component in _components(judgement, judgement.report):
            if component["bom-ref"] not in seen:
                seen.add(component["bom-ref"])
                components.append(component)
    tool = {"type": "application", "name": "onnxspec", "version": __version__}
    body: dict[str, Any] = {"version": 1, "metadata": {"tools": {"components": [tool]}}, "components": components}
    problems = [_property("problem", f"{j.path}: {j.problem}") for j in judgements if j.problem is not None]
    if problems:
        body["properties"] = problems
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": _serial(body)}
    return json.dumps({**head, **body}, indent=1, ensure_ascii=True) + "\n"


def _serial(body: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    return f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=5)}"


def _components(judgement: Judgement, report: Report) -> Iterator[dict[str, Any]]:
    """Give the model and its external files."""
    model = report.model
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model.sha256}",
        "name": shortened(plain(PurePath(model.path).name or model.path), 256),
    }
    if _is_sha256(model.sha256):
        component["hashes"] = [{"alg": "SHA-256", "content": model.sha256.lower()}]
    metrics = list(_metrics(report))
    if metrics:
        component["modelCard"] = {"quantitativeAnalysis": {"performanceMetrics": metrics}}
    component["properties"] = [_property(name, value) for name, value in _facts(judgement, report)]
    yield component
    for file in model.external_files:
        part: dict[str, Any] = {
            "type": "data",
            "bom-ref": f"data:{file.sha256 or hashlib.sha256(file.location.encode('utf-8', 'replace')).hexdigest()}",
            "name": shortened(plain(file.location), 256),
        }
        if file.sha256 is not None and _is_sha256(file.sha256):
            part["hashes"] = [{"alg": "SHA-256", "content": file.sha256.lower()}]
        yield part


def _metrics(report: Report) -> Iterator[dict[str, str]]:
    """Give the means over the layers; they describe weights and are no measure of accuracy."""
    summary = report.summary
    for name in ("alpha_mean", "alpha_weighted_mean", "log_norm_mean", "stable_rank_mean"):
        value = getattr(summary, name)
        if value is not None:
            yield {"type": f"onnxspec:{name}", "value": repr(value), "slice": f"{summary.layers_averaged} layers"}


def _facts(judgement: Judgement, report: Report) -> Iterator[tuple[str, str]]:
    model, coverage = report.model, report.coverage
    yield "bytes", str(model.bytes)
    yield "parameters", str(model.parameters)
    for domain, version in model.opset_import.items():
        yield "opset", f"{domain or 'ai.onnx'} {version}"
    if model.ir_version is not None:
        yield "ir_version", str(model.ir_version)
    if model.producer:
        yield "producer", model.producer
    yield "slots_analyzed", f"{coverage.slots_analyzed} of {coverage.slots}"
    yield "parameters_analyzed", f"{coverage.parameters_analyzed} of {coverage.parameters_total}"
    yield "policy", f"{judgement.policy} {judgement.policy_hash}"
    yield "verdict", judgement.verdict
    for finding in judgement.findings[:MAX_FINDINGS]:
        yield "finding", f"{finding.code} {finding.name} ({finding.state}): {finding.subject}: {finding.message}"
    if len(judgement.findings) > MAX_FINDINGS:
        yield "finding", f"{len(judgement.findings) - MAX_FINDINGS} more findings are left out"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"onnxspec:{name}", "value": shortened(plain(value), 1000)}


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdefABCDEF" for c in text)
