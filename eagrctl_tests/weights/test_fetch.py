"""Fetching, from a server in this process."""

import hashlib
import io
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eagrctl.errors import CheckpointError
from eagrctl.events import Notice, Progress
from eagrctl.weights.fetch import PUBLISHED, Published, cache, fetch

BODY = bytes(range(256)) * 12_000  # 3 MB
DIGEST = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:  # http.server's name
        Handler.asked += 1
        if self.path.endswith("absent.pth"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: len(BODY) // 2] if self.path.endswith("cut.pth") else BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EAGRCTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def test_a_file_is_fetched_once_with_progress(server: str, place: Path) -> None:
    events: list[Progress | Notice] = []
    published = Published(f"{server}/good.pth", (len(BODY), len(BODY)), DIGEST[:8])
    before = Handler.asked
    path = fetch(published, events.append)
    assert (path, path.read_bytes()) == (place / "good.pth", BODY)
    steps = [event for event in events if isinstance(event, Progress)]
    assert (steps[0].done, steps[0].total) == (1, len(BODY) >> 20)
    assert steps[-1].done == steps[-1].total
    assert fetch(published) == path
    assert Handler.asked == before + 1
    assert [file.name for file in place.iterdir()] == ["good.pth"]


@pytest.mark.parametrize(
    ("name", "size", "digest", "message"),
    [
        ("good.pth", (len(BODY), len(BODY)), "0123abcd", f"SHA-256 begins with {DIGEST[:8]}, not 0123abcd"),
        ("good.pth", (10, 20), "", "bytes, not 10 to 20"),
        ("cut.pth", (len(BODY), len(BODY)), "", "cut.pth"),
        ("absent.pth", (1, 10**9), "", "cannot fetch absent.pth"),
    ],
)
def test_another_file_than_was_published_is_not_kept(
    name: str, size: tuple[int, int], digest: str, message: str, server: str, place: Path
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        fetch(Published(f"{server}/{name}", size, digest))
    assert str(place / name) in str(caught.value)
    assert list(place.iterdir()) == []


def test_without_a_network_the_message_says_where_to_put_the_file(place: Path) -> None:
    published = Published("http://127.0.0.1:9/resnet101-imagenet.pth", (1, 2))
    with pytest.raises(CheckpointError) as caught:
        fetch(published)
    message = str(caught.value)
    for part in ("cannot fetch", published.url, str(place / "resnet101-imagenet.pth"), "--pretrained FILE"):
        assert part in message
    assert "\n" not in message


def test_a_wrong_file_in_the_cache_is_named(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "a.pth").write_bytes(b"short")
    with pytest.raises(CheckpointError, match=r"a\.pth is not the file that was published \(5 bytes"):
        fetch(Published("http://127.0.0.1:9/a.pth", (100, 100)))


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("EAGRCTL_CACHE", str(tmp_path / "taken"))
    with pytest.raises(CheckpointError, match="cannot fetch"):
        fetch(Published("http://127.0.0.1:9/a.pth", (1, 2)))


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EAGRCTL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache() == tmp_path / "eagrctl"


def test_published_weights_come_over_https() -> None:
    assert {published.url.split(":")[0] for published in PUBLISHED.values()} == {"https"}


def test_a_server_that_leads_away_from_https_is_refused(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    answer = io.BytesIO(BODY)
    answer.url, answer.headers = "http://elsewhere/good.pth", {}  # type: ignore[attr-defined]
    monkeypatch.setattr(urllib.request, "urlopen", lambda *given, **named: answer)
    with pytest.raises(CheckpointError, match="leads to http, which anybody between could change"):
        fetch(Published("https://here/good.pth", (len(BODY), len(BODY))))
    assert not list(place.iterdir())


def test_where_no_hash_is_published_that_of_what_came_is_told(server: str) -> None:
    events: list[Progress | Notice] = []
    fetch(Published(f"{server}/good.pth", (len(BODY), len(BODY))), events.append)
    assert DIGEST in str(events[-1])


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=lambda each: each.name)
def test_published_sizes_hold_the_networks_tensors(published: Published) -> None:
    import torch

    from eagrctl.network.backbone import Backbone, Form

    (backbone, stem) = next(key for key, value in PUBLISHED.items() if value is published)
    with torch.device("meta"):
        network = Backbone(backbone, form=Form(stem))
    tensors = [tensor for tensor in network.state_dict().values() if tensor.dim()]
    least = 4 * (sum(tensor.numel() for tensor in tensors) + 1000 * (network.channels[-1] + 1))
    assert least <= published.bytes[1] <= 1.01 * least
    assert published.bytes[0] <= published.bytes[1]
    assert published.bytes[0] >= 0.99 * least
