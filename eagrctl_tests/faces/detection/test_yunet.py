import builtins
import sys
from pathlib import Path

import numpy as np
import pytest

from eagrctl.errors import AlignmentError, EagrctlError
from eagrctl.faces.detection.yunet import YuNetLooker
from eagrctl.faces.finders import open_finder
from eagrctl_tests.faces.detection.yunets import yunet_bytes

pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def yunet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yunet") / "face.onnx"
    path.write_bytes(yunet_bytes())
    return path


def photo(height: int, width: int, x: int, y: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + 8, x : x + 8] = 255
    return image


def test_a_yunet_gives_boxes_scores_and_points_in_our_order(yunet: Path) -> None:
    (found, nothing) = YuNetLooker(yunet).see(np.stack([photo(96, 128, 48, 40), photo(96, 128, 48, 40) // 4]), 0.5)
    assert len(nothing) == 0
    assert found.scores == pytest.approx([1.0], abs=1e-4)
    assert np.allclose(found.boxes, [[28, 20, 68, 60]], atol=1)
    assert np.allclose(found.points, [[[40, 32], [56, 32], [48, 40], [40, 48], [56, 48]]], atol=1)


def test_photos_of_any_size_are_seen_one_after_the_other(yunet: Path) -> None:
    looker = YuNetLooker(yunet)
    for height, width in ((100, 130), (33, 64), (128, 96)):
        (found,) = looker.see(photo(height, width, 16, 16)[None], 0.5)
        assert np.allclose(found.points[0, 2], [16, 16], atol=1)


def test_it_is_a_detector_like_others(yunet: Path) -> None:
    finder = open_finder(yunet)
    assert finder.description == "YuNet, face.onnx"
    assert len(finder.identity) == 64
    assert finder.find_all(np.zeros((50, 50, 3), np.uint8)) == []


def test_what_is_no_yunet_is_one_line(tmp_path: Path, yunet: Path) -> None:
    bad = tmp_path / "bad.onnx"
    for content in (b"", b"no network", yunet.read_bytes()[:3000]):
        bad.write_bytes(content)
        with pytest.raises(AlignmentError, match=r"bad\.onnx is no YuNet that OpenCV reads") as caught:
            YuNetLooker(bad)
        assert "\n" not in str(caught.value)


def test_a_network_on_which_opencv_crashes_is_one_line(tmp_path: Path, yunet: Path) -> None:
    # A first pooling that steps by 0 pixels: OpenCV divides by it, which ends the process that tries.
    content = yunet.read_bytes()
    place = content.index(b"strides")
    step = content.index(b"\x40\x08", place)
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(content[: step + 1] + b"\x00" + content[step + 2 :])
    with pytest.raises(AlignmentError, match=r"bad\.onnx is no YuNet that OpenCV reads"):
        YuNetLooker(bad)


def test_without_opencv_the_remedy_is_named(yunet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: object, **options: object) -> object:
        if name == "cv2":
            raise ImportError(name)
        return real(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EagrctlError, match=r"pip install 'eagrctl\[yunet\]'"):
        YuNetLooker(yunet)
