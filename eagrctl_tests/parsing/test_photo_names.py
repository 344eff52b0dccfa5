import string
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.parsing.photos import natural, unique_names

part = st.text(string.ascii_letters[:4] + "AB.-12é", min_size=1, max_size=4).filter(lambda text: text.strip("."))
paths = st.lists(part, min_size=1, max_size=3).map("/".join)


def named(*photos: str) -> list[str]:
    """Names of files that are named one by one."""
    return unique_names([(path, PurePosixPath(path).name) for path in photos])


def test_numbers_count_as_numbers() -> None:
    names = ["b/1", "10.jpg", "9.jpg", "a10/2", "a9/10", "a9/9", "B/0", "x", "09.jpg", "x1y20", "x1y3", ""]
    expected = ["", "09.jpg", "9.jpg", "10.jpg", "a9/9", "a9/10", "a10/2", "B/0", "b/1", "x", "x1y3", "x1y20"]
    assert sorted(names, key=natural) == expected


@given(st.lists(st.text(max_size=8)))
def test_any_names_have_an_order(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural, reverse=True), key=natural) == sorted(names, key=natural)


def test_a_name_is_the_path_without_its_suffix() -> None:
    photos = ["one.jpg", "sub/two.tar.png", "sub.d/three", "four.", "five"]
    assert unique_names([(f"/photos/{path}", path) for path in photos]) == [
        "one",
        "sub/two.tar",
        "sub.d/three",
        "four",
        "five",
    ]


@pytest.mark.parametrize("name", ["..jpg", "...jpg", ".jpg", "..", "sub/..png"])
def test_a_name_is_never_a_folders(name: str) -> None:
    assert unique_names([(f"/photos/{name}", name)]) == [name]


@pytest.mark.parametrize(
    ("photos", "names"),
    [
        (["/p/a.jpg", "/p/a.png"], ["a.jpg", "a.png"]),
        (["/x/a.jpg", "/y/a.jpg"], ["x/a", "y/a"]),
        (["/x/a.jpg", "/y/a.jpg", "/y/b.jpg"], ["x/a", "y/a", "b"]),
        (["/x/s/a.jpg", "/y/s/a.jpg"], ["x/s/a", "y/s/a"]),
        (["/x/a.jpg", "/x/a.png", "/y/a.jpg"], ["x/a.jpg", "x/a.png", "y/a.jpg"]),
        (["/p/A.jpg", "/p/a.jpg"], ["A", "a-2"]),
        (["/p/a.jpg", "/p/A.jpg", "/p/a-2.jpg"], ["a", "A-3", "a-2"]),
        (["/p/e\u0301.jpg", "/q/\u00e9.jpg"], ["p/e\u0301", "q/\u00e9"]),
        (["/p/x/../a.jpg", "/q/a.jpg"], ["p/a", "q/a"]),
        (["/a.jpg", "/p/a.jpg"], ["a", "p/a"]),
    ],
)
def test_photos_that_would_share_a_name_are_told_apart(photos: list[str], names: list[str]) -> None:
    assert named(*photos) == names


def test_a_name_that_another_photo_has_is_not_given_twice() -> None:
    photos = [("/p/a.jpg", "a.jpg"), ("/p/a.png", "a.png"), ("/q/a.jpg.jpg", "a.jpg.jpg")]
    names = unique_names(photos)
    assert len(set(names)) == 3
    assert names[2] in ("a.jpg", "a.jpg-2")


@given(st.lists(paths, min_size=1, max_size=8, unique=True), st.lists(st.integers(0, 9), min_size=8, max_size=8))
def test_names_are_unique_and_stay_inside(whole: list[str], folders: list[int]) -> None:
    photos = []
    for path, above in zip(whole, folders, strict=False):
        parts = path.split("/")
        photos.append((f"/{path}", "/".join(parts[min(above, len(parts) - 1) :])))
    names = unique_names(photos)
    assert len({name.casefold() for name in names}) == len(photos)
    for name in names:
        assert not PurePosixPath(name).is_absolute()
        assert ".." not in PurePosixPath(f"{name}.png").parts
        assert name.rpartition("/")[2].strip(".")
    assert names == unique_names(photos)


@given(st.lists(paths, min_size=2, max_size=6, unique=True), st.randoms())
def test_the_order_of_photos_decides_only_between_copies(whole: list[str], random: object) -> None:
    photos = [(f"/{path}", path.rpartition("/")[2]) for path in whole]
    names = dict(zip(whole, unique_names(photos), strict=True))
    shuffled = list(whole)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    others = dict(
        zip(shuffled, unique_names([(f"/{path}", path.rpartition("/")[2]) for path in shuffled]), strict=True)
    )
    numbered = {path for path in whole if names[path].rpartition("-")[2].isdigit()}
    if not numbered and not any(name.rpartition("-")[2].isdigit() for name in others.values()):
        assert names == others
