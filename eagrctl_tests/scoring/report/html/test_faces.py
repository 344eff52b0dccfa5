import base64
import io
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.scoring.examples import Example
from eagrctl.scoring.report.html.faces import SIDE, WRONG, faces_section, wrong_pixels
from eagrctl_tests.scoring.samples import maps

CLASSES = CELEBAMASK_HQ


@pytest.fixture
def parts() -> list[Element]:
    photo, truth, prediction = maps(SIDE)
    return faces_section(
        [Example("best", "one", 0.75, photo, truth, prediction), Example("worst", "two", 0.25, photo, truth, truth)],
        CLASSES,
    )


def picture(image: Element) -> np.ndarray:
    kind, data = image.get("src", "").split(";base64,")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{str(opened.format).lower()}"
    return np.asarray(opened.convert("RGB"))


def test_pictures_show_what_their_names_say(parts: list[Element]) -> None:
    photo, truth, prediction = maps(SIDE)
    shown, true, predicted, errors = map(picture, parts[1].iter("img"))
    assert np.abs(shown.astype(int) - photo).mean() < 8  # as JPEG
    colours = np.array(CLASSES.colours)
    assert (true[truth != 255] == colours[truth[truth != 255]]).all()
    assert (true[truth == 255] == 255).all()
    assert (predicted == colours[prediction]).all()
    wrong = (truth != prediction) & (truth != 255)
    near = np.abs(errors.astype(int) - WRONG).sum(axis=2) < 120
    assert near[wrong].mean() > 0.95
    assert near[~wrong].mean() < 0.01


def test_every_picture_has_a_text_for_those_who_cannot_see_it(parts: list[Element]) -> None:
    texts = [image.get("alt", "") for part in parts for image in part.iter("img")]
    assert len(texts) == 8
    assert texts[0] == "Photo of face one"
    assert texts[1] == "True labels: background, skin, nose, hair"
    assert texts[7].startswith("The 0.0 % of pixels")


def test_faces_stand_under_their_kind_with_their_score(parts: list[Element]) -> None:
    headings = [part.text for part in parts if part.tag == "h3"]
    assert headings == ["Best", "Worst, the worst last"]
    captions = ["".join(part.itertext()) for part in (parts[1], parts[3])]
    assert "one: mean F1 75.0" in captions[0]
    assert "two: mean F1 25.0, 0.0 % of its pixels wrong" in captions[1]


def test_the_legend_has_every_class_and_the_colour_of_errors(parts: list[Element]) -> None:
    entries = ["".join(item.itertext()).strip() for item in parts[-1].iter("li")]
    assert entries == [*CLASSES.names, "wrong, in the picture of errors"]


def test_pixels_without_a_label_are_not_wrong() -> None:
    truth = np.array([[0, 1, 255]], np.uint8)
    assert wrong_pixels(truth, np.array([[0, 2, 2]], np.uint8)).tolist() == [[0, 1, 0]]
