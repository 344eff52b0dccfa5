import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eagrctl.errors import CheckpointError
from eagrctl.tensorfile import read_tensors


def test_every_kind_of_file_gives_the_same_tensors(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([True])}
    torch.save(tensors, tmp_path / "new.pt")
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(tensors, tmp_path / "a.safetensors", {"said": "so"})
    (tmp_path / "nameless").write_bytes((tmp_path / "a.safetensors").read_bytes())
    for name in ("new.pt", "old.pth", "a.safetensors", "nameless"):
        found = read_tensors(tmp_path / name, old_pickles=True)
        assert all(torch.equal(found.contents[key], value) for key, value in tensors.items())
        assert found.metadata == ({"said": "so"} if name in ("a.safetensors", "nameless") else {})


def test_an_old_pickle_is_taken_only_where_asked_for(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"old\.pth is not a file of weights"):
        read_tensors(tmp_path / "old.pth")


class Malicious:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (os.environ["EAGRCTL_TEST_TRAP"],)


@pytest.mark.parametrize("kind", ["pickle", "old", "zip"])
def test_nothing_in_a_file_is_run(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "trap.pth"
    monkeypatch.setenv("EAGRCTL_TEST_TRAP", str(trap))
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Malicious()))
    else:
        torch.save({"a": Malicious()}, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(CheckpointError, match=r"trap\.pth is not a file of weights"):
        read_tensors(path, old_pickles=True)
    assert not trap.exists()
    with path.open("rb") as file:
        assert b"mkdir" in file.read()  # the trap is there, and would have sprung


@pytest.mark.parametrize("name", ["new.pt", "old.pth", "a.safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 9, 40, 500, -1])
def test_a_truncated_file_is_refused(name: str, keep: int, tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(1000)}
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=path.suffix == ".pt")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="not a file of weights, or is damaged"):
        read_tensors(path, old_pickles=True)


@pytest.mark.parametrize("text", [b"dear diary", b"{}", b"\x00" * 100, b"12345678{", b""])
def test_other_files_are_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.pth"
    path.write_bytes(text)
    with pytest.raises(CheckpointError, match=r"notes\.pth is not a file of weights"):
        read_tensors(path, old_pickles=True)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_tensors(tmp_path / "missing.pt")
    with pytest.raises(CheckpointError, match="is not a file of weights"):
        read_tensors(tmp_path)


def packed(path: Path) -> None:
    """The same archive, compressed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def promised(path: Path) -> None:
    """The same archive, whose pickle says that the tensor has more numbers than there are."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            # 3,000 as a two-byte whole number, in a pickle of protocol 2: of the storage, the shape.
            archive.writestr(name, data.replace(b"M\xb8\x0b", b"M\xff\xff") if name.endswith("data.pkl") else data)


@pytest.mark.parametrize("change", [packed, promised])
def test_an_archive_that_promises_more_than_it_holds_is_refused(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"a": torch.zeros(3000)}, path)
    change(path)
    for mapped in (False, True):
        with pytest.raises(CheckpointError, match=r"net\.pt is not a file of weights, or is damaged"):
            read_tensors(path, mapped=mapped)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(40_000, 90_000),
        torch.eye(3).to_sparse(),
        torch.zeros(3, dtype=torch.complex64),
    ],
    ids=["expanded", "sparse", "complex"],
)
def test_tensors_that_no_network_has_are_refused(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"network": [tensor]}, tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="is not a file of weights, or is damaged"):
        read_tensors(tmp_path / "net.pt")


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    nested: list[object] = []
    for _ in range(200):
        nested = [nested]
    torch.save(nested, tmp_path / "net.pt")
    for _ in range(50_000):
        nested = [nested]
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(
                name, b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"." if name.endswith(".pkl") else data
            )
    with pytest.raises(CheckpointError, match="is not a file of weights, or is damaged"):
        read_tensors(path)


def test_a_name_that_is_no_text_is_read(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3)}, tmp_path / "net.pt")
    path = (tmp_path / "net.pt").rename(tmp_path / "n\udcff.pt")
    for mapped in (False, True):
        assert read_tensors(path, mapped=mapped).contents["a"].tolist() == [0, 1, 2]
