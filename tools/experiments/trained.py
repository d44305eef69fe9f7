"""Checkpoints that the scripts of tools/train wrote, as a run: the published recipes at full length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import checkpoints
import lab as common
import networks


def run_of(lab: common.Lab, network: str, every: int) -> dict[str, Any] | None:
    """Let onnxspec read the checkpoints in ``--checkpoints DIR`` (or in DIR/NETWORK); None where none is named.

    The first and the last one are always read, between them one in `every` epochs.
    """
    if lab.checkpoints is None:
        return None
    own = lab.checkpoints / network
    folder = own if own.is_dir() else lab.checkpoints
    files = sorted(folder.glob(f"{network}*_[0-9][0-9][0-9].onnx"))
    if len(files) < 2:
        raise SystemExit(f"{folder}: no checkpoints named {network}*_NNN.onnx")
    history: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    note: dict[str, Any] = {}
    for path in files:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        epoch = note["epochs"]
        loss = note["train_loss"][-1] if note["train_loss"] else None
        seen = {"epoch": epoch, "train_loss": loss, "train_accuracy": None, "test_accuracy": note["test_accuracy"]}
        history.append(seen)
        if path in (files[0], files[-1]) or epoch % every == 0:
            rows += _read(lab, network, path, note, spectra=path in (files[0], files[-1]))
    recipe = {"seed": note["seed"], "train": note["train_images"], "text": note["recipe"]}
    return {"recipe": recipe, "epochs_run": epoch, "history": history, "rows": rows, "place": folder}


def _read(lab: common.Lab, network: str, path: Path, note: dict[str, Any], *, spectra: bool) -> list[dict[str, Any]]:
    """Give the rows of one checkpoint, kept by the hash of its file."""

    def compute(_: Path) -> dict[str, Any]:
        found = checkpoints.analyse(path, networks.NETWORKS[network].layers, spectra=spectra)
        return {"rows": [{"epoch": note["epochs"], **row} for row in found]}

    kept = lab.once(f"trained_{note['epochs']:03d}", {"sha256": note["sha256"], "spectra": spectra}, compute)
    rows: list[dict[str, Any]] = [] if kept is None else kept["rows"]
    return rows
