import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

from eagrctl.arrays import Pixels
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.errors import SourceError
from eagrctl.events import Notice, Progress
from eagrctl.readers.schemes import SCHEMES, Scheme, find_scheme
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.examples import mean_f1_of
from eagrctl.scoring.label_maps import LabelMaps
from eagrctl.scoring.truths import Truths, label_maps, open_truths

NAMES = ("a", "b", "c", "dd")
OFFICIAL = find_scheme("official", CELEBAMASK_HQ)


def random_map(name: str, height: int = 9) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return random.integers(0, 19, (height, 7 + len(name)), np.uint8)


@pytest.fixture
def truths(tmp_path: Path) -> Truths:
    """Four small maps in official ids; one has pixels without a label."""
    root = tmp_path / "truth"
    root.mkdir()
    for name in NAMES:
        labels = random_map(name)
        if name == "b":
            labels[:3] = 255
        Image.fromarray(labels).save(root / f"{name}.png")
    return open_truths(root, "celebamask-hq")


@pytest.fixture
def guesses(tmp_path: Path) -> Path:
    """A prediction for each truth, in official ids, half right."""
    root = tmp_path / "guess"
    root.mkdir()
    for name in NAMES:
        other = np.random.default_rng(7).integers(0, 19, random_map(name).shape, np.uint8)
        right = np.random.default_rng(8).random(other.shape) < 0.5
        Image.fromarray(np.where(right, random_map(name), other)).save(root / f"{name}.png")
    return root


def recode(folder: Path, table: np.ndarray) -> None:
    for path in folder.glob("*.png"):
        Image.fromarray(table[np.array(Image.open(path))]).save(path)


def expected(truths: Truths, guesses: Path, names: tuple[str, ...] = NAMES) -> np.ndarray:
    truth, guess = (
        np.concatenate([np.array(Image.open(folder / f"{name}.png")).ravel() for name in names])
        for folder in (truths.root, guesses)
    )
    known = truth != 255
    return confusion_matrix(truth[known], guess[known], labels=range(19))


@pytest.mark.parametrize("workers", [1, 2])
def test_counts_equal_scikit_learns_in_any_number_of_processes(truths: Truths, guesses: Path, workers: int) -> None:
    events: list[Progress | Notice] = []
    found = LabelMaps(guesses, truths, OFFICIAL).report(workers=workers, listener=events.append)
    assert np.array_equal(found.counts, expected(truths, guesses))
    assert (found.origin.images, found.origin.resolutions) == (4, ((9, 8), (9, 9)))
    assert "left out" not in found.origin.settings
    assert not [event for event in events if isinstance(event, Notice)]
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [
        (done, 4) for done in range(5)
    ]


@pytest.mark.parametrize("name", ["zllrunning", "farl"])
def test_other_ids_for_the_same_classes_give_the_same_counts(truths: Truths, guesses: Path, name: str) -> None:
    before = LabelMaps(guesses, truths, OFFICIAL).report().counts
    recode(guesses, np.array([SCHEMES[name].index(label) for label in CELEBAMASK_HQ.names], np.uint8))
    assert np.array_equal(LabelMaps(guesses, truths, find_scheme(name, CELEBAMASK_HQ)).report().counts, before)


def test_a_palettes_indices_count_and_its_colours_do_not(truths: Truths, guesses: Path) -> None:
    before = LabelMaps(guesses, truths, OFFICIAL).report().counts
    for path in guesses.glob("*.png"):
        ids = np.array(Image.open(path))
        coloured = Image.fromarray(ids).convert("P")
        # Colours that read as other ids than the indices: 18 as black, 0 as white.
        coloured.putpalette([shade for number in range(256) for shade in [(255 - 14 * number) % 256] * 3])
        coloured.save(path)
        assert not np.array_equal(np.array(coloured.convert("L")), ids)
    assert np.array_equal(LabelMaps(guesses, truths, OFFICIAL).report().counts, before)


def ignoring(number: int) -> Scheme:
    lookup = OFFICIAL.lookup.copy()
    lookup[number] = 255
    return replace(OFFICIAL, lookup=lookup)


def test_pixels_that_a_prediction_leaves_out_are_not_counted_but_told(truths: Truths, guesses: Path) -> None:
    events: list[Progress | Notice] = []
    found = LabelMaps(guesses, truths, ignoring(5)).report(listener=events.append)
    every = expected(truths, guesses)
    ignored, share = every[:, 5].sum(), 100 * every[:, 5].sum() / every.sum()
    assert ignored > 0
    told = f"{ignored} labelled pixels ({share:.2g} %), which are predicted as an ignored id"
    assert found.origin.settings["left out"] == told
    assert Notice(f"left out {told}", warning=True) in events
    every[:, 5] = 0
    assert np.array_equal(found.counts, every)


def test_a_missing_prediction_is_an_error_unless_the_rest_is_asked_for(truths: Truths, guesses: Path) -> None:
    (guesses / "b.png").unlink()
    with pytest.raises(SourceError, match=r"guess/b\.png is missing: predict .* or add --partial to score the 3 that"):
        LabelMaps(guesses, truths, OFFICIAL).report()
    (guesses / "dd.png").rename(guesses / "spare.png")
    with pytest.raises(SourceError, match=r"guess/b\.png is missing, the first of 2 of 4: .*the 2 that are there"):
        LabelMaps(guesses, truths, OFFICIAL).report()
    events: list[Progress | Notice] = []
    found = LabelMaps(guesses, truths, OFFICIAL).report(keep_going=True, listener=events.append)
    assert found.origin.images == 2
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "left out 2 of 4 truths, which have no prediction",
        f"1 files in {guesses} have no truth of their name: not scored",
    ]
    assert np.array_equal(found.counts, expected(truths, guesses, ("a", "c")))


def test_names_that_do_not_meet_are_an_error_even_so(truths: Truths, guesses: Path) -> None:
    for path in guesses.glob("*.png"):
        path.rename(path.with_name(f"face_{path.name}"))
    with pytest.raises(SourceError, match=r"called like a truth, .* first is a\.png, while face_a\.png is there: name"):
        LabelMaps(guesses, truths, OFFICIAL).report(keep_going=True)


def test_a_prediction_of_another_size_is_named(truths: Truths, guesses: Path) -> None:
    Image.fromarray(random_map("c", 10)).save(guesses / "c.png")
    with pytest.raises(SourceError, match=r"guess/c\.png is 8 x 10, its truth 8 x 9: .*map predictions back to it"):
        LabelMaps(guesses, truths, OFFICIAL).report()


@pytest.mark.parametrize("workers", [1, 2])
def test_boundaries_are_counted_when_asked_for(truths: Truths, guesses: Path, workers: int) -> None:
    found = LabelMaps(guesses, truths, OFFICIAL).report(boundaries=True, workers=workers).boundary
    assert found is not None
    one = Boundary(19)
    for name in NAMES:
        one.add(*(np.array(Image.open(folder / f"{name}.png")) for folder in (truths.root, guesses)))
    for counted in ("labelled", "predicted", "recalled", "right"):
        assert getattr(found, counted).sum() > 0
        assert np.array_equal(getattr(found, counted), getattr(one, counted))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_id_outside_the_scheme_is_named(truths: Truths, guesses: Path, workers: int) -> None:
    ids = random_map("c")
    ids[2, 2] = 77
    Image.fromarray(ids).save(guesses / "c.png")
    with pytest.raises(SourceError, match=r"guess/c\.png holds id 77, which scheme official has not: .* --scheme"):
        LabelMaps(guesses, truths, OFFICIAL).report(workers=workers)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_in_colours_is_no_label_map(truths: Truths, guesses: Path, mode: str) -> None:
    coloured = Image.merge("RGB", [Image.fromarray(random_map(name)) for name in "abc"])
    coloured.convert(mode).save(guesses / "c.png")
    with pytest.raises(SourceError, match=rf"guess/c\.png is not a label map: its mode is {mode}, .*save class ids"):
        LabelMaps(guesses, truths, OFFICIAL).report()


def test_an_unreadable_prediction_is_named(truths: Truths, guesses: Path) -> None:
    (guesses / "c.png").write_bytes((guesses / "c.png").read_bytes()[:40])
    with pytest.raises(SourceError, match=r"guess/c\.png is truncated or damaged"):
        LabelMaps(guesses, truths, OFFICIAL).report()


def test_a_folder_without_predictions_is_an_error(truths: Truths, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"empty holds no label map NAME\.png"):
        LabelMaps(tmp_path / "empty", truths, OFFICIAL).report()


@pytest.fixture
def faces(tmp_path: Path, tiny_data: ShardIndex) -> dict[str, Pixels]:
    """Predictions for three of the four faces of val, worse for every next one, and saved as PNGs."""
    made = {}
    for place, name in ((0, "12"), (2, "14"), (3, "15")):
        labels = tiny_data.read("val", place).source_labels.copy()
        labels[:, : 10 * place] = 0
        made[name] = labels
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    return made


def test_the_best_the_median_and_the_worst_are_shown_where_there_are_photos(
    tmp_path: Path, tiny_data: ShardIndex, faces: dict[str, Pixels]
) -> None:
    maps = LabelMaps(tmp_path, open_truths(tiny_data.root, split="val"), OFFICIAL)
    found = maps.report("a tool", examples=True, keep_going=True).examples
    assert [(one.kind, one.name) for one in found] == [("best", "12"), ("median", "14"), ("worst", "15")]
    for one, place in zip(found, (0, 2, 3), strict=True):
        face = tiny_data.read("val", place)
        assert np.array_equal(one.photo, face.image)
        assert one.mean_f1 == mean_f1_of(Confusion(19).add(face.source_labels, faces[one.name]))
    assert maps.report("a tool", examples=False, keep_going=True).examples == ()


def test_a_folder_of_label_maps_has_no_photos_to_show(tmp_path: Path, faces: dict[str, Pixels]) -> None:
    truths = Truths(tmp_path, "celebamask-hq", CELEBAMASK_HQ, label_maps(tmp_path))
    report = LabelMaps(tmp_path, truths, OFFICIAL).report("a tool", boundaries=True, examples=True)
    assert report.examples == ()
    assert report.scores.mean_f1 == 1
    assert report.boundary is not None
    assert np.array_equal(report.boundary.labelled, report.boundary.predicted)


def test_the_origin_names_predictions_scheme_and_truth(
    tmp_path: Path, tiny_data: ShardIndex, faces: dict[str, Pixels]
) -> None:
    maps = LabelMaps(tmp_path, open_truths(tiny_data.root, split="val"), OFFICIAL)
    line = maps.report("a tool", keep_going=True).origin.line()
    for part in (
        "dataset celebamask-hq (merged)",
        "split val (by the lists in the source folder)",
        "3 images",
        "scored at 64 x 64",
        "paint order as merged in the source",
        f"predictions {tmp_path.name}",
        "scheme official",
        f"truth {tiny_data.root.name}",
        "left out 1 of 4 truths, which have no prediction",
    ):
        assert part in line
    assert "alignment" not in line
    assert "checkpoint" not in line
    assert str(tmp_path.parent) not in line


@pytest.mark.parametrize("name", ["farl", "zllrunning"])
def test_where_another_scheme_scores_far_better_it_is_named(truths: Truths, guesses: Path, name: str) -> None:
    recode(guesses, np.array([SCHEMES[name].index(each) for each in CELEBAMASK_HQ.names] + [0] * 237, np.uint8))
    for scheme, told in ((OFFICIAL, True), (find_scheme(name, CELEBAMASK_HQ), False)):
        heard: list[Progress | Notice] = []
        mean = LabelMaps(guesses, truths, scheme).report(listener=heard.append).scores.mean_f1
        texts = [event.text for event in heard if isinstance(event, Notice) and "mean F1 would be" in event.text]
        assert len(texts) == told
        if told:
            assert f"if that tool made guess, add --scheme {name}" in texts[0]
            assert f"instead of {100 * mean:.1f}" in texts[0]
