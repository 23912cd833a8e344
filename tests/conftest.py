"""Shared fixtures: small data sets in the real formats, and the reference material where it lies beside the project."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run side by side, a core each

from pathlib import Path

import pytest
from tiny import TinyCard, make_tiny

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("LMPT_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Official lists, photographs and a small CLIP for trials; tests that need them skip where they are not."""
    if not (SHARED / "lists").is_dir():
        pytest.skip("no reference material beside the project (LMPT_SHARED names it)")
    return SHARED


@pytest.fixture
def tiny(tmp_path: Path) -> TinyCard:
    return make_tiny(tmp_path / "tiny")
