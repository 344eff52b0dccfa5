"""What the machine has: GPUs, cores, memory, room on its disk."""

import importlib
import os
import shutil
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from eagrctl.doctor.finding import Finding, gigabytes, why_not
from eagrctl.doctor.installation import learns

ROOM = 1e9  # bytes on the disk
SHARED = 256e6  # bytes of shared memory: below, eight batches on their way from worker processes may not fit
ELSEWHERE = "pytorch.org/get-started/locally"
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MEMORY = Path("/proc/meminfo")
SHARED_MEMORY = Path("/dev/shm")
DRIVER = Path("/proc/driver/nvidia/version")


def machine(folder: Path) -> Iterator[Finding]:
    """Look at the machine, and at the disk of `folder`."""
    if reason := why_not(lambda: importlib.import_module("torch")):
        yield Finding("GPUs", None, f"cannot be told without torch ({reason})", "mend torch first")
    else:
        yield from _gpus()
        yield _processes()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("CPU", True, f"{cores} core{'s' if cores > 1 else ''}")
    yield _memory()
    if SHARED_MEMORY.is_dir():
        yield _shared_memory()
    yield _disk(folder)


def _gpus() -> Iterator[Finding]:
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        yield _no_gpu(" ".join(str(said[0].message).split()) if said else "")
    for number in range(count):
        name = f"GPU {number}"
        if reason := why_not(partial(learns, f"cuda:{number}")):
            what = f"{torch.cuda.get_device_name(number)}, but a convolution fails on it ({reason})"
            yield Finding(name, False, what, f"train on the CPU with --gpus 0, or get another torch: {ELSEWHERE}")
            continue
        free, total = torch.cuda.mem_get_info(number)
        memory = f"{gigabytes(total)} of memory, {gigabytes(free)} free"
        yield Finding(name, True, f"{torch.cuda.get_device_name(number)}, {memory}; a convolution learns")


def _no_gpu(said: str) -> Finding:
    """No GPU is no failure; one that torch does not see may be a surprise."""
    import torch

    if not (DRIVER.is_file() or shutil.which("nvidia-smi")):
        return Finding("GPUs", None, "none", "training runs on the CPU; recipes that end in -small are made for it")
    if torch.version.cuda is None:
        detail, remedy = "this torch is built without CUDA", f"get one that is built with it: {ELSEWHERE}"
    else:
        detail, remedy = "torch sees none", "compare nvidia-smi and CUDA_VISIBLE_DEVICES with what should be there"
    return Finding("GPUs", None, f"an NVIDIA driver, but {detail}{f' ({said})' if said else ''}", remedy)


def _processes() -> Finding:
    """What several processes would talk over."""
    import torch
    import torch.distributed as dist

    there = dist.is_available()
    backends = {"gloo (CPU)": there and dist.is_gloo_available(), "nccl (GPUs)": there and dist.is_nccl_available()}
    found = ", ".join(name for name, present in backends.items() if present)
    if torch.cuda.device_count() > 1 and not backends["nccl (GPUs)"]:
        return Finding("several processes", None, found or "none", "train on one GPU, or get a torch that has nccl")
    return Finding("several processes", bool(found) or None, found or "none", "" if found else "train in one process")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    detail = gigabytes(total)
    for file in CGROUPS:
        # A container's limit; without one there stands "max", or more than there is.
        if file.is_file() and (limit := file.read_text().strip()).isdigit() and int(limit) < total:
            detail = f"{gigabytes(int(limit))} of the machine's {detail}"
            break
    if MEMORY.is_file():
        kilobytes = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines() if ":" in line)
        if available := kilobytes.get("MemAvailable", "").split():
            detail += f", {gigabytes(1024 * int(available[0]))} free"
    return Finding("memory", True, detail)


def _shared_memory() -> Finding:
    free = shutil.disk_usage(SHARED_MEMORY).free
    detail = f"{gigabytes(free)} free in {SHARED_MEMORY}"
    if free < SHARED:
        remedy = "start the container with --shm-size 2g, or read samples without processes of their own: --workers 0"
        return Finding("shared memory", None, detail, remedy)
    return Finding("shared memory", True, detail)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    detail = f"{gigabytes(free)} free at {folder.absolute()}"
    if free < ROOM:
        remedy = "make room: checkpoints of the full network take 2 GB, those of a small one less"
        return Finding("disk", False, detail, remedy, needed=True)
    return Finding("disk", True, detail, needed=True)
