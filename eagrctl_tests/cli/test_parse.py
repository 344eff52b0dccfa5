import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from eagrctl.checkpoint import Checkpoint, build_network, load_checkpoint, save_checkpoint
from eagrctl.data.align import align_matrix
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.faces.found import FoundFace
from eagrctl.inference.predict import Segmenter
from eagrctl.recipe import Recipe
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import face
from eagrctl_tests.parsing.video.videos import write_video

FACE = FoundFace(np.array([179.0, 83, 266, 170]), 1.5, np.array([[203.5, 102], [246, 104.5], *[[np.nan] * 2] * 3]))


class Finder:
    """In the place of a detector: knows where the astronaut's face is, and no other."""

    description = identity = "known"

    def find_all(self, image: np.ndarray) -> list[FoundFace]:
        return [FACE] if image.shape == (512, 512, 3) else []


@pytest.fixture
def network(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> Path:
    """An untrained network for an input of 49 x 49."""
    recipe = tiny_recipe()
    path = tmp_path / "tiny.pt"
    network = build_network(recipe, 19)
    save_checkpoint(Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict()), path)
    return path


@pytest.fixture
def parse(eagrctl: Invoke, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`eagrctl parse` with that network, and a photo of the astronaut and one without a face in `photos/`."""
    monkeypatch.setattr("eagrctl.faces.finders.SearchingFinder", lambda *_: Finder())
    Path("photos").mkdir()
    Image.fromarray(astronaut()).save("photos/astronaut.png")
    Image.fromarray(face(1)[0][:50]).save("photos/none.jpg")

    return lambda *arguments: eagrctl("parse", *arguments, "--weights", network, "--gpus", "0")


def written(folder: str = "parsed") -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_a_photo_leaves_its_files_and_a_table_of_what_is_in_it(parse: Invoke) -> None:
    result = parse("photos/astronaut.png")
    assert result.exit_code == 0, result.stderr
    assert written() == ["astronaut.json", "astronaut.overlay.jpg", "astronaut.png"]
    labels = np.asarray(Image.open("parsed/astronaut.png"))
    assert labels.shape == (512, 512)
    assert "astronaut.png, 512 x 512: 1 face\n" in result.stdout
    for name, number in zip(CELEBAMASK_HQ.names, np.bincount(labels.ravel(), minlength=19), strict=True):
        lines = [line for line in result.stdout.splitlines() if line.startswith(f"│ {name} ")]
        assert len(lines) == (number > 0), name
        assert not lines or f" {100 * number / labels.size:.2f} " in lines[0]
    assert result.stderr.splitlines() == [
        "Wrote parsed/astronaut.png",
        "Wrote parsed/astronaut.overlay.jpg",
        "Wrote parsed/astronaut.json",
    ]
    record = json.loads(Path("parsed/astronaut.json").read_text())
    assert record["faces"][0]["box"] == [179, 83, 266, 170]
    assert np.allclose(record["faces"][0]["matrix"], align_matrix(FACE.landmarks, 49))


def test_a_folder_is_summed_up_and_photos_without_a_face_are_named(parse: Invoke) -> None:
    result = parse("photos")
    assert result.exit_code == 0, result.stderr
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("│ photos")]
    assert [cell.strip() for cell in row.split("│")[2:7]] == ["2", "1", "1", "0", "0"]
    lines = result.stderr.splitlines()
    assert "No face was found in 1 photo, which --whole-image parses as a whole" in lines[0]
    assert lines[1:] == ["  photos/none.jpg", "Wrote the results of 2 files to parsed/"]
    assert not np.asarray(Image.open("parsed/none.png")).any()


def test_the_same_again_skips_and_says_so(parse: Invoke) -> None:
    parse("photos")
    before = {name: Path("parsed", name).stat().st_mtime_ns for name in written()}
    result = parse("photos")
    assert result.exit_code == 0
    assert "Skipped 2 that were done already, in parsed; --force repeats them" in result.stderr
    assert "Wrote" not in result.stderr
    assert {name: Path("parsed", name).stat().st_mtime_ns for name in written()} == before
    single = parse("photos/astronaut.png")
    assert "1 face" in single.stdout
    assert "Skipped 1 that was done already" in single.stderr
    assert "Skipped" not in parse("photos", "--force").stderr


def test_photos_without_a_face_alone_are_parsed_again_as_a_whole(parse: Invoke) -> None:
    parse("photos")
    result = parse("photos", "--whole-image")
    assert "Skipped 1 that was done already" in result.stderr
    assert "No face was found in 1 photo, which was parsed as a whole:" in result.stderr
    assert json.loads(Path("parsed/none.json").read_text())["faces"][0]["placed"] == "whole"


def test_a_cropped_face_gets_the_labels_that_evaluate_would_give(parse: Invoke, network: Path) -> None:
    photo = face(3, 49)[0]
    Image.fromarray(photo).save("crop.png")
    assert parse("crop.png", "--no-detect").exit_code == 0
    import torch

    predictor = Segmenter.of(load_checkpoint(network), torch.device("cpu"))
    (expected,) = predictor.predict([photo], [np.eye(2, 3)], [(49, 49)])
    found = np.asarray(Image.open("parsed/crop.png"))
    assert (found == expected).mean() > 0.998
    record = json.loads(Path("parsed/crop.json").read_text())
    assert record["settings"]["detector"] is None
    assert record["faces"][0]["placed"] == "crop"


def test_more_files_are_written_for_the_asking(parse: Invoke) -> None:
    options = ("--per-face", "--probabilities", "--no-overlay", "--output", "here")
    assert parse("photos/astronaut.png", *options).exit_code == 0
    assert written("here") == ["astronaut.face-1.png", "astronaut.json", "astronaut.npz", "astronaut.png"]
    labels = np.asarray(Image.open("here/astronaut.png"))
    assert np.array_equal(np.asarray(Image.open("here/astronaut.face-1.png")), labels)
    # As documented: what the network says, mapped to the photo, is where the labels come from.
    with np.load("here/astronaut.npz") as kept:
        probabilities, matrix, size = (
            kept["probabilities"][0].astype(np.float64),
            kept["matrices"][0],
            int(kept["size"]),
        )
    _, high, wide = probabilities.shape
    rows, columns = np.mgrid[60:200:7, 150:280:7]
    across, down = np.tensordot(matrix, np.array([columns, rows, np.ones_like(rows)]), axes=1)
    across, down = across * (wide - 1) / (size - 1), down * (high - 1) / (size - 1)
    left, top = np.clip(across.astype(int), 0, wide - 2), np.clip(down.astype(int), 0, high - 2)
    a, b = across - left, down - top
    mixed = (
        probabilities[:, top, left] * (1 - a) * (1 - b)
        + probabilities[:, top, left + 1] * a * (1 - b)
        + probabilities[:, top + 1, left] * (1 - a) * b
        + probabilities[:, top + 1, left + 1] * a * b
    )
    # Logits are interpolated, not probabilities: at some borders they differ.
    assert (mixed.argmax(axis=0) == labels[60:200:7, 150:280:7]).mean() > 0.9


def test_masks_are_written_for_the_asking_and_again_when_they_change(parse: Invoke) -> None:
    wanted = ("photos/astronaut.png", "--mask", "hair", "--mask", "lips=upper-lip+lower-lip+mouth")
    result = parse(*wanted, "--per-face")
    assert result.exit_code == 0, result.stderr
    names = [f"astronaut{face}.{mask}.png" for face in ("", ".face-1") for mask in ("hair", "lips")]
    assert {*names} < {*written()}
    for name in names:
        with Image.open(f"parsed/{name}") as mask:
            assert (mask.mode, mask.size) == ("L", (512, 512))
    record = json.loads(Path("parsed/astronaut.json").read_text())
    assert record["masks"]["lips"]["classes"] == ["mouth", "u_lip", "l_lip"]
    assert [*record["files"]["masks"]] == sorted(names, key=lambda name: ("lips" in name, "face" in name))
    assert "Wrote parsed/astronaut.hair.png" in result.stderr.splitlines()
    assert "Skipped 1" in parse(*wanted, "--per-face").stderr
    # Fewer masks are there already; another width is not, and what was written before goes.
    assert "Skipped 1" in parse("photos/astronaut.png", "--mask", "hair", "--per-face").stderr
    assert parse("photos/astronaut.png", "--mask", "hair", "--feather", 2, "--cutout").exit_code == 0
    assert [name for name in written() if "hair" in name or "lips" in name] == [
        *("astronaut.hair.cutout.png", "astronaut.hair.png")
    ]
    assert np.asarray(Image.open("parsed/astronaut.hair.cutout.png")).shape == (512, 512, 4)


def test_a_mask_replaces_no_picture_of_somebody_elses(parse: Invoke) -> None:
    Path("parsed").mkdir()
    Image.fromarray(astronaut()).save("parsed/astronaut.hair.png")
    before = Path("parsed/astronaut.hair.png").read_bytes()
    result = parse("photos/astronaut.png", "--mask", "hair")
    assert result.exit_code == 1
    assert "parsed/astronaut.hair.png is in the way" in result.stderr
    assert written() == ["astronaut.hair.png"]
    # Nor does a record from elsewhere have one removed.
    assert parse("photos/astronaut.png").exit_code == 0
    record = json.loads(Path("parsed/astronaut.json").read_text())
    record["files"]["masks"] = ["astronaut.hair.png"]
    Path("parsed/astronaut.json").write_text(json.dumps(record))
    parse("photos/astronaut.png", "--force")
    assert Path("parsed/astronaut.hair.png").read_bytes() == before


@pytest.mark.parametrize("scheme", ["zllrunning", "farl", "lapa"])
def test_label_maps_are_written_in_the_ids_of_another_tool_and_say_so(parse: Invoke, scheme: str) -> None:
    assert parse("photos/astronaut.png").exit_code == 0
    own = np.asarray(Image.open("parsed/astronaut.png"))
    result = parse("photos/astronaut.png", "--scheme", scheme)
    assert result.exit_code == 0, result.stderr
    theirs = np.asarray(Image.open("parsed/astronaut.png"))
    record = json.loads(Path("parsed/astronaut.json").read_text())
    assert record["scheme"]["name"] == scheme
    ids = record["scheme"]["ids"]
    for number, name in enumerate(CELEBAMASK_HQ.names[1:], 1):
        assert set(theirs[own == number].tolist()) <= {ids.get(name, 0)}
    assert ("Scheme lapa has no glasses" in result.stderr) == (scheme == "lapa")
    assert "Skipped 1" in parse("photos/astronaut.png", "--scheme", scheme).stderr
    assert "Skipped" not in parse("photos/astronaut.png").stderr


def test_bad_files_are_named_and_the_others_are_parsed(parse: Invoke) -> None:
    Path("photos/notes.jpg").write_text("dear diary")
    whole = Path("photos/none.jpg").read_bytes()
    Path("photos/cut.jpg").write_bytes(whole[: len(whole) // 2])
    result = parse("photos")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert [line.split()[1] for line in errors] == ["photos/cut.jpg", "photos/notes.jpg"]
    assert {"astronaut.json", "none.json"} == {name for name in written() if name.endswith("json")}
    assert "Wrote the results of 2 files to parsed/" in result.stderr


def test_a_list_of_photos_is_read(parse: Invoke) -> None:
    Path("list.txt").write_text("photos/astronaut.png\n# a comment\n\nphotos/none.jpg\n")
    assert parse("--list", "list.txt").exit_code == 0
    assert {"astronaut.json", "none.json"} <= set(written())


def test_a_video_is_parsed_beside_photos(parse: Invoke) -> None:
    write_video(Path("photos/clip.mp4"), 4)
    result = parse("photos", "--every", "2")
    assert result.exit_code == 0, result.stderr
    assert {"clip.frames/000001.png", "clip.frames/000003.png", "clip.json", "clip.overlay.mp4"} < set(written())
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("│ videos")]
    assert [cell.strip() for cell in row.split("│")[2:7]] == ["1", "0", "2", "0", "0"]
    assert "No face was found in 2 frames of 2" in result.stderr


def test_classes_of_another_network_have_colours_of_their_own(
    parse: Invoke, network: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe()
    made = build_network(recipe, 3)
    save_checkpoint(Checkpoint(recipe, "mine", ("background", "beard", "mask"), made.state_dict()), network)
    assert parse("photos/astronaut.png").exit_code == 0
    with Image.open("parsed/astronaut.png") as picture:
        assert len({tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3)}) <= 3
    assert json.loads(Path("parsed/astronaut.json").read_text())["classes"] == ["background", "beard", "mask"]


def test_runs_are_no_default_and_a_run_can_be_named(
    parse: Invoke, eagrctl: Invoke, network: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = Path("runs/newest")
    run.mkdir(parents=True)
    (run / "best.pt").write_bytes(network.read_bytes())
    monkeypatch.setattr("eagrctl.weights.NETWORK", tmp_path / "shipped.safetensors")
    assert "this eagrctl comes without" in one_line(eagrctl("parse", "photos/astronaut.png")).replace("\n", " ")
    assert eagrctl("parse", "photos/astronaut.png", "--weights", run).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["missing.jpg"], "missing.jpg is missing"),
        ([], "no photo is named"),
        (["photos", "--output", "photos"], "--output photos is the folder of the photos: name another"),
        (["photos", "--output", "points"], "there is a file of that name; name another --output"),
        (["photos", "--predictor", "none.dat"], "--predictor names none.dat, which is not a file"),
        (["photos", "--detector", "none.onnx"], "there is no detector none.onnx"),
        (["photos", "--detector", "own", "--predictor", "none.dat"], "--predictor is for dlib's detector, not for own"),
        (["photos", "--detector", "points"], "points is no detector: give"),
        (["photos/astronaut.png", "--output", "photos"], "photos/astronaut.png is in the way"),
        (["photos", "--scheme", "zllruning"], "no id scheme is called 'zllruning' (did you mean 'zllrunning'"),
        (["photos", "--mask", "hairs"], "no class or group is called 'hairs' (did you mean 'hair'"),
        (["photos", "--mask", "hair", "--groups", "none.toml"], "no groups at none.toml: write [groups]"),
        (["photos", "--mask", "hair", "--feather", "9999"], "feather is 9999 pixels: give one from 0 to 1000"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(parse: Invoke, arguments: list[str], complaint: str) -> None:
    Path("points").touch()
    before = sorted(Path().rglob("*"))
    assert complaint in one_line(parse(*arguments))
    assert [path for path in sorted(Path().rglob("*")) if path.is_file()] == [path for path in before if path.is_file()]


def test_two_contrary_wishes_are_wrong_usage(parse: Invoke) -> None:
    assert parse("photos", "--no-detect", "--whole-image").exit_code == 2


def test_an_interrupt_says_that_the_same_command_goes_on(parse: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eagrctl.parsing.batch.parse_photos", interrupted)
    result = parse("photos")
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        "What is in parsed is whole: the same command goes on from there",
        "Error: interrupted",
    ]
