import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.scoring.examples import Example
from eagrctl.scoring.origin import Training
from eagrctl.scoring.report.html.page import html_text
from eagrctl_tests.scoring.samples import full_report, table_report

VOID = {"meta", "link", "img", "input", "br"}


class Reader(HTMLParser):
    """Checks that tags are closed in turn, and collects what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def sections(page: str) -> list[str | None]:
    return [each["id"] for each in Reader(page).all("section")]


def test_the_page_needs_nothing_but_itself() -> None:
    page = html_text(full_report())
    reader = Reader(page)
    policy = next(each["content"] for each in reader.all("meta") if each.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for _, attributes in reader.found:
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    assert not re.findall(r"url\(|@import|https?://", page)


def test_every_section_is_reached_from_the_top() -> None:
    reader = Reader(html_text(full_report()))
    places = [each["id"] for each in reader.all("section")]
    assert places == ["table", "classes", "boundaries", "confusion", "faces", "training", "origin"]
    assert [each["href"] for each in reader.all("a")] == [f"#{place}" for place in places]


def test_what_is_not_known_has_no_section() -> None:
    assert sections(html_text(table_report("mine", HELEN))) == ["table", "classes", "confusion", "origin"]


def test_pictures_have_texts_tables_have_headings_and_sliders_have_labels() -> None:
    reader = Reader(html_text(full_report()))
    assert reader.all("html")[0]["lang"] == "en-GB"
    assert len(reader.all("img")) == 12
    assert all(each["alt"] for each in reader.all("img"))
    assert all(each["scope"] for each in reader.all("th"))
    assert all(each["aria-label"] for each in reader.all("input"))
    assert [tag for tag, _ in reader.found if tag in ("h1", "h2", "h3")] == [
        "h1",
        *["h2"] * 5,
        *["h3"] * 3,
        *["h2"] * 2,
    ]


def test_what_is_wider_than_a_phone_scrolls_by_itself_and_by_keyboard() -> None:
    places = [each for each in Reader(html_text(full_report())).all("div") if each.get("class") == "scroll"]
    assert [each["aria-label"] for each in places] == [
        "The table",
        "Boundary F1",
        "The confusion matrix",
        "Differences between the recipes",
    ]
    assert all(each["tabindex"] == "0" and each["role"] == "region" for each in places)


def test_pictures_for_research_only_are_marked_as_such() -> None:
    page = html_text(full_report())
    faces = page[page.index('id="faces"') : page.index('id="training"')]
    assert "CelebAMask-HQ's: its pictures, and networks trained on them, are for non-commercial research only" in faces
    assert "non-commercial" not in html_text(dataclasses.replace(table_report("helen", HELEN)))


def test_the_recipe_is_laid_beside_the_papers() -> None:
    report = full_report()
    page = html_text(report)
    assert "<code>train.rate</code></th><td><code>0.05</code></td><td><code>0.001</code></td>" in page
    assert "<code>train.new</code></th><td><code>1</code></td><td>-</td>" in page
    assert report.training is not None
    same = dataclasses.replace(report, training=dataclasses.replace(report.training, differences=()))
    assert "The recipe is the paper's for this dataset, celebamask-hq.toml, in every key." in html_text(same)
    unknown = dataclasses.replace(report, training=Training({"dataset": "mine"}, None, ()))
    assert "There is no recipe of the paper for mine" in html_text(unknown)


def test_a_page_of_nine_busy_photos_is_small_enough_to_mail() -> None:
    random = np.random.default_rng(0)
    photo = np.kron(random.integers(0, 256, (60, 60, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    truth, guess = np.kron(random.integers(0, 19, (2, 96, 96), np.uint8), np.ones((1, 5, 5), np.uint8))
    examples = tuple(Example(kind, "face", 0.5, photo, truth, guess) for kind in ("best", "median", "worst") * 3)
    page = html_text(dataclasses.replace(table_report("celebamask-hq", CELEBAMASK_HQ), examples=examples))
    assert len(Reader(page).all("img")) == 36
    assert len(page) < 3_000_000


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a" onload="b', "&lt;"])
def test_names_of_faces_and_classes_stay_names(name: str) -> None:
    report = full_report()
    labels = dataclasses.replace(report.labels, names=(*report.labels.names[:-1], name))
    examples = (dataclasses.replace(report.examples[0], name=name),)
    page = html_text(dataclasses.replace(report, labels=labels, examples=examples))
    assert len(Reader(page).all("script")) == 1
    assert not any("onload" in attributes for _, attributes in Reader(page).found)
