"""Elements of a page, built as a tree, so that nothing has to be escaped by hand."""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# Line breaks around these change nothing on the page, and let people read its source.
_BLOCKS = {
    *("html", "head", "title", "meta", "link", "style", "script", "body", "header", "footer", "main", "nav", "section"),
    *("h1", "h2", "h3", "p", "ul", "li", "dl", "div", "dt", "dd", "figure", "figcaption"),
    *("table", "thead", "tbody", "tr", "svg", "polyline", "circle", "line", "text"),
}


def element(tag: str, *children: Element | str | Iterable[Element], **attributes: str | int | float) -> Element:
    """An element.

    Args:
        tag: its name.
        children: text and elements, in order; an iterable of elements stands for all of them.
        attributes: by name; an underscore at the end is dropped (`class_`), others become hyphens (`aria_label`). An
            empty value is an attribute without one, such as `hidden`.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()})
    if tag in _BLOCKS:
        made.tail = "\n"
    for child in children:
        if isinstance(child, str):
            _append_text(made, child)
        elif isinstance(child, Element):
            made.append(child)
        else:
            made.extend(child)
    return made


def text_of_page(root: Element) -> str:
    """The source of the page whose `html` element is given."""
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html")


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text
