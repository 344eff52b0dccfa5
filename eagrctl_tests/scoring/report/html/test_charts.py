import math
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from eagrctl.drawing.curves import Curve, Plot
from eagrctl.scoring.report.contents import Figures
from eagrctl.scoring.report.html.charts import bar_table, curve_chart, heat_map

NAN = math.nan


def all_text(element: Element) -> str:
    return "".join(element.itertext())


def test_a_bar_is_as_wide_as_its_score_and_stands_over_the_papers() -> None:
    figures = [
        Figures("skin", False, 0.5, 1 / 3, 0.6, 9, 9, 0.9),
        Figures("hat", False, NAN, NAN, NAN, 0, 0, NAN),
    ]
    skin, hat = bar_table(figures).findall("tbody/tr")
    assert [track.get("style") for track in skin.iterfind(".//span[@class='track']/span")] == [
        "width:50.0%",
        "width:90.0%",
        "width:33.3%",
        "width:81.8%",  # 0.9 / (2 - 0.9)
    ]
    assert [all_text(cell) for cell in skin] == ["skin", "ours 50.0paper 90.0", "ours 33.3paper 81.8"]
    assert [all_text(cell) for cell in hat] == ["hat", "ours -", "ours -"]


def test_a_row_of_the_heat_map_shares_out_its_pixels() -> None:
    table = heat_map(np.array([[3, 1, 0], [0, 0, 0], [1, 0, 999]]), ("a", "b", "c"))
    first, second, third = table.findall("tbody/tr")
    assert [cell.text for cell in first.findall("td")] == ["75", "25", None]
    assert [cell.get("style") for cell in first.findall("td")] == ["--share:0.750", "--share:0.250", "--share:0.000"]
    assert [cell.get("class") for cell in first.findall("td")] == ["strong", None, None]
    assert first.findall("td")[1].get("title") == "a, predicted as b: 1 of 4 pixels, 25.00 %"
    assert {cell.get("style") for cell in second.findall("td")} == {None}
    assert "never labelled" in (second.findall("td")[0].get("title") or "")
    assert [cell.text for cell in third.findall("td")] == [None, None, "100"]
    assert [all_text(cell) for cell in table.findall("thead/tr")[1]] == ["Labelled", "a", "b", "c"]


def test_curves_go_where_their_values_are_and_stop_where_there_are_none() -> None:
    chart = curve_chart(
        Plot("Scores", "epoch", (1, 2, 3, 4), (Curve("F1", (0.0, 10.0, NAN, 5.0)), Curve("IoU", (NAN,) * 4)))
    )
    lines = [line.get("points") for line in chart.iter("polyline")]
    assert lines == ["40,178 140,28", "340,103"]
    assert len(list(chart.iter("circle"))) == 3
    assert chart.findtext("svg/title") == "Scores, epoch 1 to 4: F1 goes from 0 to 5"
    labels = [text.text for text in chart.iter("text")]
    assert "F1 5" in labels
    assert "IoU" in labels


@pytest.mark.parametrize("values", [(3.0,), (3.0,) * 300])
def test_one_epoch_and_hundreds_can_be_drawn(values: tuple[float, ...]) -> None:
    chart = curve_chart(Plot("Loss", "epoch", tuple(range(1, len(values) + 1)), (Curve("total", values),)))
    places = [
        tuple(map(float, point.split(",")))
        for line in chart.iter("polyline")
        for point in line.get("points", "").split()
    ]
    assert len(places) == len(values)
    assert all(40 <= x <= 340 and 28 <= y <= 178 for x, y in places)
    assert len(list(chart.iter("circle"))) == (1 if len(values) == 1 else 0)
