import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

from eagrctl.doctor import EXTRAS, PACKAGES, PYTHON, TORCH, Finding, extras, installation, why_not

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def look(folder: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in installation(folder)}


def fail(*_: object, **__: object) -> Any:
    raise RuntimeError("no kernel is there\nfor this device")


def test_a_reason_is_one_line() -> None:
    assert why_not(fail) == "RuntimeError: no kernel is there"
    assert why_not(lambda: None) is None
    assert why_not(lambda: [][0]) == "IndexError: list index out of range"


def test_versions_and_packages_are_those_of_the_project() -> None:
    assert PROJECT["requires-python"] == f">={PYTHON[0]}.{PYTHON[1]}"
    assert f"torch>={TORCH[0]}.{TORCH[1]}" in PROJECT["dependencies"]
    required = {re.split(r"[>=<;\s]", line)[0] for line in PROJECT["dependencies"]}
    shown = {distribution for _, distribution, _ in PACKAGES} | {"torch", "h5py"}
    assert shown == required - {"rich", "typer", "dlib"}  # without rich and typer it says nothing at all
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"]) - {"test"}


def test_where_the_tests_run_everything_is_good(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert {name for name, finding in found.items() if not finding.good} == set()
    assert found["torch"].detail == f"{torch.__version__}; a convolution learns"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("2.11.0", True),
        ("2.13.1+cu130", True),
        ("2.10.0+cpu", None),
        ("2.14.0a0+git1", True),
        ("3.0.0", True),
        ("unknown", None),
    ],
)
def test_torch_of_another_version_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, good: bool | None
) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    finding = look(tmp_path)["torch"]
    assert finding.good is good
    assert version in finding.detail
    assert finding.remedy == ("" if good else "pip install 'torch>=2.11'")


def test_torch_that_cannot_learn_ends_all_hope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn, "Conv2d", fail)
    finding = look(tmp_path)["torch"]
    assert (finding.good, finding.needed) == (False, True)
    assert "a convolution fails (RuntimeError: no kernel is there)" in finding.detail


@pytest.mark.parametrize(
    ("module", "name", "needed"),
    [("torch", "torch", True), ("numpy", "numpy", True), ("h5py", "h5py", True), ("dlib", "dlib-bin", False)],
)
def test_a_package_that_is_missing_is_told_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, needed: bool
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    found = look(tmp_path)
    assert (found[name].good, found[name].needed) == (False, needed)
    assert "ModuleNotFoundError" in found[name].detail
    assert found[name].remedy.startswith("pip install ")
    assert len(found) == 4 + len(PACKAGES)


def test_hdf5_that_cannot_write_here_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> Any:
        raise BlockingIOError("unable to lock file")

    monkeypatch.setattr(h5py, "File", locked)
    finding = look(tmp_path)["h5py"]
    assert (finding.good, finding.needed) == (False, True)
    assert f"{tmp_path} (BlockingIOError: unable to lock file)" in finding.detail
    assert "HDF5_USE_FILE_LOCKING=FALSE" in finding.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_extra_says_what_it_adds_or_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.21.0")
    found = list(extras())
    assert all(finding.good and "2.21.0" in finding.detail for finding in found)

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    found = list(extras())
    assert all((finding.good, finding.needed) == (None, False) for finding in found)
    assert [finding.remedy for finding in found] == [f"pip install 'eagrctl[{extra}]'" for extra in EXTRAS]
