from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eagrctl.errors import SourceError
from eagrctl.faces.landmark_file import read_landmarks

numbers = st.floats(-1e6, 1e6) | st.just(float("nan"))
names = st.text("abcXYZ019_-./", min_size=1, max_size=12)


@given(
    faces=st.dictionaries(names, arrays(np.float64, (5, 2), elements=numbers), min_size=1, max_size=4),
    separator=st.sampled_from([",", ", ", " ", "\t", "  "]),
    header=st.booleans(),
)
def test_landmarks_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, faces: dict[str, np.ndarray], separator: str, header: bool
) -> None:
    rows = [["name", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "x5", "y5"]] if header else []
    rows += [[name, *(repr(float(number)) for number in points.ravel())] for name, points in faces.items()]
    path = tmp_path_factory.mktemp("points") / "points.txt"
    path.write_text("\n".join(["# by hand", "", *(separator.join(row) + "  # seen" for row in rows), ""]))
    read = read_landmarks(path)
    assert list(read) == list(faces)
    for name, points in faces.items():
        assert read[name].dtype == np.float64
        assert np.array_equal(read[name], points, equal_nan=True)


def test_names_may_hold_spaces_between_commas(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("\ufeffname,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\r\nmy face #1.jpg, 1,2,3,4,5,6,7,8,nan,NaN\r\n", "utf-8")
    read = read_landmarks(path)
    expected = [[1, 2], [3, 4], [5, 6], [7, 8], [np.nan, np.nan]]
    assert np.array_equal(read["my face #1.jpg"], expected, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a 1 2 3 4 5 6 7 8 9 10\nb 1 2 3 4 5 6 7 8 9\n", "line 2: 'b 1 2 3 .* 9' is not a name and ten numbers"),
        ("a 1 2 3 4 5 6 7 8 9 10 11\n", "line 1: .* is not a name and ten numbers"),
        ("a,1,2,3,4,5,6,7,8,9,ten\n", "line 1: .* is not a name and ten numbers"),
        ("a,1,2,3,4,5,6,7,8,9,\n", "line 1: .* is not a name and ten numbers"),
        ("a,1,2,3,4,5,6,7,8,9,inf\n", "line 1: .* is not a name and ten numbers"),
        (",1,2,3,4,5,6,7,8,9,10\n", "line 1: .* is not a name and ten numbers"),
        ("name\na 1 2 3 4 5 6 7 8 9 10\n", "line 1: 'name' is not a name and ten numbers"),
        ("a 1 2 3 4 5 6 7 8 9 10\nname a b c d e f g h i j\n", "line 2: .* is not a name and ten numbers"),
        ("a 1 2 3 4 5 6 7 8 9 10\n\na 1 2 3 4 5 6 7 8 9 10\n", "line 3: a is listed twice"),
        ("", "names no face"),
        ("# nothing\nname a b c d e f g h i j\n", "names no face"),
    ],
)
def test_a_malformed_file_of_landmarks_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "points.txt"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"points\.txt.*{complaint}") as caught:
        read_landmarks(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_landmarks_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.txt is missing"):
        read_landmarks(tmp_path / "gone.txt")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(SourceError, match=r"photo\.jpg cannot be read as text"):
        read_landmarks(tmp_path / "photo.jpg")
    with pytest.raises(SourceError, match="cannot be read as text"):
        read_landmarks(tmp_path)
