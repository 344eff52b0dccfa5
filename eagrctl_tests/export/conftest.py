from pathlib import Path

import pytest

from eagrctl.export.network import export_checkpoint
from eagrctl_tests.export.exports import save_network, tiny

CARD = "For non-commercial research only."


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 19 classes with an input of 49 x 49, shared by tests that only read it."""
    return save_network(tmp_path_factory.mktemp("network") / "tiny.pt", tiny(), CARD)


@pytest.fixture(scope="session")
def exported_onnx(tiny_checkpoint: Path) -> Path:
    """The same as ONNX; exporting takes seconds."""
    path = tiny_checkpoint.with_suffix(".onnx")
    export_checkpoint(tiny_checkpoint, path)
    return path


@pytest.fixture(scope="session")
def exported_torch(tiny_checkpoint: Path) -> Path:
    """The same as a program of torch's."""
    path = tiny_checkpoint.with_suffix(".pt2")
    export_checkpoint(tiny_checkpoint, path, "torch")
    return path
