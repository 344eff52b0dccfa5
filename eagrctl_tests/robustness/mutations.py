"""Damage to files: bytes, and what only somebody who knows the format would think of, in files that stay valid."""

import hashlib
import io
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 7, 10**30, 2**63, -(2**63), 1e308, float("nan"), float("inf"), "", "x" * 300, "\ud800", "a\0b",
    "../victim/precious.txt", "/etc/passwd", "..", "\x1b]0;owned\x07\x1b[2J", "a\nb\r|<b>=1+1", "\x9b31m", "\u202ex",
    [], {}, [[]], [1, 2, 3], {"a": 1}, [None] * 50, ["x"] * 3, 0.5, 1e9, "nan", -0.0, "1",
)  # fmt: skip


def damage(chance: random.Random, path: Path) -> str:
    """Damage a file, in a way that fits its kind or in one that fits all; tells which."""
    kinds = [*_ANY, *(_OF.get(path.suffix.lower(), ()) * 2)]
    kind = chance.choice(kinds)
    try:
        kind(chance, path)
    except Exception:  # some files are too small, or are not what their name says any more, for what was drawn
        _flip(chance, path)
        return "flip"
    return kind.__name__.strip("_")


# What fits all files.


def _flip(chance: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes() or b"0")
    for _ in range(chance.choice((1, 4, 32))):
        data[chance.randrange(min(len(data), chance.choice((64, 1024, len(data)))))] = chance.randrange(256)
    path.write_bytes(data)


def _cut(chance: random.Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.choice((0, 1, len(data) // 2, max(0, len(data) - 2), chance.randrange(len(data))))])


def _insert(chance: random.Random, path: Path) -> None:
    data = path.read_bytes()
    place = chance.randrange(len(data) + 1)
    more = chance.choice((b"\0" * 64, b"\xff" * 64, chance.randbytes(64), b"\x1b[2J", data[:2000], b"9" * 5000))
    path.write_bytes(data[:place] + more + data[place:])


def _deep(chance: random.Random, path: Path) -> None:
    path.write_bytes(chance.choice((b"[" * 100_000, b'{"a":' * 100_000, b"a = " + b"[" * 100_000, b"\x80" * 9999)))


def _other(chance: random.Random, path: Path) -> None:
    """Another kind of file, one that lies in the same place or a program's."""
    ps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n%%EOF\n"
    others = [each for each in path.parent.iterdir() if each.is_file() and each.stat().st_size < 1e6]
    path.write_bytes(chance.choice((ps, b"cos\nsystem\n(S'true'\ntR.", chance.choice(others or [path]).read_bytes())))


def _special(chance: random.Random, path: Path) -> None:
    path.unlink()
    what = chance.randrange(4)
    if what == 0:
        os.mkfifo(path)
    elif what == 1:
        path.mkdir()
    else:
        path.symlink_to(path.name if what == 2 else "/dev/zero")


def _named(chance: random.Random, path: Path) -> None:
    """Another name, which breaks lines, terminals, tables, encodings or limits."""
    end = path.suffix.encode()
    name = chance.choice(
        (b"a\x1b[2Jb", b"\xff\xfe", b"a\nb", b"x" * (255 - len(end)), b"-rf", b"=1+1", b"._a", b"a|b<i>")
    )
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/" + name + end))


_ANY = (_flip, _flip, _cut, _insert, _deep, _other, _special, _named)


# Documents.


def _somewhere(chance: random.Random, tree: Any) -> Any:
    """The same nested lists and dictionaries with something hostile in one place."""
    if isinstance(tree, dict) and tree and chance.random() < 0.93:
        key = chance.choice(list(tree))
        if chance.random() < 0.06:
            return {each: value for each, value in tree.items() if each != key}
        return tree | {key: _somewhere(chance, tree[key])}
    if isinstance(tree, list | tuple) and tree and chance.random() < 0.93:
        place = chance.randrange(len(tree))
        return [*tree[:place], _somewhere(chance, tree[place]), *tree[place + 1 :]]
    return chance.choice(HOSTILE)


def _json(chance: random.Random, path: Path) -> None:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    place = chance.randrange(len(lines))
    lines[place] = json.dumps(_somewhere(chance, json.loads(lines[place])), indent=None if len(lines) > 1 else 2)
    path.write_text("\n".join(lines) + "\n")


def _line(chance: random.Random, path: Path) -> None:
    """A line, or the value in it, of a list, a table of numbers, a TOML."""
    lines = path.read_text().splitlines() or [""]
    place = chance.randrange(len(lines))
    key, equals, _ = lines[place].partition(" = ")
    value = chance.choice(HOSTILE)
    text = json.dumps(value) if equals else str(value)
    lines[place] = chance.choice((f"{key}{equals}{text}", f"{key}{equals}{text}", lines[place] * 2, "9" * 5000, ""))
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


# Weights.


def _safetensors(chance: random.Random, path: Path) -> None:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = header.get("__metadata__", {})
    if "checkpoint" in about and chance.random() < 0.6:
        about["checkpoint"] = json.dumps(_somewhere(chance, json.loads(about["checkpoint"])))
    else:
        header = _somewhere(chance, header)
    text = json.dumps(header).encode()
    size = chance.choice((len(text), len(text), len(text), len(text), 2**62))
    path.write_bytes(struct.pack("<Q", size) + text + data[8 + int.from_bytes(data[:8], "little") :])


def _pickle(chance: random.Random, path: Path) -> None:
    """A checkpoint with something else in one place: a number of its recipe, a tensor's type or shape."""
    import torch

    contents = torch.load(path, map_location="cpu", weights_only=True)
    contents = {key: dict(value) if isinstance(value, dict) else value for key, value in contents.items()}
    if chance.random() < 0.4 and "network" in contents:
        name = chance.choice(list(contents["network"]))
        whole = contents["network"][name]
        contents["network"][name] = chance.choice(
            (whole.double(), whole.to(torch.complex64), whole[None], whole.flatten()[:0],
             torch.zeros(1).expand(40_000, 90_000), whole * float("nan"), whole.to_sparse(),
             torch.zeros(2, dtype=torch.int8), "text", None)
        )  # fmt: skip
    else:
        contents = _somewhere(chance, contents)
    torch.save(contents, path)


# Pictures and videos.


def _png(chance: random.Random, path: Path) -> None:
    """A PNG that says it is large, or has a text or a profile that unpacks to a lot, or a wrong checksum."""
    data = path.read_bytes()
    head, rest = bytearray(data[:33]), data[33:]
    what = chance.randrange(4)
    if what < 2:
        struct.pack_into(">I", head, 16 + 4 * what, chance.choice((0, 1, 60_000, 2**31 - 1, 20_000)))
    elif what == 2:
        head[chance.choice((24, 25, 26, 28))] = chance.choice((0, 1, 2, 3, 4, 6, 16, 99))
    if chance.random() < 0.9:
        struct.pack_into(">I", head, 29, zlib.crc32(head[12:29]))
    bomb = zlib.compress(bytes(chance.choice((100, 80_000_000))))
    more = b""
    if what == 3:
        kind, body = chance.choice(
            ((b"iCCP", b"p\0\0" + bomb), (b"zTXt", b"t\0\0" + bomb), (b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"))
        )
        more = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(bytes(head) + more + rest)


def _jpeg(chance: random.Random, path: Path) -> None:
    """A JPEG that says it has another size or number of channels, or with damaged EXIF data."""
    data = bytearray(path.read_bytes())
    start = next(place for place in range(len(data) - 9) if data[place] == 0xFF and data[place + 1] in (0xC0, 0xC2))
    if chance.random() < 0.7:
        struct.pack_into(">HH", data, start + 5, *chance.choices((0, 1, 65_500, 20_000, 70), k=2))
    else:
        exif = b"Exif\0\0" + chance.choice(
            (b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\1\0\0\0\x09", b"II")
        )
        data[2:2] = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(data)


def _boxes(chance: random.Random, path: Path) -> None:
    """A video whose boxes have other sizes, or other numbers in them."""
    data = bytearray(path.read_bytes())
    names = [
        name
        for name in (b"moov", b"mvhd", b"trak", b"tkhd", b"mdat", b"stsd", b"stsz", b"stco", b"stts")
        if name in data
    ]
    place = data.index(chance.choice(names)) + chance.choice((-4, 4, 8, 12, 16, 24))
    struct.pack_into(">I", data, place, chance.choice((0, 1, 8, 2**31 - 1, 2**32 - 1, chance.randrange(2**16))))
    path.write_bytes(data)


# Shards.


def _hdf5(chance: random.Random, path: Path) -> None:
    """A shard with something else in place of one of its datasets, or pixels that lie in another file."""
    outside = str((path.parents[2] / "victim" / "precious.txt").resolve())
    with h5py.File(path, "r+") as file:
        name = chance.choice(sorted(file))
        old = file[name]
        shape, values = old.shape, old[()]
        del file[name]
        what = chance.randrange(10)
        if what == 0:
            file[name] = h5py.ExternalLink(outside, "x")
        elif what == 1:
            file[name] = h5py.SoftLink(chance.choice((f"/{name}", "/image", "/nowhere")))
        elif what == 2:
            file.create_dataset(name, shape=shape, dtype="u1", external=[(outside, 0, h5py.h5f.UNLIMITED)])
        elif what == 3:
            file.create_group(name)
        elif what == 4:
            file.create_dataset(name, shape=(*shape[:1], *(2**17 for _ in shape[1:])), dtype=old.dtype, chunks=True)
        elif what == 5:
            file[name] = np.zeros(shape, chance.choice(("f4", "S3", "i8", "c8", "?")))
        elif what == 6:
            file[name] = np.zeros(chance.choice(((), (0,), shape[:1], (*shape, 2), shape[1:], (10**6,))), "u1")
        elif what == 7:
            texts = [json.dumps(chance.choice(HOSTILE)).encode() for _ in range(shape[0])]
            file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        elif what == 8 and values.dtype.kind in "fi":
            file[name] = np.full(
                shape, chance.choice((0, -1, 2**31 - 1, np.nan)) if values.dtype.kind == "f" else 2**31 - 1
            )
        elif what == 9:
            file[name] = h5py.Empty("f")


def _again_promised(shard: Path) -> None:
    """Give the index a changed shard's size and hash, as whoever hands on a dataset can."""
    index = shard.parent / "index.json"
    if index.is_file() and shard.is_file():
        table = json.loads(index.read_text())
        for split in table["splits"].values():
            for each in split["shards"]:
                if each["file"] == shard.name:
                    data = shard.read_bytes()
                    each["bytes"], each["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        index.write_text(json.dumps(table))


def _shard(chance: random.Random, path: Path) -> None:
    chance.choice((_hdf5, _hdf5, _hdf5, _flip))(chance, path)
    _again_promised(path)


def _npy_like(chance: random.Random, path: Path) -> None:
    """Numbers of a dlib file, which are written as a length and so many bytes, made larger."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 3, 40))):
        place = chance.randrange(min(len(data) - 2, chance.choice((30, 3000, len(data) - 2))))
        data[place : place + 2] = chance.choice((b"\x01\xff", b"\x02\xff", b"\x88\x01", b"\x04\xff", b"\x81\x05"))
    path.write_bytes(data)


Kind = Callable[[random.Random, Path], None]
_OF: dict[str, tuple[Kind, ...]] = {
    ".json": (_json,) * 4, ".jsonl": (_json,) * 4, ".toml": (_line,) * 4, ".txt": (_line,) * 4, ".pts": (_line,) * 3,
    ".safetensors": (_safetensors,) * 4, ".pt": (_pickle,) * 4, ".pth": (_pickle,) * 4, ".png": (_png,) * 3,
    ".jpg": (_jpeg,) * 3, ".mp4": (_boxes,) * 4, ".h5": (_shard,) * 4, ".dat": (_npy_like,) * 4,
}  # fmt: skip


def in_format(picture: Any, kind: str) -> bytes:
    """A picture of Pillow's in a format."""
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()
