"""Published ImageNet weights: fetched once, checked, and kept in a cache."""

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from eagrctl.errors import CheckpointError
from eagrctl.events import Listener, Notice, Progress, ignore
from eagrctl.files import replacing, sha256_of

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 20


@dataclass(frozen=True)
class Published:
    """A file that somebody publishes.

    Attributes:
        url: where.
        bytes: its size: exact, or the least and the most that is plausible, where nobody says more. The tensors alone
            take the least; an old pickle adds under 0.2 %.
        sha256: how its hash begins, as far as it is known; else empty.
    """

    url: str
    bytes: tuple[int, int]
    sha256: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


_DEEP = "https://sceneparsing.csail.mit.edu/model/pretrained_resnet"
_TORCHVISION = "https://download.pytorch.org/models"
# By backbone and stem. torchvision puts the first digits of a file's hash into its name; the rest, where public
# repositories record it. Those of the deep stems come without any; the size and hash of resnet101's are what a public
# repository's Git LFS pointer records of it. Nobody records those of the other two: the hash of what came is told.
PUBLISHED: dict[tuple[str, str], Published] = {
    ("resnet18", "deep"): Published(f"{_DEEP}/resnet18-imagenet.pth", (47_392_416, 47_550_000)),
    ("resnet50", "deep"): Published(f"{_DEEP}/resnet50-imagenet.pth", (102_937_248, 103_150_000)),
    ("resnet101", "deep"): Published(f"{_DEEP}/resnet101-imagenet.pth", (179_190_439, 179_190_439), "d0bae64a3e18ab76"),
    ("resnet18", "conv7x7"): Published(f"{_TORCHVISION}/resnet18-f37072fd.pth", (46_700_000, 47_000_000), "f37072fd"),
    ("resnet50", "conv7x7"): Published(
        f"{_TORCHVISION}/resnet50-0676ba61.pth",
        (102_530_333, 102_530_333),
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    ("resnet101", "conv7x7"): Published(
        f"{_TORCHVISION}/resnet101-63fe2227.pth",
        (178_400_000, 179_000_000),
        "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    ),
}


def cache() -> Path:
    """Where fetched files are kept: EAGRCTL_CACHE, or eagrctl in the user's cache folder."""
    if named := os.environ.get("EAGRCTL_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eagrctl"


def fetch(published: Published, listener: Listener = ignore) -> Path:
    """The file in the cache, fetched if it is not there.

    Raises:
        CheckpointError: no network, another file than was published, or no place to keep it. Says where to put it.
    """
    path = cache() / "weights" / published.name
    elsewhere = (
        f"fetch {published.url} elsewhere and put it at {path}, name another file with --pretrained FILE, "
        "or train from scratch with --set model.pretrained='\"none\"'"
    )
    if path.is_file():
        if wrong := _wrong(path, published):
            raise CheckpointError(f"{path} is not the file that was published ({wrong}): delete it, or {elsewhere}")
        return path
    listener(Notice(f"Fetching {published.url}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            _download(published, temporary, listener)
            if wrong := _wrong(temporary, published):
                raise CheckpointError(f"{published.url} gave another file than was published ({wrong}): {elsewhere}")
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot fetch {published.name} ({reason}): {elsewhere}") from None
    unknown = "" if published.sha256 else f" (its publisher names no SHA-256 to compare; it has {sha256_of(path)})"
    listener(Notice(f"Kept {path}{unknown}"))
    return path


def _download(published: Published, path: Path, listener: Listener) -> None:
    request = urllib.request.Request(published.url, headers={"User-Agent": "eagrctl"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
        if urlsplit(answer.url).scheme != urlsplit(published.url).scheme:
            raise ValueError(f"the server leads to {urlsplit(answer.url).scheme}, which anybody between could change")
        total = int(answer.headers.get("Content-Length") or published.bytes[1])
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            done = file.tell()
            listener(Progress(f"fetching {published.name} (MB)", done >> 20, max(total, done) >> 20))
            if done > published.bytes[1]:
                return  # too long already: no need to fill the disk with it
        listener(Progress(f"fetching {published.name} (MB)", 1, 1))


def _wrong(path: Path, published: Published) -> str:
    """What is wrong with a file, or nothing."""
    least, most = published.bytes
    size = path.stat().st_size
    if not least <= size <= most:
        return f"{size:,} bytes, not {least:,}" if least == most else f"{size:,} bytes, not {least:,} to {most:,}"
    if published.sha256:
        found = sha256_of(path)
        if not found.startswith(published.sha256):
            told = slice(16)  # enough to see that they differ
            return f"its SHA-256 begins with {found[: len(published.sha256)][told]}, not {published.sha256[told]}"
    return ""
