import base64
import dataclasses
import io
import math
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN
from eagrctl.drawing.curves import Curve, Plot
from eagrctl.scoring.examples import Example
from eagrctl.scoring.origin import RecipeComparison
from eagrctl.scoring.report.html import SIDE, WRONG, SvgPlot, html_text, pictures_of
from eagrctl_tests.scoring.samples import full_report, maps, origin_of, table_report

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
    page = unescape(html_text(full_report()))
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
    unknown = dataclasses.replace(report, training=RecipeComparison({"dataset": "mine"}, None, ()))
    assert "There is no recipe of the paper for mine" in html_text(unknown)


def test_a_page_of_nine_busy_photos_is_small_enough_to_mail() -> None:
    random = np.random.default_rng(0)
    photo = np.kron(random.integers(0, 256, (60, 60, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    truth, guess = np.kron(random.integers(0, 19, (2, 96, 96), np.uint8), np.ones((1, 5, 5), np.uint8))
    examples = tuple(Example(kind, "face", 0.5, photo, truth, guess) for kind in ("best", "median", "worst") * 3)
    page = html_text(dataclasses.replace(table_report("celebamask-hq", CELEBAMASK_HQ), examples=examples))
    assert len(Reader(page).all("img")) == 36
    assert len(page) < 3_000_000


NASTY = ("<script>alert(1)</script>", 'a" onload="b', "&lt;", "{{ 1 }}")


@settings(max_examples=10, deadline=None)
@given(st.one_of(st.sampled_from(NASTY), st.text(min_size=1)))
def test_names_of_methods_faces_and_classes_stay_names(name: str) -> None:
    report = dataclasses.replace(full_report(), origin=origin_of("mine"))
    plain = Reader(html_text(report))
    labels = dataclasses.replace(report.labels, names=(*report.labels.names[:-1], name))
    first, *others = report.examples
    for change in (
        {"labels": labels},
        {"examples": (dataclasses.replace(first, name=name), *others)},
        {"method": name},
    ):
        reader = Reader(html_text(dataclasses.replace(report, **change)))
        assert [tag for tag, _ in reader.found] == [tag for tag, _ in plain.found]
        assert [set(attributes) for _, attributes in reader.found] == [set(each) for _, each in plain.found]


def test_classes_have_names_that_people_say() -> None:
    page = html_text(full_report())
    assert not [name for name in CELEBAMASK_HQ.names if "_" in name and re.search(rf"\b{name}\b", page)]
    assert all(f">{word}<" in page for word in ("earring", "necklace", "glasses", "left eye", "clothes"))


def bars(page: str, name: str) -> list[tuple[str, str, str]]:
    """Owner, width and text of each bar of a class."""
    (row,) = re.findall(rf'<tr><th scope="row">{name}</th>(<td class="bars">.*?)</tr>', page)
    return re.findall(r'class="unseen">(\w+) .*?width:([\d.]+)%.*?class="value">([^<]+)<', row)


def test_a_bar_is_as_wide_as_its_score_and_stands_over_the_papers() -> None:
    counts = np.diag([9, 1, 0, 4, *[0] * 15])
    counts[1, 0], counts[0, 1] = 1, 1
    page = html_text(dataclasses.replace(full_report(), counts=counts))
    assert bars(page, "skin") == [
        ("ours", "50.0", "50.0"),
        ("paper", "96.2", "96.2"),
        ("ours", "33.3", "33.3"),
        ("paper", "92.7", "92.7"),  # 0.962 / (2 - 0.962)
    ]
    assert bars(page, "nose")[0] == ("ours", "0", "-")
    assert [owner for owner, _, _ in bars(html_text(table_report("mine", HELEN)), "skin")] == ["ours", "ours"]


def test_a_row_of_the_heat_map_shares_out_its_pixels() -> None:
    report = table_report(
        "mine", dataclasses.replace(HELEN, names=("a", "b", "c"), colours=HELEN.colours[:3], regions={})
    )
    page = html_text(dataclasses.replace(report, counts=np.array([[3, 1, 0], [0, 0, 0], [1, 0, 999]])))
    table = page[page.index('<table class="heat">') :]
    first, second, third = re.findall(r'<tr><th scope="row" class="stuck">\w</th>(.*?)</tr>', table)
    assert re.findall(r">([^<]*)</td>", first) == ["75", "25", ""]
    assert re.findall(r"--share:([\d.]+)", first) == ["0.750", "0.250", "0.000"]
    assert [cell.count("strong") for cell in first.split("</td>")[:3]] == [1, 0, 0]
    assert 'title="a, predicted as b: 1 of 4 pixels, 25.00 %"' in first
    assert second.count("never labelled") == 3
    assert "--share" not in second
    assert re.findall(r">([^<]*)</td>", third) == ["", "", "100"]


def test_curves_go_where_their_values_are_and_stop_where_there_are_none() -> None:
    nan = math.nan
    plot = Plot("Scores", "epoch", (1, 2, 3, 4), (Curve("F1", (0.0, 10.0, nan, 5.0)), Curve("IoU", (nan,) * 4)))
    page = html_text(dataclasses.replace(table_report("helen", HELEN), curves=(plot,)))
    assert [points.split() for points in re.findall(r'points="([^"]*)"', page)] == [
        ["0.0,150.0", "100.0,0.0"],
        ["300.0,75.0"],
    ]
    assert page.count("<circle") == 3
    assert "<title>Scores, epoch 1 to 4: F1 5, IoU</title>" in page
    assert re.findall(r'text-anchor="middle">(\d+)<', page) == ["1", "2", "3", "4"]


def svg(values: tuple[float, ...], places: tuple[int, ...] = ()) -> SvgPlot:
    return SvgPlot(Plot("Loss", "epoch", places or tuple(range(1, len(values) + 1)), (Curve("total", values),)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_the_upright_axis_holds_all_values_between_round_numbers(values: list[float]) -> None:
    marks = svg(tuple(values)).marks
    assert 2 <= len(marks) <= 7
    step = (marks[-1] - marks[0]) / (len(marks) - 1)
    assert marks == pytest.approx([marks[0] + number * step for number in range(len(marks))], abs=1e-6 * step)
    assert marks[0] - 1e-6 * step <= min(values)
    assert max(values) <= marks[-1] + 1e-6 * step
    if min(values) < max(values):  # no shorter axis of this step would do
        assert min(values) < marks[1] + 1e-6 * step
        assert max(values) > marks[-2] - 1e-6 * step
    assert f"{step:.6e}"[:8] in ("1.000000", "2.000000", "5.000000")


@given(st.integers(1, 500), st.integers(0, 500))
def test_the_level_axis_has_a_few_whole_places_within_its_ends(first: int, more: int) -> None:
    places = svg((0.0,) * (more + 1), tuple(range(first, first + more + 1))).places
    assert places == sorted(set(places))
    assert 1 <= len(places) <= 10
    assert first <= places[0]
    assert places[-1] <= first + more


def test_values_that_are_not_finite_do_not_stretch_the_axis() -> None:
    assert svg((1.0, math.nan, 3.0, math.inf)).marks == svg((1.0, 3.0)).marks
    assert svg((math.nan,)).marks == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize("values", [(3.0,), (3.0,) * 300, (0.0,), (1e-4, 2e-4), (-2.0, 2.0)])
def test_one_epoch_and_hundreds_can_be_drawn(values: tuple[float, ...]) -> None:
    chart = svg(values)
    (points,) = chart.stretches(chart.plot.curves[0])
    assert len(points) == len(values)
    assert all(0 <= x <= chart.WIDTH and 0 <= y <= chart.HEIGHT for x, y in points)
    assert chart.marks[0] <= min(values) <= max(values) <= chart.marks[-1]


def picture(source: str) -> np.ndarray:
    kind, data = source.split(";base64,")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{str(opened.format).lower()}"
    return np.asarray(opened.convert("RGB"))


def test_pictures_show_what_their_names_say() -> None:
    photo, truth, prediction = maps(SIDE)
    face = Example("best", "one", 0.75, photo, truth, prediction)
    pictures = pictures_of(face, CELEBAMASK_HQ)
    assert [name for name, _, _ in pictures] == ["photo", "truth", "prediction", "errors"]
    shown, true, predicted, errors = (picture(source) for _, _, source in pictures)
    assert np.abs(shown.astype(int) - photo).mean() < 8  # as JPEG
    colours = np.array(CELEBAMASK_HQ.colours)
    assert (true[truth != 255] == colours[truth[truth != 255]]).all()
    assert (true[truth == 255] == 255).all()
    assert (predicted == colours[prediction]).all()
    wrong = (truth != prediction) & (truth != 255)
    assert np.array_equal(face.wrong, wrong)
    near = np.abs(errors.astype(int) - WRONG).sum(axis=2) < 120
    assert near[wrong].mean() > 0.95
    assert near[~wrong].mean() < 0.01


def test_every_picture_has_a_text_for_those_who_cannot_see_it() -> None:
    photo, truth, _ = maps()
    face = Example("worst", "two", 0.25, photo, truth, truth)
    texts = [text for _, text, _ in pictures_of(face, CELEBAMASK_HQ)]
    assert texts[:2] == ["Photo of face two", "True labels: background, skin, nose, hair"]
    assert texts[3].startswith("The 0.0 % of pixels")


def test_faces_stand_under_their_kind_with_their_score_over_a_legend() -> None:
    page = html_text(full_report())
    assert re.findall(r"<h3>(.*?)</h3>", page) == ["Best", "Median", "Worst, the worst last"]
    assert "<strong>best face</strong>: mean F1 50.0, 10.8 % of its pixels wrong" in page
    legend = page[page.index('<ul class="legend"') :]
    entries = re.findall(r"</span>(.*?)</li>", legend)
    assert len(entries) == 20
    assert unescape(entries[-1]) == "wrong, in the picture of errors"
