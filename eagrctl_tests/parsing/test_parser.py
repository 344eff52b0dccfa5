import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from torch import nn

from eagrctl.checkpoint import Checkpoint, build_network, load_checkpoint, save_checkpoint
from eagrctl.data.align import align_matrix, centre_matrix
from eagrctl.data.aligner import Aligner
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.source import Sample
from eagrctl.errors import AlignmentError, CheckpointError, EagrctlError, SourceError
from eagrctl.faces.photo import read_any_photo
from eagrctl.inference.predict import Segmenter
from eagrctl.parsing import labelling
from eagrctl.parsing import parser as module
from eagrctl.parsing.merging import merge_faces
from eagrctl.parsing.parsed import Failed, ParsedPhoto
from eagrctl.parsing.parser import FaceParser
from eagrctl.parsing.placing import cut_out
from eagrctl.recipe import find_recipe, load_recipe
from eagrctl_tests.conftest import SUBSET, TINY, face
from eagrctl_tests.faces.test_landmarks import LEFT_EYE, NOSE_BASE, RIGHT_EYE, train

SIZE = 65


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network that has learnt nothing, but takes no class for likelier than others."""
    torch.manual_seed(3)
    recipe = load_recipe(find_recipe("celebamask-hq-small"), [*TINY, f"input.size={SIZE}"])
    network = build_network(recipe, len(CELEBAMASK_HQ)).eval()
    with torch.no_grad():
        logits = network(torch.randn(4, 3, SIZE, SIZE)).parsing
        classify = [module for module in network.decoder.modules() if isinstance(module, nn.Conv2d)][-1]
        spread, mean = torch.std_mean(logits, dim=(0, 2, 3))
        classify.weight /= spread[:, None, None, None]
        classify.bias.copy_((classify.bias - mean) / spread)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict()), path)
    return path


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landmark predictor that knows the astronaut."""
    parts = [RIGHT_EYE[1], RIGHT_EYE[0], LEFT_EYE[0], LEFT_EYE[1], NOSE_BASE]
    return train(tmp_path_factory.mktemp("points") / "tiny_5.dat", parts)


@pytest.fixture(scope="module")
def cropped(weights: Path) -> FaceParser:
    return FaceParser(weights, device="cpu", finding="crop")


@pytest.fixture(scope="module")
def finder(weights: Path, points: Path) -> FaceParser:
    return FaceParser(weights, device="cpu", predictor=points, frame="face")


@pytest.fixture(scope="module")
def whole(weights: Path, points: Path) -> FaceParser:
    return FaceParser(weights, device="cpu", predictor=points, finding="whole", frame="face")


@pytest.fixture(scope="module")
def group() -> np.ndarray:
    """The astronaut three times: (512, 900, 3)."""
    photo = np.full((512, 900, 3), 128, np.uint8)
    photo[:, :512] = astronaut()
    head = Image.fromarray(astronaut()[10:240, 110:330])
    photo[10:378, 512:864] = np.asarray(head.resize((352, 368)))
    photo[300:500, 300:491] = np.asarray(head.resize((191, 200)))
    return photo


def painted(number: int) -> np.ndarray:
    return face(number, 64 + number)[0]


def evaluated(weights: Path, photos: list[np.ndarray]) -> list[np.ndarray]:
    """What `evaluate` predicts of faces that were prepared at the network's input size, in their source frames."""
    checkpoint = load_checkpoint(weights)
    size = checkpoint.recipe.input.size
    samples = [
        Aligner(size).align(Sample(str(number), photo, np.zeros(photo.shape[:2], np.uint8)))
        for number, photo in enumerate(photos)
    ]
    predictor = Segmenter.of(checkpoint, torch.device("cpu"))
    return predictor.predict(
        [np.array(sample.image) for sample in samples],
        [sample.matrix for sample in samples],
        [sample.source_size for sample in samples],
    )


@pytest.mark.parametrize("number", range(3))
def test_a_cropped_face_gets_the_labels_that_evaluation_gives_it(
    cropped: FaceParser, weights: Path, number: int
) -> None:
    photo = painted(number)
    (expected,) = evaluated(weights, [photo])
    parsed = cropped.parse(photo)
    assert len(np.unique(expected)) > 3
    assert np.array_equal(parsed.labels, expected)
    assert [each.placed for each in parsed.faces] == ["crop"]


def test_averaged_with_its_mirror_image_a_face_and_its_mirror_image_are_parsed_alike(weights: Path) -> None:
    parser = FaceParser(weights, device="cpu", finding="crop", tta="mirror")
    assert parser.tta == "mirror"
    photo = painted(0)
    labels, mirrored = parser.parse(photo).labels, parser.parse(photo[:, ::-1]).labels[:, ::-1]
    other = np.arange(19)
    for left, right in CELEBAMASK_HQ.mirrored:
        other[[left, right]] = right, left
    assert (labels == other[mirrored]).mean() > 0.999
    with pytest.raises(EagrctlError, match="no test-time augmentation is called 'miror'"):
        FaceParser(weights, device="cpu", finding="crop", tta="miror")


@pytest.mark.shared
def test_a_real_face_gets_the_labels_that_evaluation_gives_it(cropped: FaceParser, weights: Path) -> None:
    names = (SUBSET / "train.txt").read_text(encoding="utf-8").split()[:4]
    paths = [SUBSET / "images" / f"{name}.jpg" for name in names]
    expected = evaluated(weights, [read_any_photo(path) for path in paths])
    # Together, as evaluation has them: with other numbers of faces, a convolution may round otherwise.
    found = list(cropped.parse_many(paths, workers=1))
    assert all(isinstance(parsed, ParsedPhoto) for parsed in found)
    for parsed, labels in zip(found, expected, strict=True):
        assert (parsed.labels == labels).mean() > 0.9999
    (alone,) = evaluated(weights, [read_any_photo(paths[0])])
    assert np.array_equal(cropped.parse(paths[0]).labels, alone)


def test_a_found_face_is_parsed_where_alignment_puts_it(finder: FaceParser, weights: Path) -> None:
    photo = astronaut()
    parsed = finder.parse(photo)
    (found,) = parsed.faces
    assert found.placed == "landmarks"
    assert found.landmarks is not None
    matrix = align_matrix(found.landmarks, SIZE)
    assert np.array_equal(found.matrix, matrix)
    predictor = Segmenter.of(load_checkpoint(weights), torch.device("cpu"))
    # The photo's part is warped, not the whole photo, whose pixels come to lie elsewhere when it is shrunk.
    logits = predictor.logits([np.array(cut_out(photo, matrix, SIZE))])
    (expected,) = predictor.to_source(logits, [np.zeros((SIZE, SIZE, 3), np.uint8)], [matrix], [photo.shape[:2]])
    assert (parsed.labels == expected).mean() > 0.9999
    assert np.array_equal(found.in_photo((512, 512)), parsed.labels)
    top, left, bottom, right = found.window
    outside = parsed.labels.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()
    assert parsed.labels.any()


def test_all_faces_of_a_group_are_found_and_merged(finder: FaceParser, group: np.ndarray) -> None:
    parsed = finder.parse(group)
    assert len(parsed.faces) == 3
    sides = [each.box[2] - each.box[0] for each in parsed.faces if each.box]
    assert sides == sorted(sides, reverse=True)
    assert np.array_equal(parsed.labels, merge_faces(parsed.faces, (512, 900)))
    assert sum(parsed.shares.values()) == pytest.approx(1)
    assert parsed.classes == CELEBAMASK_HQ.names


def test_faces_go_through_the_network_in_batches(
    finder: FaceParser, group: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, sizes = finder.parse(group).labels, []
    honest = Segmenter.logits

    def counted(self: Segmenter, images: list[np.ndarray]) -> torch.Tensor:
        sizes.append(len(images))
        return honest(self, images)

    monkeypatch.setattr(Segmenter, "logits", counted)
    monkeypatch.setattr(finder, "_batch", 2)
    assert (finder.parse(group).labels == expected).mean() > 0.999
    assert sizes == [2, 1]


def test_files_pictures_and_arrays_are_the_same(cropped: FaceParser, tmp_path: Path) -> None:
    photo = painted(1)
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    expected = cropped.parse(photo)
    for image in (path, str(path), Image.fromarray(photo), np.asfortranarray(photo)):
        parsed = cropped.parse(image)
        assert np.array_equal(parsed.labels, expected.labels)
        assert np.array_equal(parsed.image, photo)


def test_a_grey_photo_is_one_of_three_equal_channels(cropped: FaceParser) -> None:
    grey = painted(2)[..., 0]
    assert np.array_equal(cropped.parse(grey).labels, cropped.parse(np.stack([grey] * 3, axis=2)).labels)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (900, 1), (20, 900)])
def test_photos_of_odd_shapes_are_parsed(cropped: FaceParser, whole: FaceParser, shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for parser, placed in ((cropped, "crop"), (whole, "whole")):
        parsed = parser.parse(photo)
        assert parsed.labels.shape == shape
        assert [(each.placed, each.window) for each in parsed.faces] == [(placed, (0, 0, *shape))]


def test_without_a_face_all_is_background_or_the_photo_is_parsed_whole(finder: FaceParser, whole: FaceParser) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (45, 80, 3)).astype(np.uint8)
    nothing = finder.parse(photo)
    assert nothing.faces == ()
    assert not nothing.labels.any()
    assert nothing.shares["background"] == 1
    parsed = whole.parse(photo)
    (only,) = parsed.faces
    assert only.placed == "whole"
    assert np.array_equal(only.matrix, centre_matrix((45, 80), SIZE, whole=True))
    assert parsed.labels.any()
    assert [each.placed for each in whole.parse(astronaut()).faces] == ["landmarks"]


def test_probabilities_are_those_that_the_labels_come_from(weights: Path) -> None:
    parser = FaceParser(weights, device="cpu", finding="crop", probabilities=True)
    photo = painted(0)
    (only,) = parser.parse(photo).faces
    given = only.probabilities
    assert given is not None
    assert given.dtype == np.float32
    assert given.sum(axis=0) == pytest.approx(1, abs=1e-5)
    predictor = Segmenter.of(load_checkpoint(weights), torch.device("cpu"))
    sample = Aligner(SIZE).align(Sample("", photo, np.zeros(photo.shape[:2], np.uint8)))
    logits = predictor.logits([np.array(sample.image)])[0].numpy().astype(float)
    powers = np.exp(logits - logits.max(axis=0))
    assert given == pytest.approx(powers / powers.sum(axis=0), abs=1e-5)


def test_labels_of_large_windows_are_mapped_back_in_bands(
    cropped: FaceParser, finder: FaceParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, turned = cropped.parse(painted(5)).labels, finder.parse(astronaut()).labels
    monkeypatch.setattr(labelling, "BAND", 1000)
    assert np.array_equal(cropped.parse(painted(5)).labels, straight)
    assert np.array_equal(finder.parse(astronaut()).labels, turned)


@pytest.mark.parametrize("workers", [1, 3])
def test_many_photos_are_parsed_as_each_by_itself(
    finder: FaceParser, group: np.ndarray, tmp_path: Path, workers: int | None
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    blank = np.full((40, 50, 3), 9, np.uint8)
    images = [group, broken, astronaut(), tmp_path / "missing.png", blank, astronaut()[:, ::-1]]
    found = list(finder.parse_many(iter(images), workers=workers))
    assert len(found) == len(images)
    for image, given in zip(images, found, strict=True):
        if isinstance(image, Path):
            assert isinstance(given, Failed)
            assert image.name in str(given.error)
            with pytest.raises(type(given.error)):
                finder.parse(image)
        else:
            assert isinstance(given, ParsedPhoto)
            alone = finder.parse(image)
            assert given.image is image or np.array_equal(given.image, image)
            assert [each.box for each in given.faces] == [each.box for each in alone.faces]
            # Other numbers of faces at a time, and of threads, round otherwise.
            assert (given.labels == alone.labels).mean() > 0.999


def test_a_single_photo_among_many_is_parsed_or_fails_as_well(cropped: FaceParser, tmp_path: Path) -> None:
    (parsed,) = cropped.parse_many([painted(0)])
    assert isinstance(parsed, ParsedPhoto)
    assert np.array_equal(parsed.labels, cropped.parse(painted(0)).labels)
    (failed,) = cropped.parse_many([tmp_path / "missing.png"])
    assert isinstance(failed, Failed)
    assert list(cropped.parse_many([])) == []


def test_endless_photos_are_parsed_one_after_the_other(cropped: FaceParser) -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        for read in itertools.count(1):
            yield painted(read % 5)

    before = threading.active_count()
    results = cropped.parse_many(endless(), workers=2)
    assert read == 0
    for number in range(1, 6):
        parsed = next(results)
        assert isinstance(parsed, ParsedPhoto)
        assert parsed.labels.shape == (64 + number % 5,) * 2
    assert read < 60
    results.close()
    assert threading.active_count() == before


def test_a_photo_too_large_for_the_memory_fails_alone(cropped: FaceParser, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = module.as_photo

    def greedy(image: np.ndarray, order: str) -> np.ndarray:
        if image.shape[0] == 66:
            raise MemoryError
        return honest(image, order)

    monkeypatch.setattr(module, "as_photo", greedy)
    found = list(cropped.parse_many([painted(number) for number in range(4)], workers=2))
    assert [isinstance(each, Failed) for each in found] == [False, False, True, False]


def test_threads_may_share_a_parser(finder: FaceParser, group: np.ndarray) -> None:
    expected = {0: finder.parse(group).labels, 1: finder.parse(astronaut()).labels}
    shares: list[float] = []

    def work(first: int) -> None:
        for turn in range(2):
            which = (first + turn) % 2
            labels = finder.parse(group if which == 0 else astronaut()).labels
            shares.append((labels == expected[which]).mean())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shares) == 6
    assert min(shares) > 0.999


def test_a_parser_tells_its_classes_and_its_size(cropped: FaceParser) -> None:
    assert cropped.classes == CELEBAMASK_HQ.names
    assert cropped.size == SIZE


def test_what_cannot_be_used_is_refused_in_one_line(
    weights: Path, points: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (CheckpointError, "missing.pt", lambda: FaceParser(tmp_path / "missing.pt")),
        (CheckpointError, "best.pt", lambda: FaceParser(tmp_path)),
        (CheckpointError, "not a file of weights", lambda: FaceParser(points)),
        (AlignmentError, "missing.dat", lambda: FaceParser(weights, predictor=tmp_path / "missing.dat")),
        (AlignmentError, "not dlib.s landmark predictor", lambda: FaceParser(weights, predictor=weights)),
        (EagrctlError, "abacus", lambda: FaceParser(weights, finding="crop", device="abacus")),
        (ValueError, "batch", lambda: FaceParser(weights, finding="crop", batch=0)),
        (ValueError, "crop", lambda: FaceParser(weights, finding="eyes")),  # type: ignore[arg-type]
        (ValueError, "head", lambda: FaceParser(weights, finding="crop", frame="body")),  # type: ignore[arg-type]
        (ValueError, "workers", lambda: FaceParser(weights, finding="crop").parse_many([], workers=0)),
        (ValueError, "uint8", lambda: FaceParser(weights, finding="crop").parse(np.full((4, 4, 3), 300.0))),
        (SourceError, "missing.jpg", lambda: FaceParser(weights, finding="crop").parse("missing.jpg")),
    ]
    for error, words, call in refused:
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("eagrctl.weights.NETWORK", tmp_path / "gone.safetensors")
    for given in (None, "shipped"):
        with pytest.raises(CheckpointError, match="without its network"):
            FaceParser(given)


def test_the_network_that_comes_along_is_the_default(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("eagrctl.weights.NETWORK", weights)
    monkeypatch.chdir(tmp_path)
    expected = FaceParser(weights, finding="crop").parse(painted(0)).labels
    for given in (None, "shipped", Path("shipped")):
        assert np.array_equal(FaceParser(given, finding="crop").parse(painted(0)).labels, expected)


def test_a_parser_made_before_a_fork_parses_in_the_child(weights: Path, group: np.ndarray) -> None:
    code = """
import os, sys
import numpy as np, torch
from eagrctl import FaceParser
torch.set_num_threads(3)
parser = FaceParser(sys.argv[1], finding="crop")
photo = np.zeros((300, 300, 3), np.uint8)
parser.parse(photo)
child = os.fork()
if not child:
    parser.parse(photo)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-c", code, str(weights)]
    environment = os.environ | {"OMP_NUM_THREADS": "3"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (ran.stdout, ran.returncode) == ("7\n", 0), ran.stderr
