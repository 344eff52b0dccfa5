import io
import os
import string
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eagrctl.errors import SourceError
from eagrctl.events import Notice, Progress
from eagrctl.parsing.photos import Photo, find_photos, natural, unique_names
from eagrctl_tests.parsing.video.videos import write_video

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes empty files into the working directory: which photos are meant is decided without opening them."""
    monkeypatch.chdir(tmp_path)

    def write(*paths: str) -> None:
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()

    return write


def names(*arguments: str, listed: str | None = None) -> list[str]:
    return [photo.name for photo in find_photos(arguments, listed and Path(listed))]  # type: ignore[arg-type]


def paths(*arguments: str, listed: str | None = None) -> list[str]:
    return [str(photo.path) for photo in find_photos(arguments, listed and Path(listed))]  # type: ignore[arg-type]


def refusal(*arguments: str, listed: str | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        paths(*arguments, listed=listed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_named_files_are_taken_whatever_their_suffix(make: Make) -> None:
    make("b.jpg", "sub/a.dat", "none")
    assert find_photos(["b.jpg", "sub/a.dat", "none"]) == [
        Photo(Path("b.jpg"), "b"),
        Photo(Path("sub/a.dat"), "a"),
        Photo(Path("none"), "none"),
    ]


def test_a_folder_stands_for_its_photos_and_its_tree_stays(make: Make) -> None:
    make("in/10.jpg", "in/9.JPG", "in/notes.txt", "in/b/c/1.png", "in/b/2.webp", "in/film.MP4", "in/.hidden.jpg")
    make("in/.cache/1.jpg", "in/dir.jpg/inside.jpg", "in/mask.npz", "in/phone.HEIC")
    assert names("in") == ["9", "10", "b/2", "b/c/1", "dir.jpg/inside", "film", "phone"]
    assert paths("in")[3] == "in/b/c/1.png"
    assert names("in/") == names("./in") == names(str(Path("in").resolve())) == names("in")
    os.chdir("in/b")
    assert names(".") == ["2", "c/1"]
    assert paths(".") == ["2.webp", "c/1.png"]
    assert names("..") == ["9", "10", "b/2", "b/c/1", "dir.jpg/inside", "film", "phone"]
    assert paths("..")[0] == "../9.JPG"


def test_videos_are_told_by_their_suffix(make: Make) -> None:
    make("a.jpg", "b.mp4", "c.MOV", "d.webm", "e.mkv", "f.avi", "g.m4v", "h.gif")
    assert [photo.kind == "video" for photo in find_photos(["."])] == [False, True, True, True, True, True, True, False]


def test_arguments_keep_their_order_and_a_file_comes_once(make: Make) -> None:
    make("x/b.jpg", "x/a.jpg", "c.jpg")
    Path("link.jpg").symlink_to("x/a.jpg")
    assert names("x/b.jpg", "x", "c.jpg", "./c.jpg", "link.jpg", "x/../c.jpg", "x/*.jpg") == ["b", "a", "c"]
    assert paths("link.jpg", "x") == ["link.jpg", "x/b.jpg"]


def test_names_are_told_apart_where_they_would_meet(make: Make) -> None:
    make("in/a.jpg", "in/a.png", "in/b.jpg", "x/a.jpg", "y/a.jpg")
    assert names("in") == ["a.jpg", "a.png", "b"]
    assert names("x", "y") == names("x/a.jpg", "y/a.jpg") == ["x/a", "y/a"]


def test_patterns_that_the_shell_has_left_are_followed(make: Make) -> None:
    make("p/1.jpg", "p/2.jpeg", "p/10.jpg", "p/x/3.jpg", "p/x/y/4.jpg", "p/notes.txt", "p/scan.dat", "p/.h/5.jpg")
    assert names("p/*.jpg") == ["1", "10"]
    assert names("p/*.jp*g") == ["1", "2", "10"]
    assert names("p/?.jp*") == ["1", "2"]
    assert names("p/[12].*") == ["1", "2"]
    assert names("p/**/*.jpg") == ["1", "10", "x/3", "x/y/4"]
    assert names("**/y/*.jpg") == ["p/x/y/4"]
    assert names("p/**/y/*") == ["x/y/4"]
    assert names("p/*/3.jpg") == ["x/3"]
    assert names("p/*.dat") == ["scan"]
    assert names("p/*") == names("p/**") == names("p") == ["1", "2", "10", "x/3", "x/y/4"]
    assert names("*/x") == ["p/x/3", "p/x/y/4"]
    assert paths(f"{Path.cwd()}/p/*.jpg") == [f"{Path.cwd()}/p/1.jpg", f"{Path.cwd()}/p/10.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(make: Make) -> None:
    make("photo[1].jpg", "photo1.jpg", "what?/a.jpg")
    assert paths("photo[1].jpg") == ["photo[1].jpg"]
    assert paths("what?") == ["what?/a.jpg"]


def test_links_in_circles_end(make: Make) -> None:
    make("in/a.jpg", "in/sub/b.jpg", "elsewhere/c.jpg")
    for number in range(3):
        Path(f"in/sub/up{number}").symlink_to("..")
        Path(f"in/up{number}").symlink_to("../in")
    Path("in/away").symlink_to(Path("elsewhere").resolve())
    Path("in/self").symlink_to("self")
    Path("in/0 first.jpg").symlink_to("sub/b.jpg")
    for argument in ("in", "in/**/*.jpg", "in/*"):
        assert names(argument) == ["a", "away/c", "sub/b"]


def test_a_broken_link_is_found_and_reading_it_will_say_so(make: Make) -> None:
    make("in/a.jpg")
    Path("in/b.jpg").symlink_to("gone.jpg")
    assert names("in") == names("in/*.jpg") == ["a", "b"]
    assert names("in/b.jpg") == ["b"]


def test_a_list_names_photos_beside_itself(make: Make, tmp_path: Path) -> None:
    make("lists/a.jpg", "lists/sub/b.jpg", "c.jpg", "lists/in/d.jpg", "lists/#1.jpg", "lists/e f.jpg")
    Path("lists/list.txt").write_bytes(
        b"\xef\xbb\xbf# photos\r\n\r\n a.jpg \r\nsub/b.jpg\n../c.jpg\n./#1.jpg\ne f.jpg\nin\n"
        + f"{tmp_path}/lists/a.jpg\n".encode()
        + b"sub/*.jpg"
    )
    expected = ["a", "b", "c", "#1", "e f", "d"]
    assert names(listed="lists/list.txt") == expected
    assert paths(listed="lists/list.txt")[2] == "lists/../c.jpg"
    assert names("lists/sub/b.jpg", listed="lists/list.txt") == ["b", "a", "c", "#1", "e f", "d"]


def test_a_list_from_a_pipe_is_relative_to_where_one_is(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("p/a.jpg")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"p/a.jpg\n")))
    assert paths(listed="-") == ["p/a.jpg"]
    read, write = os.pipe()
    os.write(write, b"p/a.jpg\n")
    os.close(write)
    assert paths(listed=f"/dev/fd/{read}") == ["p/a.jpg"]
    os.close(read)


def test_names_that_are_no_text_do_not_stop_anything(make: Make) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    make(f"in/{odd}", "in/a\nb.jpg")
    assert names("in") == ["a\nb", os.fsdecode(b"caf\xe9")]
    Path("list.txt").write_bytes(b"in/caf\xe9.jpg\nin/\xff.jpg\n")
    complaint = refusal(listed="list.txt")
    assert complaint.startswith(r"list.txt, line 2: in/\udcff.jpg is missing")
    complaint.encode()


def test_what_is_missing_is_named_with_what_was_meant(make: Make) -> None:
    make("photos/face.jpg", "photos/notes.txt", "notes/a.txt", "list.txt")
    Path("empty").mkdir()
    assert refusal("photos/fase.jpg") == "photos/fase.jpg is missing (did you mean 'face.jpg'?): check its name"
    assert refusal("photos/zzz.jpg") == "photos/zzz.jpg is missing: check its name"
    assert refusal("fotos/face.jpg") == "fotos/face.jpg is missing: there is no folder fotos"
    assert refusal("photo") == "photo is missing (did you mean 'photos'?): check its name"
    assert refusal("photos/*.png").startswith("no photo matches photos/*.png (names in photos end in ")
    assert refusal("fotos/*.png") == "no photo matches fotos/*.png: there is no folder fotos"
    assert refusal("fotos/**/*.png") == "no photo matches fotos/**/*.png: there is no folder fotos"
    assert refusal("empty") == "empty holds no photo: empty is empty"
    assert refusal("notes") == "notes holds no photo (names in notes end in .txt): give photos, such as .jpg or .png"
    assert "https://example.com/face.jpg is an address: download the photo" in refusal("https://example.com/face.jpg")
    assert "a path is empty" in refusal("photos", "")
    assert "no photo is named: give photos, folders" in refusal()
    assert "the list lists.txt is missing (did you mean 'list.txt'?)" in refusal(listed="lists.txt")
    assert "cannot read the list photos (Is a directory)" in refusal(listed="photos")
    assert refusal(listed="list.txt") == "list.txt lists no photo: write one path a line"
    Path("list.txt").write_text("# one\nphotos/face.jpg\nphotos/zzz.jpg\n")
    assert refusal(listed="list.txt") == "list.txt, line 3: photos/zzz.jpg is missing: check its name"


def test_a_folder_that_cannot_be_read_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("in/a.jpg", "in/closed/b.jpg", "shut/c.jpg")
    scan = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith(("closed", "shut")):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    told: list[Notice | Progress] = []
    assert [photo.name for photo in find_photos(["in"], listener=told.append)] == ["a"]
    assert told == [Notice("Left out the folder in/closed: Permission denied", warning=True)]
    assert refusal("shut") == "cannot read the folder shut (Permission denied): make it readable"


def test_results_in_the_folder_of_the_photos_are_passed_by(make: Make) -> None:
    make("in/a.jpg", "in/parsed/a.png", "in/deep/parsed/b.jpg")
    Path("in/link").symlink_to("parsed")
    for argument in ("in", "in/*", "in/**/*"):
        found = find_photos([argument], without=[Path("in/../in/parsed")])
        assert [photo.name for photo in found] == ["a", "deep/parsed/b"]
    assert len(find_photos(["in"], without=[Path("in")])) == 3
    assert [photo.name for photo in find_photos(["in/parsed"], without=[Path("in/parsed")])] == ["a"]


def test_a_large_folder_is_not_looked_at_file_by_file(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make(*(f"in/{number}.jpg" for number in range(300)))
    looks: list[object] = []
    for name in ("stat", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, **k: looks.append(a) or real(*a, **k))
    assert len(find_photos(["in", "in/*.jpg"])) == 300
    assert len(looks) < 60


part = st.text(string.ascii_letters[:4] + "AB.-12é", min_size=1, max_size=4).filter(lambda text: text.strip("."))
some_paths = st.lists(part, min_size=1, max_size=3).map("/".join)


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


@given(st.lists(some_paths, min_size=1, max_size=8, unique=True), st.lists(st.integers(0, 9), min_size=8, max_size=8))
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


@given(st.lists(some_paths, min_size=2, max_size=6, unique=True), st.randoms())
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


def test_a_list_from_windows_is_read(make: Make, tmp_path: Path) -> None:
    make("trip/one.jpg", "trip/back\\slash.jpg")
    text = "trip\\one.jpg\r\ntrip/back\\slash.jpg\r\n"
    for data in (b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")):
        (tmp_path / "list.txt").write_bytes(data)
        found = find_photos([], tmp_path / "list.txt")
        assert [photo.path.name for photo in found] == ["one.jpg", "back\\slash.jpg"]


@pytest.mark.parametrize("name", ["n" * 300 + ".jpg", "n" * 300 + "/one.jpg", "n" * 5000])
def test_a_name_that_no_file_can_have_is_missing(make: Make, name: str) -> None:
    with pytest.raises(SourceError, match=r"is missing|is longer than any path"):
        find_photos([name])


def test_a_list_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eagrctl.parsing.photos.LONGEST_LIST", 1000)
    with pytest.raises(SourceError, match=r"/dev/zero is no list of photos: it has more than 1,000 bytes"):
        find_photos([], Path("/dev/zero"))


@pytest.mark.parametrize(
    "name", ["a.mts", "a.m2ts", "a.3gp", "a.wmv", "a.mpg", "a.flv", "a.vob", "A.MOV", "a.nut", "a"]
)
def test_what_pyav_opens_counts_as_a_video_by_what_it_holds(tmp_path: Path, name: str) -> None:
    codecs = {".wmv": "wmv2", ".mpg": "mpeg2video", ".flv": "flv", ".vob": "mpeg2video"}
    path = tmp_path / "films" / name
    path.parent.mkdir()
    kind = Path(name).suffix.lower() or ".mp4"
    write_video(tmp_path / f"film{kind}", 12, codec=codecs.get(kind, "mpeg4")).rename(path)
    (photo,) = find_photos([str(path)])
    assert photo.kind == "video"
    if name not in ("a", "a.nut"):  # in folders, nothing is opened that does not look like one
        (found,) = find_photos([str(tmp_path / "films")])
        assert found.kind == "video"


def test_text_and_sound_that_are_called_like_videos_are_left_out_of_folders(tmp_path: Path) -> None:
    (tmp_path / "program.ts").write_text("export const answer = 42;\n" * 40)
    write_video(tmp_path / "song.m4a", 0, sound=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    assert [photo.path.name for photo in find_photos([str(tmp_path)])] == ["photo.png"]
    (named,) = find_photos([str(tmp_path / "program.ts")])
    assert named.kind == "photo"


@pytest.mark.parametrize("argument", ["0", "rtsp://camera/1", "https://x.org/clip.mp4"])
def test_cameras_and_addresses_are_not_read_and_say_so(argument: str) -> None:
    with pytest.raises(SourceError, match=r"cameras are not read|is an address: download"):
        find_photos([argument])
