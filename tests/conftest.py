"""What every test shares."""

from pathlib import Path

import pytest

from tests.fixtures.tiny import save_tiny

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A checkpoint folder of a tiny random BERT."""
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny-bert")
