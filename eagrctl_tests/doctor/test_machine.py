import shutil
import sys
import warnings
from collections import namedtuple
from pathlib import Path

import pytest
import torch
import torch.distributed

from eagrctl import doctor as module
from eagrctl.doctor import Finding, machine

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _a_plain_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU, no driver, no limits, no shared memory: what stands in a test is what it puts there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name in ("DRIVER", "MEMORY", "SHARED_MEMORY"):
        monkeypatch.setattr(module, name, tmp_path / name)
    monkeypatch.setattr(module, "CGROUPS", (tmp_path / "none", tmp_path / "limit"))
    monkeypatch.setattr(module.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4_000_000}.__getitem__)


def look(folder: Path) -> dict[str, Finding]:
    found = {finding.name: finding for finding in machine(folder)}
    assert all(finding.good or finding.remedy for finding in found.values())
    return found


def fake_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> list[str]:
    """GPUs that can be asked; the devices on which a convolution was tried."""
    tried: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"NVIDIA H{number}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (int(70e9), int(85.1e9)))
    monkeypatch.setattr(module, "learns", tried.append)
    return tried


def test_each_gpu_is_tried_and_told_with_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = fake_gpus(monkeypatch, 2)
    found = look(tmp_path)
    assert tried == ["cuda:0", "cuda:1"]
    assert found["GPU 1"].good
    assert found["GPU 1"].detail == "NVIDIA H1, 85.1 GB of memory, 70.0 GB free; a convolution learns"


def test_a_gpu_that_torch_cannot_use_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpus(monkeypatch, 1)

    def fails(device: str) -> None:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(module, "learns", fails)
    finding = look(tmp_path)["GPU 0"]
    assert (finding.good, finding.needed) == (False, False)
    assert "no kernel image" in finding.detail
    assert "--gpus 0" in finding.remedy


def test_no_gpu_is_no_failure(tmp_path: Path) -> None:
    finding = look(tmp_path)["GPUs"]
    assert (finding.good, finding.detail) == (None, "none")
    assert "training runs on the CPU" in finding.remedy


@pytest.mark.parametrize(
    ("cuda", "complaint"), [(None, "this torch is built without CUDA"), ("13.0", "torch sees none (driver too old)")]
)
def test_a_driver_whose_gpu_torch_does_not_see_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: str | None, complaint: str
) -> None:
    def available() -> bool:
        if cuda:
            warnings.warn("driver\ntoo old", stacklevel=1)
        return False

    module.DRIVER.write_text("NVRM version")
    monkeypatch.setattr(torch.cuda, "is_available", available)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    finding = look(tmp_path)["GPUs"]
    assert finding.good is None
    assert finding.detail == f"an NVIDIA driver, but {complaint}"


def test_without_torch_the_rest_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = look(tmp_path)
    assert found["GPUs"].good is None
    assert {"CPU", "memory", "disk"} < set(found)


def test_what_processes_talk_over_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    finding = look(tmp_path)["several processes"]
    assert (finding.good, finding.detail) == (True, "gloo (CPU)")
    fake_gpus(monkeypatch, 2)
    assert "nccl" in look(tmp_path)["several processes"].remedy
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    assert look(tmp_path)["several processes"].detail == "gloo (CPU), nccl (GPUs)"
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    fake_gpus(monkeypatch, 1)
    assert look(tmp_path)["several processes"].good is None


@pytest.mark.parametrize(
    ("limit", "detail"),
    [(None, "16.4 GB"), ("max", "16.4 GB"), ("8000000000", "8.0 GB of the machine's 16.4 GB"), (str(2**63), "16.4 GB")],
)
def test_memory_is_the_machines_or_the_containers(tmp_path: Path, limit: str | None, detail: str) -> None:
    if limit:
        (tmp_path / "limit").write_text(f"{limit}\n")
    assert look(tmp_path)["memory"].detail == detail
    module.MEMORY.write_text("MemTotal:       16000000 kB\nMemAvailable:    4000000 kB\n")
    assert look(tmp_path)["memory"].detail == f"{detail}, 4.1 GB free"


@pytest.mark.parametrize(("free", "good"), [(2e9, True), (1.01e9, True), (0.4e9, False)])
def test_a_full_disk_ends_all_hope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, good: bool) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(int(1e12), int(1e12 - free), int(free)))
    finding = look(tmp_path)["disk"]
    assert (finding.good, finding.needed) == (good, True)
    assert finding.detail == f"{free / 1e9:.1f} GB free at {tmp_path}"


def test_little_shared_memory_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shared memory" not in look(tmp_path)
    module.SHARED_MEMORY.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, int(67e6)))
    finding = look(tmp_path)["shared memory"]
    assert (finding.good, finding.needed) == (None, False)
    assert "--workers 0" in finding.remedy
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, int(8e9)))
    assert look(tmp_path)["shared memory"].good
