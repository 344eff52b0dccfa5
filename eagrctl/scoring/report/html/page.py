"""A report as one self-contained web page: no network, no font or script from elsewhere."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from xml.etree.ElementTree import Element

from eagrctl.scoring.report.contents import Report, mean_boundary_f1
from eagrctl.scoring.report.html.charts import bar_table, curve_chart, heat_map, scrolling
from eagrctl.scoring.report.html.faces import faces_section
from eagrctl.scoring.report.html.markup import element, text_of_page
from eagrctl.scoring.report.rows import TableRow, TableRows, percent

# A promise that browsers keep: whatever stands in the page, nothing is fetched.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def html_text(report: Report) -> str:
    """A report as a page that reads on a phone, on paper and in the dark, and without scripts but for its sliders."""
    here = files(__package__)
    where = ", ".join(filter(None, (report.origin.dataset, report.origin.split)))
    title = f"{where}: scores of {report.method}"
    sections = [
        _section("table", "The paper's table" if report.table.rows[0].published else "Scores", _table(report)),
        _section("classes", "Class by class", _classes(report)),
        _section("boundaries", "Boundaries", _boundaries(report)),
        _section("confusion", "Confusion", _confusion(report)),
        _section("faces", "Faces", _faces(report)),
        _section("training", "Training", _training(report)),
        _section("origin", "Where the figures come from", _origin(report)),
    ]
    shown = [section for section in sections if section is not None]
    links = [element("li", element("a", section[0].text or "", href=f"#{section.get('id')}")) for section in shown]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", here.joinpath("page.css").read_text(encoding="utf-8")),
    )
    body = element(
        "body",
        element("header", element("h1", title), _means(report)),
        element("nav", element("ul", links), aria_label="Contents"),
        element("main", shown),
        element("footer", element("p", f"Written by eagrctl {report.origin.version}.")),
        element("script", here.joinpath("page.js").read_text(encoding="utf-8")),
    )
    return text_of_page(element("html", head, body, lang="en-GB"))


def _section(name: str, heading: str, parts: Iterable[Element]) -> Element | None:
    """A section, or nothing where there is nothing in it."""
    parts = list(parts)
    return element("section", element("h2", heading), parts, id=name) if parts else None


def _means(report: Report) -> Element:
    scores = report.scores
    means = (
        ("mean F1", "without background", scores.mean_f1),
        ("mIoU", "with background", scores.miou),
        ("pixel accuracy", "", scores.pixel_accuracy),
        ("mean class accuracy", "with background", scores.mean_accuracy),
    )
    return element(
        "dl",
        (
            element(
                "div",
                element("dt", name, *([element("small", f" {what}")] if what else [])),
                element("dd", percent(value)),
            )
            for name, what, value in means
        ),
        class_="means",
    )


def _table(report: Report) -> Iterable[Element]:
    table = report.table
    yield element("p", table.heading)
    headings = table.split([element("th", column.heading, scope="col") for column in table.columns])
    corner = element("th", "Methods", scope="col", rowspan=len(headings), class_="stuck")
    head = [element("tr", *([] if number else [corner]), *line) for number, line in enumerate(headings)]
    bodies = [
        element("tbody", _rows(table, row), **({} if row.published else {"class_": "ours"})) for row in table.rows
    ]
    yield scrolling(element("table", element("thead", head), bodies, class_="scores"), "The table")
    yield from _notes(*table.notes)


def _rows(table: TableRows, row: TableRow) -> Iterable[Element]:
    cells = [
        element("td", element("strong", cell) if best else cell) for cell, best in zip(row.cells, row.best, strict=True)
    ]
    name = element("th", row.method, scope="rowgroup", rowspan=len(table.lines), class_="stuck")
    for number, line in enumerate(table.split(cells)):
        yield element("tr", *([] if number else [name]), *line, [element("td")] * (table.width - len(line)))


def _classes(report: Report) -> Iterable[Element]:
    figures = report.figures()[1:]
    if report.comparable:
        yield element(
            "p",
            element("span", class_="key ours", aria_hidden="true"),
            f" {report.method}{f', on {report.origin.split}' if report.origin.split else ''}. ",
            element("span", class_="key paper", aria_hidden="true"),
            " EAGRNet as the paper prints it, on test; its IoU is not printed, but follows from F1 as F1 / (2 - F1).",
        )
    yield bar_table(figures)
    if report.labels.regions:
        yield from _notes(f"Merged regions are scored as one class each: {', '.join(report.labels.regions)}.")


def _boundaries(report: Report) -> Iterable[Element]:
    by_tolerance = report.boundary_f1()
    if not by_tolerance:
        return
    yield element(
        "p",
        "Boundary F1 in percent: how much of the border of a class lies within so many pixels of where it belongs, in "
        "pixels of each image's own resolution, summed over all images.",
    )
    headings = [f"{tolerance} pixel{'' if tolerance == 1 else 's'}" for tolerance in by_tolerance]
    columns = by_tolerance.values()
    rows = [[name, *(percent(values[name]) for values in columns)] for name in report.labels.names[1:]]
    means = ["mean", *(percent(mean_boundary_f1(values, report.labels)) for values in columns)]
    yield _plain_table("Boundary F1", ["Class", *headings], rows, [means])


def _confusion(report: Report) -> Iterable[Element]:
    yield element(
        "p",
        "Of the pixels that are labelled as the class of a row, how many percent are predicted as that of a column. "
        "Less than half a percent stays blank.",
    )
    yield scrolling(heat_map(report.counts, report.labels.names), "The confusion matrix")


def _faces(report: Report) -> Iterable[Element]:
    if not report.examples:
        return
    yield element(
        "p",
        "Ranked by the mean F1 over the classes that a face's truth has. The slider under a face wipes from the photo "
        "over truth and prediction to the errors; arrow keys move it, too.",
    )
    if report.origin.licence:
        yield from _notes(report.origin.licence)
    yield from faces_section(report.examples, report.labels)


def _training(report: Report) -> Iterable[Element]:
    if report.curves:
        yield element("div", (curve_chart(plot) for plot in report.curves), class_="charts")
    training = report.training
    if training is None:
        return
    if training.paper is None:
        yield element("p", f"There is no recipe of the paper for {training.recipe['dataset']} to compare with.")
    elif not training.differences:
        yield element("p", f"The recipe is the paper's for this dataset, {training.paper}.toml, in every key.")
    else:
        yield element("p", f"What the recipe has other than the paper's for this dataset, {training.paper}.toml:")
        rows = [
            [element("code", text) if text is not None else "-" for text in (each.key, each.ours, each.paper)]
            for each in training.differences
        ]
        yield _plain_table("Differences between the recipes", ["Key", "This recipe", "The paper's"], rows)


def _origin(report: Report) -> Iterable[Element]:
    facts = report.origin.facts()
    if report.origin.licence:
        facts["licence"] = report.origin.licence
    named = (element("div", element("dt", name), element("dd", fact)) for name, fact in facts.items())
    yield element("dl", named, class_="facts")


def _plain_table(
    label: str, headings: Sequence[str], rows: Sequence[Sequence[Element | str]], last: Sequence[Sequence[str]] = ()
) -> Element:
    """Rows under headings, each named by its first cell; the last ones set apart."""
    first, *others = headings
    head = element(
        "tr", element("th", first, scope="col", class_="stuck"), (element("th", text, scope="col") for text in others)
    )
    bodies = [
        element(
            "tbody",
            (
                element("tr", element("th", name, scope="row", class_="stuck"), (element("td", cell) for cell in cells))
                for name, *cells in body
            ),
            **attributes,
        )
        for body, attributes in ((rows, {}), (last, {"class_": "ours"}))
        if body
    ]
    return scrolling(element("table", element("thead", head), bodies, class_="plain"), label)


def _notes(*notes: str) -> Iterable[Element]:
    return (element("p", note, class_="note") for note in notes)
