from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from eagrctl.scoring.report.html.markup import element, text_of_page

texts = st.text(st.characters(exclude_categories=("C",)), min_size=1)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.title, self.tags = "", "", [""]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.title = dict(attributes).get("title") or self.title

    def handle_data(self, data: str) -> None:
        self.text += data


@given(texts, texts)
def test_whatever_a_text_holds_it_stays_a_text(text: str, title: str) -> None:
    reader = Reader()
    reader.feed(text_of_page(element("td", text, element("b", text), text, title=title)))
    reader.close()
    assert (reader.text, reader.title) == ("\n".join(["", text * 3]), title)
    assert reader.tags == ["", "td", "b"]


def test_children_may_be_text_elements_and_series_of_elements() -> None:
    made = element("td", "one ", (element("i", name) for name in "ab"), " two", class_="c", aria_label="d")
    assert text_of_page(made).endswith('<td class="c" aria-label="d">one <i>a</i><i>b</i> two</td>')
