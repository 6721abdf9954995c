"""What tests of several modules start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def parti_prompts() -> Path:
    """PartiPrompts (google-research/parti): 1,632 real prompts in TSV with columns of their own."""
    shared = os.environ.get("TRINETRA_SHARED", str(Path(__file__).parents[2] / "shared"))
    path = Path(shared) / "data" / "PartiPrompts.tsv"
    if not path.is_file():
        pytest.skip("PartiPrompts.tsv is not here: name the folder that holds data/ in TRINETRA_SHARED")
    return path
