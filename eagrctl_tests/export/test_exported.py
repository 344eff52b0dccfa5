import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.align import TEMPLATE
from eagrctl.errors import EagrctlError, SourceError
from eagrctl.events import Progress
from eagrctl.export.exported import (
    LARGEST_ERROR,
    Difference,
    OnnxNetwork,
    TorchNetwork,
    compare,
    real_faces,
    require_equal,
)
from eagrctl.inference.predict import Segmenter
from eagrctl_tests.conftest import face
from eagrctl_tests.export.exports import noise, plainly

Answer = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def predictor(tiny_checkpoint: Path) -> Segmenter:
    return Segmenter.of(load_checkpoint(tiny_checkpoint), torch.device("cpu"))


def answering(checkpoint: Path, change: Callable[[np.ndarray, np.ndarray], Answer]) -> Callable[[np.ndarray], Answer]:
    """An exported network that answers as it should, but for a change."""
    return lambda images: change(*plainly(checkpoint, images))


def largest(logits: np.ndarray) -> tuple[int, ...]:
    return tuple(int(each) for each in np.unravel_index(np.abs(logits).argmax(), logits.shape))


def test_the_network_itself_does_not_differ(predictor: Segmenter, tiny_checkpoint: Path) -> None:
    differences = compare(answering(tiny_checkpoint, lambda *answer: answer), predictor, real_faces((), 49))
    assert [(each.images, each.batch) for each in differences] == [
        *(("random pixels", 1), ("random pixels", 2)),
        *(("real faces", 1), ("real faces", 2)),
    ]
    assert all(each.small for each in differences)
    assert max(each.error for each in differences) < 1e-5
    require_equal(differences)


@pytest.mark.parametrize(("factor", "accepted"), [(0.5, True), (2.0, False)])
def test_the_error_is_relative_to_the_largest_logit(
    predictor: Segmenter, tiny_checkpoint: Path, factor: float, accepted: bool
) -> None:
    def off(labels: np.ndarray, logits: np.ndarray) -> Answer:
        changed = logits.copy()
        changed[0, 0, 0, 0] += factor * LARGEST_ERROR * np.abs(logits).max()
        return labels, changed

    differences = compare(answering(tiny_checkpoint, off), predictor, real_faces((), 49))
    for each in differences:
        assert each.error == pytest.approx(factor * LARGEST_ERROR, rel=0.1)
        assert each.small == accepted


def test_labels_count_by_themselves(predictor: Segmenter, tiny_checkpoint: Path) -> None:
    def off(labels: np.ndarray, logits: np.ndarray) -> Answer:
        changed = labels.copy()
        changed[:, :2] = 255
        return changed, logits

    differences = compare(answering(tiny_checkpoint, off), predictor, real_faces((), 49))
    assert [each.equal for each in differences] == pytest.approx([47 / 49] * 4, abs=1e-3)
    with pytest.raises(EagrctlError, match=r"95\.9\d% of labels are equal"):
        require_equal(differences)


def test_no_number_is_no_small_difference() -> None:
    wrong = Difference("real faces", 3, float("nan"), 1.0)
    assert not wrong.small
    with pytest.raises(EagrctlError, match="on real faces, 3 at once, logits differ by nan"):
        require_equal([Difference("random pixels", 1, 0.5, 0.5), wrong])


def test_a_wrong_batch_is_noticed(predictor: Segmenter, tiny_checkpoint: Path) -> None:
    first = answering(tiny_checkpoint, lambda labels, logits: (labels[:1], logits[:1]))
    with pytest.raises(EagrctlError, match=r"labels \(1, 49, 49\) and logits \(1, 19, 13, 13\) for 2 at once"):
        compare(first, predictor, real_faces((), 49))


def test_a_batch_that_mixes_its_images_is_noticed(predictor: Segmenter, tiny_checkpoint: Path) -> None:
    turned = answering(tiny_checkpoint, lambda labels, logits: (labels[::-1], logits[::-1]))
    assert [each.small for each in compare(turned, predictor, real_faces((), 49))] == [True, False, True, False]


def test_progress_is_told(predictor: Segmenter, tiny_checkpoint: Path) -> None:
    events: list[object] = []
    compare(answering(tiny_checkpoint, lambda *answer: answer), predictor, list(noise(3, 49)), events.append)
    assert events == [Progress("comparing", done, 4) for done in range(5)]


def test_without_photos_a_face_lies_on_the_template() -> None:
    (found,) = real_faces((), 512)
    assert found.shape == (512, 512, 3)
    # Her eyes, 42.6 pixels apart, come to lie 0.24 of the side apart: what was a pixel is 2.9.
    left, right = TEMPLATE[:2] * 512
    between = found[int(left[1]) - 20 : int(left[1]) + 20, int(left[0]) : int(right[0])]
    original = np.asarray(Image.fromarray(astronaut()).crop((203, 96, 247, 110)).resize((123, 40)))
    assert abs(between.mean() - original.mean()) < 6


def test_photos_are_stretched_whole(tmp_path: Path) -> None:
    paths = (tmp_path / "one.png", tmp_path / "other.png")
    Image.fromarray(face(1)[0]).save(paths[0])
    Image.fromarray(face(2)[0][:32]).save(paths[1])
    one, other = real_faces(paths, 49)
    assert np.array_equal(one, np.asarray(Image.fromarray(face(1)[0]).resize((49, 49), Image.Resampling.BICUBIC)))
    assert other.shape == (49, 49, 3)
    with pytest.raises(SourceError, match=r"none\.png is missing"):
        real_faces((tmp_path / "none.png",), 49)


def test_logits_alone_are_those_with_labels(exported_onnx: Path) -> None:
    network = OnnxNetwork(exported_onnx)
    images = noise(3, network.size)
    assert np.array_equal(network.logits(images), network(images)[1])


def test_a_file_and_its_contents_are_the_same(exported_onnx: Path, exported_torch: Path) -> None:
    images = noise(2, 49)
    for kind, path in ((OnnxNetwork, exported_onnx), (TorchNetwork, exported_torch)):
        for one, other in zip(kind(path)(images), kind(path.read_bytes())(images), strict=True):
            assert np.array_equal(one, other)


def test_a_session_knows_its_size_and_metadata(exported_onnx: Path) -> None:
    network = OnnxNetwork(exported_onnx, threads=1)
    assert network.size == 49
    assert json.loads(network.about["classes"])[:2] == ["background", "skin"]


def test_an_image_of_another_size_is_refused(exported_onnx: Path, exported_torch: Path) -> None:
    with pytest.raises(Exception, match="image"):
        OnnxNetwork(exported_onnx)(noise(1, 57))
    with pytest.raises(Exception, match="image"):
        TorchNetwork(exported_torch)(noise(1, 57))
