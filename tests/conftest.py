"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the project's library beside the checkout, or skip."""
    folder = ROOT.parent / "shared"
    if not (folder / "DESIGN.md").is_file():
        pytest.skip("needs the project's library (shared/ beside the checkout)")
    return folder


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Give the folder of committed fixtures."""
    return ROOT / "fixtures"
