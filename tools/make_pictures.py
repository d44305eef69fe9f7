"""Take the pictures of docs/report.md from the report of a fixture, in headless Chromium.

Needs `chromium` and the packages of requirements-dev.txt.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import onnxspec
from onnxspec.report.html import render

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        sys.exit("this needs Chromium (apt-get install chromium)")
    PICTURES.mkdir(exist_ok=True)
    os.chdir(ROOT)
    model = sys.argv[1] if len(sys.argv) > 1 else "fixtures/models/lenet5.onnx"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        path = Path(folder) / "report.html"
        path.write_text(render([onnxspec.analyze(model)]), encoding="utf-8")
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_context(viewport={"width": 1000, "height": 980}).new_page()
        page.goto(path.as_uri())
        page.screenshot(path=PICTURES / "report.png")
        page.goto(f"{path.as_uri()}#L3")
        page.locator("#L3 .groups").wait_for()
        page.set_viewport_size({"width": 1000, "height": 900})
        box = page.locator("details.layer[open]").bounding_box() or {"x": 0, "y": 0, "width": 1000}
        clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": 560}
        page.screenshot(path=PICTURES / "layer.png", clip=clip)
        browser.close()


if __name__ == "__main__":
    main()
