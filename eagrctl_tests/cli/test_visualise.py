from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.align import align_matrix
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.drawing.chart import Chart
from eagrctl.drawing.figures import SIDE, VertexMaps, response_figure
from eagrctl.geometry import warp_image
from eagrctl.recipe import Recipe
from eagrctl.training.run import Run
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import face

EYES = np.array([[203.5, 102], [246, 104.5], [np.nan] * 2, [np.nan] * 2, [np.nan] * 2])

Drawn = list[tuple[Sequence[str], Sequence[np.ndarray], np.ndarray | None, Sequence[VertexMaps], int]]


@pytest.fixture
def saved(tiny_recipe: Callable[..., Recipe]) -> Callable[..., Path]:
    """Writes an untrained network as a run's best checkpoint."""

    def save(folder: Path, *overrides: str) -> Path:
        recipe = tiny_recipe(*overrides)
        Run(folder).create(recipe, Path("data"))
        made = Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, build_network(recipe, 19).state_dict())
        for name in ("best.pt", "last.pt"):
            save_checkpoint(made, folder / name)
        return folder

    return save


@pytest.fixture
def photos(eagrctl: Invoke, saved: Callable[..., Path]) -> list[Path]:
    """Two photos, of different shapes, in the folder where eagrctl runs, and a run where it looks for one."""
    saved(Path("runs") / "tiny")
    Image.fromarray(face(1)[0]).save("one.jpg")
    Image.fromarray(face(2)[0][:50]).convert("L").save("other.png")
    return [Path("one.jpg"), Path("other.png")]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What the figure is asked to draw."""
    calls: Drawn = []

    def record(*arguments: Any) -> Chart:
        calls.append(arguments)  # type: ignore[arg-type]
        return response_figure(*arguments)

    monkeypatch.setattr("eagrctl.paper.responses.response_figure", record)
    return calls


def test_the_figure_is_drawn_with_the_newest_run(eagrctl: Invoke, photos: list[Path]) -> None:
    result = eagrctl("visualise", *photos)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "Wrote visualise.png\n"
    with Image.open("visualise.png") as figure:
        assert 2 * SIDE < figure.width < 3 * SIDE
        assert 6 * SIDE < figure.height < 7.5 * SIDE


def test_whole_photos_are_shown_to_the_network(eagrctl: Invoke, photos: list[Path], drawn: Drawn) -> None:
    assert eagrctl("visualise", *photos, "--quiet", "--output", "f.png").exit_code == 0
    ((names, shown, edges, rows, size),) = drawn
    assert list(names) == ["one.jpg", "other.png"]
    expected = np.asarray(Image.open("one.jpg").resize((SIDE, SIDE), Image.Resampling.BICUBIC), int)
    assert np.abs(shown[0] - expected).max() < 40  # JPEG noise, enlarged by another filter
    assert np.abs(shown[0] - expected).mean() < 3
    assert shown[1].shape == (SIDE, SIDE, 3)
    assert size == 49
    assert edges is not None
    assert len(edges) == 2
    assert {row.maps.shape for row in rows} == {(2, 7, 7)}
    assert [row.vertex for row in rows] == [5, 6, 9, 10]


def test_a_photo_that_a_camera_held_sideways_is_shown_upright(
    eagrctl: Invoke, photos: list[Path], drawn: Drawn
) -> None:
    upright, turn = astronaut(), Image.Exif()
    turn[0x0112] = 6  # the file's first row is the right side
    Image.fromarray(upright).save("upright.png")
    Image.fromarray(np.rot90(upright)).save("lying.png", exif=turn)
    assert eagrctl("visualise", "upright.png", "lying.png").exit_code == 0
    ((_, shown, *_),) = drawn
    assert np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize(
    ("text", "vertices"), [("3", [3]), ("9, 2,9", [9, 2]), ("all", list(range(16))), ("15,0", [15, 0])]
)
def test_vertices_can_be_chosen(
    eagrctl: Invoke, photos: list[Path], drawn: Drawn, text: str, vertices: list[int]
) -> None:
    assert eagrctl("visualise", photos[0], "--vertices", text, "--module", "low").exit_code == 0
    ((*_, rows, _),) = drawn
    assert [row.vertex for row in rows] == vertices
    assert {row.maps.shape for row in rows} == {(1, 13, 13)}


def test_a_network_with_one_module_shows_it(
    eagrctl: Invoke, photos: list[Path], saved: Callable[..., Path], drawn: Drawn
) -> None:
    run = saved(Path("elsewhere"), "model.deployment=1", "model.pooling=5")
    for checkpoint in (run, run / "best.pt"):
        assert eagrctl("visualise", photos[0], "--checkpoint", checkpoint).exit_code == 0
        *_, rows, _ = drawn.pop()
        assert {row.maps.shape for row in rows} == {(1, 13, 13)}
        assert [row.vertex for row in rows] == [1, 3, 4, 5, 7]


class Finder:
    """In the place of a detector: knows where the astronaut has her eyes."""

    description = identity = "known"

    def find(self, image: np.ndarray, near: object) -> np.ndarray | None:
        return EYES if image.shape == (512, 512, 3) else None


def test_aligned_a_face_is_put_on_the_template(
    eagrctl: Invoke, photos: list[Path], drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagrctl.faces.finders.SearchingFinder", lambda *_: Finder())
    Image.fromarray(astronaut()).save("astronaut.png")
    result = eagrctl("visualise", "astronaut.png", photos[0], "--align")
    assert result.exit_code == 0, result.stderr
    ((_, shown, *_),) = drawn
    assert np.array_equal(shown[0], warp_image(astronaut(), align_matrix(EYES, SIDE), SIDE))
    assert "No face was found in one.jpg" in result.stderr
    assert "astronaut" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["missing.jpg"], "missing.jpg is missing"),
        (["notes.jpg"], "notes.jpg cannot be read as a photo"),
        (["runs"], "runs is a folder: name the photos in it, such as runs/*.jpg"),
        (["one.jpg", "--output", "missing/figure.png"], "its folder does not exist"),
        (["one.jpg", "--output", "figure.jpg"], "ends in .png, .svg or .pdf"),
        (
            ["one.jpg", "--vertices", "5,six"],
            "--vertices 5,six is not a list of vertices: write numbers such as 5,6,9,10",
        ),
        (["one.jpg", "--vertices", "-1"], "--vertices -1 is not a list of vertices"),
        (["one.jpg", "--vertices", ""], "is not a list of vertices"),
        (["one.jpg", "--vertices", "5,16"], "no vertex 16: they are numbered 0 to 15"),
        (["one.jpg", "--module", "both"], "runs/tiny/best.pt has no module 'both', but high and low"),
        (["one.jpg", "--checkpoint", "nowhere.pt"], "no checkpoint at nowhere.pt"),
        (["one.jpg", "--align", "--predictor", "none.dat"], "--predictor names none.dat, which is not a file"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    eagrctl: Invoke, photos: list[Path], arguments: list[str], complaint: str
) -> None:
    Path("notes.jpg").write_text("dear diary")
    before = sorted(Path().iterdir())
    assert complaint in one_line(eagrctl("visualise", *arguments))
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("override", ["model.graph=false", "model.sampling=false"])
def test_a_network_without_vertices_is_named(
    eagrctl: Invoke, photos: list[Path], saved: Callable[..., Path], override: str
) -> None:
    run = saved(Path("plain"), override)
    assert "plain/best.pt has no" in one_line(eagrctl("visualise", photos[0], "--checkpoint", run))


@pytest.mark.parametrize("arguments", [[], ["one.jpg", "--module", "middle"], ["one.jpg", "--predictor", "points.dat"]])
def test_wrong_usage_exits_with_2(eagrctl: Invoke, photos: list[Path], arguments: list[str]) -> None:
    assert eagrctl("visualise", *arguments).exit_code == 2
