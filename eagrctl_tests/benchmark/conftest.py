from pathlib import Path

import pytest

from eagrctl_tests.export.exports import save_network, tiny


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 19 classes with an input of 49 x 49, shared by tests that only read it."""
    return save_network(tmp_path_factory.mktemp("network") / "tiny.pt", tiny(), "For research.")
