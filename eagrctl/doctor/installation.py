"""Python, eagrctl, and the packages it stands on."""

import importlib
import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import eagrctl
from eagrctl.doctor.finding import Finding, why_not

PYTHON = (3, 11)  # the first that will do
TORCH = ((2, 11), (2, 14))  # the first that will do, and the first that will not
# Module and distribution, and what needs it; training itself needs those where nothing stands.
PACKAGES = (
    ("numpy", "numpy", ""),
    ("PIL", "pillow", ""),
    ("safetensors", "safetensors", ""),
    ("pandas", "pandas", "prepare celebamask-hq"),
    ("skimage", "scikit-image", "prepare synthetic and demo"),
    ("dlib", "dlib-bin", "--align"),
)
# By extra: the distribution it brings, and what that adds.
EXTRAS = {
    "onnx": ("onnxruntime", "networks as files of ONNX (export)"),
    "tensorboard": ("tensorboard", "curves and pictures of runs in TensorBoard (train --tensorboard)"),
    "video": ("av", "videos (parse clip.mp4)"),
}


def installation(folder: Path) -> Iterator[Finding]:
    """Look at Python, eagrctl, torch and the other packages; a file is written in `folder`, if that can be."""
    found, wanted = (".".join(map(str, version)) for version in (sys.version_info[:3], PYTHON))
    good = sys.version_info >= PYTHON
    remedy = "" if good else f"install Python {wanted} or later"
    yield Finding("Python", good, f"{found}, {sys.executable}", remedy, needed=True)
    yield Finding("eagrctl", True, f"{eagrctl.__version__}, {Path(eagrctl.__file__).parent}")
    yield _torch()
    for module, distribution, purpose in PACKAGES:
        yield _package(module, distribution, purpose)
    yield _h5py(folder)


def extras() -> Iterator[Finding]:
    """Look at what can be installed beside."""
    for extra, (distribution, adds) in EXTRAS.items():
        name = f"extra {extra}"
        try:
            yield Finding(name, True, f"{importlib.metadata.version(distribution)}: {adds}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, None, f"not installed; it adds {adds}", f"pip install 'eagrctl[{extra}]'")


def learns(device: str) -> None:
    """A convolution, forward and backward; raises whatever goes wrong with it."""
    import torch

    layer = torch.nn.Conv2d(3, 4, 3).to(device)
    layer(torch.ones(2, 3, 8, 8, device=device)).square().mean().backward()
    if layer.weight.grad is None or not bool(layer.weight.grad.isfinite().all()):
        raise RuntimeError("its gradient is not finite")


def _torch() -> Finding:
    low, high = (".".join(map(str, version)) for version in TORCH)
    remedy = f"pip install 'torch>={low},<{high}'"
    if reason := why_not(lambda: importlib.import_module("torch")):
        return Finding("torch", False, f"cannot be imported ({reason})", remedy, needed=True)
    import torch

    version = str(torch.__version__)
    if reason := why_not(lambda: learns("cpu")):
        return Finding("torch", False, f"{version}, but a convolution fails ({reason})", remedy, needed=True)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or not TORCH[0] <= (int(numbers[1]), int(numbers[2])) < TORCH[1]:
        return Finding("torch", None, f"{version} works, but eagrctl is made for {low} to below {high}", remedy)
    return Finding("torch", True, f"{version}; a convolution learns", needed=True)


def _package(module: str, distribution: str, purpose: str) -> Finding:
    if reason := why_not(lambda: importlib.import_module(module)):
        detail = f"cannot be imported ({reason})" + (f"; {purpose} needs it" if purpose else "")
        return Finding(distribution, False, detail, f"pip install --force-reinstall {distribution}", not purpose)
    version = getattr(importlib.import_module(module), "__version__", "of unknown version")
    return Finding(distribution, True, str(version), needed=not purpose)


def _h5py(folder: Path) -> Finding:
    scratch = folder if os.access(folder, os.W_OK) else None

    def write_and_read() -> None:
        import h5py
        import numpy as np

        pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        with tempfile.TemporaryDirectory(prefix=".eagrctl-", dir=scratch) as place:
            with h5py.File(Path(place) / "shard.h5", "w") as file:
                file.create_dataset("image", data=pixels, chunks=(8, 16))
            with h5py.File(Path(place) / "shard.h5") as file:
                if not np.array_equal(file["image"][...], pixels):
                    raise RuntimeError("it read other than it wrote")

    if reason := why_not(write_and_read):
        detail = f"cannot write and read a file in {folder if scratch else 'the temporary folder'} ({reason})"
        remedy = "pip install --force-reinstall h5py, or on a network drive set HDF5_USE_FILE_LOCKING=FALSE"
        return Finding("h5py", False, detail, remedy, needed=True)
    version = importlib.import_module("h5py").__version__
    return Finding("h5py", True, f"{version}; a file was written and read", needed=True)
