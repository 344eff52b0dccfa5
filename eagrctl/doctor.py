"""Can eagrctl work here? What is installed, what the machine has, and what to do about what is missing."""

import importlib
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import eagrctl
from eagrctl.errors import AlignmentError
from eagrctl.weights.fetch import PUBLISHED, cache
from eagrctl.workers import cores

PYTHON, TORCH = (3, 11), (2, 11)  # the first that will do
# Module, distribution, and what needs it: nothing stands where training itself does.
PACKAGES = (
    ("numpy", "numpy", ""),
    ("PIL", "pillow", ""),
    ("pydantic", "pydantic", ""),
    ("safetensors", "safetensors", ""),
    ("scipy", "scipy", "masks and films (parse)"),
    ("pandas", "pandas", "prepare celebamask-hq"),
    ("skimage", "scikit-image", "prepare synthetic and demo"),
    ("matplotlib", "matplotlib", "evaluate --report, runs show and complexity --chart"),
    ("jinja2", "jinja2", "evaluate --report table.html"),
    ("tabulate", "tabulate", "evaluate --report table.md"),
    ("dlib", "dlib-bin", "--align"),
)
# By extra: the distribution it brings, and what that adds.
EXTRAS = {
    "heif": ("pillow-heif", "photos of iPhones (parse photo.heic)"),
    "onnx": ("onnxruntime", "networks as files of ONNX (export)"),
    "tensorboard": ("tensorboard", "curves and pictures of runs in TensorBoard (train --tensorboard)"),
    "video": ("av", "videos (parse clip.mp4)"),
    "yunet": ("opencv-python-headless", "a YuNet as the detector (parse --detector yunet.onnx)"),
}
# Bytes on the disk, and of shared memory: below, eight batches on their way from worker processes may not fit.
ROOM, SHARED = 1e9, 256e6
ELSEWHERE = "pytorch.org/get-started/locally"
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MEMORY, SHARED_MEMORY, DRIVER = Path("/proc/meminfo"), Path("/dev/shm"), Path("/proc/driver/nvidia/version")


class Finding(NamedTuple):
    """A line of what the doctor says.

    Attributes:
        name: what was looked at.
        good: True; False where it is broken; None where it is absent, and can be done without.
        detail: what was found.
        remedy: what to do about it, wherever it is not good.
        needed: whether training cannot work without it.
    """

    name: str
    good: bool | None
    detail: str
    remedy: str = ""
    needed: bool = False


def examine(folder: Path, data: Path, runs: Path) -> Iterator[Finding]:
    """Look at one thing after the other: should one end the process, the lines before it tell which it was.

    Args:
        folder: where eagrctl is to work.
        data: where prepared datasets are.
        runs: where runs are.
    """
    yield from installation(folder)
    yield from machine(folder)
    yield from places(folder, data, runs)
    yield from extras()


def installation(folder: Path) -> Iterator[Finding]:
    """Look at Python, eagrctl, torch and the other packages; a file is written in `folder`, if that can be."""
    found, needed = (".".join(map(str, version)) for version in (sys.version_info[:3], PYTHON))
    remedy = "" if sys.version_info >= PYTHON else f"install Python {needed} or later"
    yield Finding("Python", not remedy, f"{found}, {sys.executable}", remedy, needed=True)
    yield Finding("eagrctl", True, f"{eagrctl.__version__}, {Path(eagrctl.__file__).parent}")
    yield _torch()
    for module, distribution, purpose in PACKAGES:
        if reason := why_not(module):
            detail = f"cannot be imported ({reason})" + (f"; {purpose} needs it" if purpose else "")
            yield Finding(distribution, False, detail, f"pip install --force-reinstall {distribution}", not purpose)
        else:
            version = getattr(sys.modules[module], "__version__", "of unknown version")
            yield Finding(distribution, True, str(version), needed=not purpose)
    yield _h5py(folder)


def machine(folder: Path) -> Iterator[Finding]:
    """Look at the machine, and at the disk of `folder`."""
    if reason := why_not("torch"):
        yield Finding("GPUs", None, f"cannot be told without torch ({reason})", "mend torch first")
    else:
        yield from _gpus()
        yield _processes()
    yield Finding("CPU", True, f"{cores()} core{'s' if cores() > 1 else ''}")
    yield _memory()
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        remedy = "start the container with --shm-size 2g, or read samples in the process that trains: --workers 0"
        good = True if free >= SHARED else None
        yield Finding("shared memory", good, f"{gigabytes(free)} free in {SHARED_MEMORY}", "" if good else remedy)
    free = shutil.disk_usage(folder).free
    remedy = "make room: checkpoints of the full network take 2 GB, those of a small one less" if free < ROOM else ""
    yield Finding("disk", not remedy, f"{gigabytes(free)} free at {folder.absolute()}", remedy, needed=True)


def places(folder: Path, data: Path, runs: Path) -> Iterator[Finding]:
    """Look for what eagrctl reads and writes; arguments as in `examine`."""
    reason = why_not(lambda: tempfile.TemporaryFile(dir=folder).close())
    detail = f"{folder.absolute()} {f'cannot be written ({reason})' if reason else 'can be written'}"
    remedy = "work in a folder that you can write to" if reason else ""
    yield Finding("folder", not reason, detail, remedy, needed=True)
    if names := sorted(index.parent.name for index in data.glob("*/index.json")):
        yield Finding("datasets", True, f"{', '.join(names)} in {data}/")
    else:
        remedy = "prepare one with eagrctl prepare, or go the whole way on painted faces with eagrctl demo"
        yield Finding("datasets", None, f"none in {data}/", remedy)
    if begun := sorted(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime):
        yield Finding("runs", True, f"{len(begun)} in {runs}/, of which {begun[-1].parent.name} began last")
    else:
        yield Finding("runs", None, f"none in {runs}/", "eagrctl train makes the first")
    yield _predictor()
    yield _cache()
    yield from _weights()


def extras() -> Iterator[Finding]:
    """Look at what can be installed beside."""
    for extra, (distribution, adds) in EXTRAS.items():
        name = f"extra {extra}"
        try:
            yield Finding(name, True, f"{importlib.metadata.version(distribution)}: {adds}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, None, f"not installed; it adds {adds}", f"pip install 'eagrctl[{extra}]'")


def why_not(work: Callable[[], object] | str) -> str | None:
    """Do what a sound installation can do, or import a module; one line that tells why it failed, or None."""
    try:
        importlib.import_module(work) if isinstance(work, str) else work()
    except Exception as error:  # a broken package raises whatever it likes
        return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
    return None


def learns(device: str) -> None:
    """A convolution, forward and backward; raises whatever goes wrong with it."""
    import torch

    layer = torch.nn.Conv2d(3, 4, 3).to(device)
    layer(torch.ones(2, 3, 8, 8, device=device)).square().mean().backward()
    if layer.weight.grad is None or not bool(layer.weight.grad.isfinite().all()):
        raise RuntimeError("its gradient is not finite")


def gigabytes(count: float) -> str:
    """Bytes in words."""
    return f"{count / 1e9:,.1f} GB"


def _torch() -> Finding:
    needed = ".".join(map(str, TORCH))
    remedy = f"pip install 'torch>={needed}'"
    if reason := why_not("torch"):
        return Finding("torch", False, f"cannot be imported ({reason})", remedy, needed=True)
    import torch

    version = str(torch.__version__)
    if reason := why_not(partial(learns, "cpu")):
        return Finding("torch", False, f"{version}, but a convolution fails ({reason})", remedy, needed=True)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < TORCH:
        return Finding("torch", None, f"{version} works, but eagrctl is made for {needed} or later", remedy)
    return Finding("torch", True, f"{version}; a convolution learns", needed=True)


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
    return Finding("h5py", True, f"{sys.modules['h5py'].__version__}; a file was written and read", needed=True)


def _gpus() -> Iterator[Finding]:
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:  # no failure; but one that torch does not see may be a surprise
        if not (DRIVER.is_file() or shutil.which("nvidia-smi")):
            detail, remedy = "none", "training runs on the CPU; recipes that end in -small are made for it"
        elif torch.version.cuda is None:
            detail = "an NVIDIA driver, but this torch is built without CUDA"
            remedy = f"get one that is built with it: {ELSEWHERE}"
        else:
            detail = "an NVIDIA driver, but torch sees none"
            remedy = "compare nvidia-smi and CUDA_VISIBLE_DEVICES with what should be there"
        why = f" ({' '.join(str(said[0].message).split())})" if said else ""
        yield Finding("GPUs", None, f"{detail}{why}", remedy)
    for number in range(count):
        name, card = f"GPU {number}", torch.cuda.get_device_name(number)
        if reason := why_not(partial(learns, f"cuda:{number}")):
            what = f"{card}, but a convolution fails on it ({reason})"
            yield Finding(name, False, what, f"train on the CPU with --gpus 0, or get another torch: {ELSEWHERE}")
            continue
        free, total = map(gigabytes, torch.cuda.mem_get_info(number))
        yield Finding(name, True, f"{card}, {total} of memory, {free} free; a convolution learns")


def _processes() -> Finding:
    """What several processes would talk over."""
    import torch
    import torch.distributed as dist

    backends = {"gloo (CPU)": dist.is_gloo_available, "nccl (GPUs)": dist.is_nccl_available}
    found = [name for name, present in backends.items() if dist.is_available() and present()]
    remedy = "" if found else "train in one process"
    if torch.cuda.device_count() > 1 and "nccl (GPUs)" not in found:
        remedy = "train on one GPU, or get a torch that has nccl"
    return Finding("several processes", not remedy or None, ", ".join(found) or "none", remedy)


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # A container's limit; without one there stands "max", or more than there is.
    limits = [text for file in CGROUPS if file.is_file() and (text := file.read_text().strip()).isdigit()]
    limit = min([total, *map(int, limits)])
    detail = gigabytes(total) if limit == total else f"{gigabytes(limit)} of the machine's {gigabytes(total)}"
    if MEMORY.is_file() and (free := re.search(r"MemAvailable:\s+(\d+)", MEMORY.read_text())):
        detail += f", {gigabytes(1024 * int(free[1]))} free"
    return Finding("memory", True, detail)


def _predictor() -> Finding:
    """The landmark predictor that dlib's detector would use; nothing else needs one."""
    name = "dlib predictor"
    try:
        from eagrctl.faces.landmarks import VARIABLE, DlibLandmarks, find_predictor

        path = find_predictor()
        return Finding(name, True, f"{path} ({DlibLandmarks(path).description})")
    except AlignmentError as error:
        detail, _, remedy = str(error).rpartition(": ")
        # Without one, all but --detector dlib works; one that is named and unfit was meant to be used.
        return Finding(name, False if os.environ.get(VARIABLE) else None, detail, remedy)
    except Exception as error:  # a broken package raises whatever it likes
        return Finding(name, None, f"cannot be told ({error})", "mend dlib and the other packages first")


def _cache() -> Finding:
    place = cache()
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding("cache", None, f"{place} cannot be written", "name another folder in EAGRCTL_CACHE")
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return Finding("cache", True, f"{place}, {gigabytes(size) if size else 'empty'}")


def _weights() -> Iterator[Finding]:
    name = "ImageNet weights"
    files = {cache() / "weights" / published.name: published for published in PUBLISHED.values()}
    present = [path for path in files if path.is_file()]
    unfit = [path for path in present if not files[path].bytes[0] <= path.stat().st_size <= files[path].bytes[1]]
    for path in unfit:
        yield Finding(name, False, f"{path} is not of the size that was published", "delete it: it is fetched again")
    if whole := [path.name for path in present if path not in unfit]:
        yield Finding(name, True, ", ".join(whole))
    elif not unfit:
        remedy = "training fetches those that a recipe asks for; without a network, give a file with --pretrained FILE"
        yield Finding(name, None, "none in the cache", remedy)
