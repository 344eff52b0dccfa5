import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, in_words
from eagrctl.inference.predict import Segmenter
from eagrctl.readers.schemes import SCHEMES
from eagrctl.recipe import Recipe
from eagrctl.scoring.evaluate import evaluate
from eagrctl.scoring.report.build import WITH_BOUNDARIES, WRITERS
from eagrctl.scoring.report.contents import Report
from eagrctl.scoring.report.tables import markdown
from eagrctl_tests.cli.conftest import Invoke, one_line
from eagrctl_tests.conftest import face
from eagrctl_tests.scoring.samples import origin_of

MIRRORED = np.arange(256, dtype=np.uint8)
for one, other in CELEBAMASK_HQ.mirrored:
    MIRRORED[[one, other]] = other, one


@pytest.fixture
def truth(eagrctl: Invoke) -> Path:
    """Three faces with every class of CelebAMask-HQ but the hat, in official ids."""
    folder = Path("truth")
    folder.mkdir()
    for number in range(3):
        _, labels = face(number)
        labels[:19, :2] = np.arange(19, dtype=np.uint8)[:, None]
        labels[labels == CELEBAMASK_HQ.id("hat")] = 0
        Image.fromarray(labels).save(folder / f"{number}.png")
    return folder


def recoded(folder: Path, table: np.ndarray, name: str) -> Path:
    """A copy whose ids are those of a table, (256,) uint8."""
    copy = Path(name)
    copy.mkdir()
    for path in folder.glob("*.png"):
        Image.fromarray(table[np.array(Image.open(path))]).save(copy / path.name)
    return copy


def coded(scheme: str) -> np.ndarray:
    """CelebAMask-HQ's official ids -> those of a scheme."""
    table = np.zeros(256, np.uint8)
    table[:19] = [SCHEMES[scheme].index(name) for name in CELEBAMASK_HQ.names]
    return table


def rows(stdout: str) -> dict[str, list[str]]:
    """The cells of the class table by class."""
    found = [[cell.strip() for cell in line.split("│")[1:-1]] for line in stdout.splitlines() if line.startswith("│")]
    return {name: cells for name, *cells in found}


@pytest.mark.parametrize("scheme", ["zllrunning", "farl"])
def test_the_truth_in_another_scheme_scores_100(eagrctl: Invoke, truth: Path, scheme: str) -> None:
    guess = recoded(truth, coded(scheme), "guess")
    result = eagrctl("score", guess, truth, "--dataset", "celebamask-hq", "--scheme", scheme)
    assert result.exit_code == 0, result.stderr
    table = rows(result.stdout)
    assert table.pop("hat") == ["-", "-", "-"]
    assert len(table) == 18
    assert all(cells == ["100.0"] * 3 for cells in table.values())
    assert "mean F1 100.0" in result.stdout
    assert "Absent from truth and prediction, so without F1 and left out of the means: hat." in result.stdout
    assert f"3 images, guess (scheme {scheme}) against truth" in result.stdout
    assert result.stderr == ""


def test_the_wrong_scheme_scores_less(eagrctl: Invoke, truth: Path) -> None:
    guess = recoded(truth, coded("farl"), "guess")
    result = eagrctl("score", guess, truth, "--dataset", "celebamask-hq", "--scheme", "zllrunning")
    assert rows(result.stdout)["skin"][0] == "0.0"


def test_sides_mixed_up_score_nothing_there_and_100_elsewhere(eagrctl: Invoke, truth: Path) -> None:
    result = eagrctl("score", recoded(truth, MIRRORED, "guess"), truth, "--dataset", "celebamask-hq")
    table = rows(result.stdout)
    assert {name: table[name][0] for name in ("left eye", "right eye", "left brow", "right ear")} == dict.fromkeys(
        ("left eye", "right eye", "left brow", "right ear"), "0.0"
    )
    assert table["nose"][0] == table["mouth"][0] == "100.0"


def test_ids_of_lapa_are_scored_with_sides_swapped_and_what_they_lack_is_named(eagrctl: Invoke, truth: Path) -> None:
    same = ("background", "skin", "r_brow", "l_brow", "r_eye", "l_eye", "nose", "u_lip", "mouth", "l_lip", "hair")
    table = np.zeros(256, np.uint8)
    table[[CELEBAMASK_HQ.id(name) for name in same]] = range(11)
    guess = recoded(truth, table, "guess")
    arguments = ("score", guess, truth, "--dataset", "celebamask-hq", "--scheme", "lapa")
    result = eagrctl(*arguments, "--report", "table.md", "--quiet")
    found = rows(result.stdout)
    assert {found[in_words(name)][0] for name in same[1:]} == {"100.0"}
    assert found["neck"][0] == "0.0"
    lacking = "lapa has no id for glasses, left ear, right ear, hat, earring, necklace, neck, clothes, which no pixel"
    assert lacking in result.stderr
    assert lacking.replace("lapa has", "scheme lapa (has") in Path("table.md").read_text()


def test_ids_of_celebamask_hq_are_scored_on_helens_classes(eagrctl: Invoke) -> None:
    for folder, labels in (("truth", HELEN.names), ("guess", SCHEMES["zllrunning"])):
        names = ["right eye", "left brow", "upper lip", "background"]
        if folder == "guess":
            names = ["l_eye", "r_brow", "u_lip", "neck"]
        Path(folder).mkdir()
        Image.fromarray(np.array([[labels.index(name) for name in names]], np.uint8)).save(f"{folder}/a.png")
    result = eagrctl("score", "guess", "truth", "--dataset", "helen", "--scheme", "zllrunning")
    assert "mean F1 100.0" in result.stdout
    assert rows(result.stdout)["overall"][0] == "100.0"
    assert (
        "scheme zllrunning has classes without counterpart, which count as background: glasses, left ear"
        in result.stderr
    )


def test_a_map_in_toml_is_followed(eagrctl: Invoke, truth: Path) -> None:
    table = np.full(256, 100, np.uint8)
    table[[0, 1, 2]] = 30, 31, 255
    guess = recoded(truth, table, "guess")
    Path("map.toml").write_text('[ids]\n30 = "background"\n31 = "skin"\n100 = "hair"\n255 = "ignore"\n')
    arguments = ("score", guess, truth, "--dataset", "celebamask-hq", "--scheme", "map.toml", "--report", "table.md")
    result = eagrctl(*arguments)
    assert rows(result.stdout)["skin"] == ["100.0", "100.0", "100.0"]
    assert rows(result.stdout)["nose"] == ["-", "-", "-"]
    nose = sum(int((np.array(Image.open(path)) == 2).sum()) for path in truth.glob("*.png"))
    left_out = (
        f"left out {nose} labelled pixels ({100 * nose / (3 * 64 * 64):.2g} %), which are predicted as an ignored"
    )
    assert left_out in result.stderr
    assert left_out in Path("table.md").read_text()


def test_reports_of_every_format_say_what_was_scored(eagrctl: Invoke, truth: Path) -> None:
    guess = recoded(truth, MIRRORED, "guess")
    files = [f"report{ending}" for ending in WRITERS]
    reports = [argument for file in files for argument in ("--report", file)]
    result = eagrctl("score", guess, truth, "--dataset", "celebamask-hq", "--name", "Another", *reports)
    assert result.exit_code == 0, result.stderr
    for file in files:
        text = Path(file).read_text()
        assert "Another" in text
        assert all(word in text for word in ("predictions", "guess", "official", "truth"))
        assert f"Wrote {file}" in result.stderr
    found = json.loads(Path("report.json").read_text())
    assert found["origin"]["settings"]["predictions"] == "guess"
    assert (found["boundary_f1"] is not None) == (".json" in WITH_BOUNDARIES)


def test_what_a_network_predicted_scores_as_the_network_did(
    eagrctl: Invoke, tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe, folder = tiny_recipe(), Path("guess")
    predictor = Segmenter(build_network(recipe, 19), recipe.input, torch.device("cpu"))
    folder.mkdir()
    evaluation = evaluate(
        predictor, tiny_data, "val", each=lambda face, ids: Image.fromarray(ids).save(folder / f"{face.name}.png")
    )
    reports = ("--report", "table.md", "--report", "report.json")
    result = eagrctl("score", folder, tiny_data.root, "--split", "val", "--name", "eagrctl", *reports)
    assert result.exit_code == 0, result.stderr
    assert json.loads(Path("report.json").read_text())["confusion"] == evaluation.counts.tolist()
    theirs = markdown(Report("eagrctl", evaluation.counts, tiny_data.labels, origin_of("celebamask-hq")).table)
    ours = Path("table.md").read_text()
    assert [line for line in ours.splitlines() if line.startswith("|")] == [
        line for line in theirs.splitlines() if line.startswith("|")
    ]
    assert "4 images" in ours
    assert "split val" in ours


def test_a_part_is_scored_when_asked_for_and_said_to_be_one(eagrctl: Invoke, truth: Path) -> None:
    guess = recoded(truth, coded("celebamask-hq"), "guess")
    (guess / "1.png").unlink()
    (guess / "0.png").rename(guess / "other.png")
    arguments = ("score", guess, truth, "--dataset", "celebamask-hq")
    line = one_line(eagrctl(*arguments))
    assert "guess/0.png is missing, the first of 2 of 3: predict what is missing, or add --partial" in line
    result = eagrctl(*arguments, "--partial", "--report", "table.md")
    assert result.exit_code == 0, result.stderr
    assert "celebamask-hq: 1 of 3 images, guess" in result.stdout
    assert "left out 2 of 3 truths, which have no prediction" in result.stderr
    assert "1 files in guess have no truth of their name" in result.stderr
    assert "left out 2 of 3 truths, which have no prediction" in Path("table.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["guess", "truth"], "add --dataset, one of helen, lapa, celebamask-hq, synthetic"),
        (["guess", "truth", "--dataset", "celebmask-hq"], "did you mean 'celebamask-hq'?"),
        (["guess", "truth", "--dataset", "celebamask-hq", "--scheme", "zllruning"], "did you mean 'zllrunning'?"),
        (["guess", "truth", "--dataset", "celebamask-hq", "--scheme", "gone.toml"], "no id scheme at gone.toml"),
        (["guess", "truth", "--dataset", "celebamask-hq", "--scheme", "lapa"], "guess/0.png holds id 11, which scheme"),
        (["guess", "truth", "--dataset", "helen"], "truth/0.png holds label 18, outside 0..10"),
        (["guess", "truth", "--dataset", "celebamask-hq", "--split", "val"], "leave --split out"),
        (["empty", "truth", "--dataset", "celebamask-hq"], "empty holds no label map NAME.png"),
        (["guess", "empty", "--dataset", "celebamask-hq"], "empty holds no label map NAME.png"),
        (["gone", "truth", "--dataset", "celebamask-hq"], "no folder at gone"),
        (["guess", "truth", "--dataset", "celebamask-hq", "--report", "table.docx"], "ends in .md"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    eagrctl: Invoke, truth: Path, arguments: list[str], complaint: str
) -> None:
    recoded(truth, coded("celebamask-hq"), "guess")
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    assert complaint in one_line(eagrctl("score", *arguments))
    assert sorted(Path().rglob("*")) == before
