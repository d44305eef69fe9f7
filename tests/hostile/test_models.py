"""Every hostile model ends as it should, in a child with 2 GiB of memory and 20 s, with one clear sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hostile.cases import CASES, Expected
from tests.hostile.server import MEMORY, SECONDS, Ended, Server

LONG = 4000


def well_behaved(ended: Ended) -> None:
    """Hold what must be true of any input."""
    assert ended.code in (0, 1, 3, 4), ended.err
    assert "Traceback" not in ended.err + ended.out
    assert "internal error" not in ended.err
    assert ended.seconds < SECONDS
    assert ended.peak < MEMORY
    for line in ended.err.splitlines():
        assert line.startswith("onnxspec: "), line
        assert line.isprintable()
        assert len(line) < LONG


def codes_of(report: dict) -> set[str]:
    layers = {layer["reason"] for layer in report["layers"]}
    return (
        {d["code"] for d in report["diagnostics"]}
        | {s["reason"] for s in report["skipped"]}
        | layers
        | set(report["coverage"]["by_reason"] | report["coverage"]["parameters_by_reason"])
    )


def test_every_number_of_the_list_has_a_case() -> None:
    numbers = {case.number for case in CASES}
    numbers |= {29, 33, 36}  # these are in modules of their own
    assert numbers == set(range(1, 37))
    assert len({(case.number, case.name) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.name}")
def test_outcome(case: Expected, server: Server, folder: Path) -> None:
    path = case.write(folder)
    done = server.run("analyze", "-q", path, "-f", "json", *case.options)
    well_behaved(done)
    assert done.code in case.analyze, done.err
    if done.code == 3:
        assert done.err.count("\n") == 1
        assert case.words in done.err
        assert done.out == ""
        checked = server.run("check", "--no-isolate", "-q", path, "-f", "json")
        assert case.words in json.loads(checked.out)["problem"]
    else:
        report = json.loads(done.out)
        assert case.code is None or case.code in codes_of(report)
        if case.sound is not None:
            analysed = {layer["id"] for layer in report["layers"] if layer["status"] == "ok"}
            assert case.sound in analysed
        saved = folder.parent / "report.json"
        saved.write_text(done.out)
        checked = server.run("check", saved, "-f", "json")
    well_behaved(checked)
    assert checked.code in case.check, checked.out[:2000]
