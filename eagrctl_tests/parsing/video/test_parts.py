from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from eagrctl.faces.found import FoundFace
from eagrctl.parsing.video.parts import Parts, parts_of
from eagrctl.parsing.video.steady import FaceMemory


def begin(folder: Path) -> Parts:
    """A part of two frames, the second of which has a face, and one that is not whole."""
    parts = Parts(folder, "key", overlay=False)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 2))
    points[3] = np.nan
    parts.memory.found += [(0.0, []), (1 / 3, [FoundFace(rng.normal(size=4), 1 / 7, points, 640)])]
    parts.memory.faces = {3: FaceMemory(*(rng.normal(size=shape).astype(np.float32) for shape in ((2, 4, 5), (4, 5))))}
    for number in (1, 2, 3):
        parts.picture(number).touch()
    parts.add((48, 64), [{"frame": 1, "faces": []}, {"frame": 2, "faces": [{"box": None}]}], {0, 5})
    return parts


def test_what_is_known_of_a_film_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    before = begin(tmp_path)
    after = Parts(tmp_path, "key", overlay=False)
    for parts in (before, after):
        assert (parts.count, parts.last, parts.done, parts.faces, parts.size) == (1, 2, 2, 1, (48, 64))
        assert parts.occurring == {0, 5}
        assert [frame["frame"] for frame in parts.records()] == [1, 2]
    assert [time for time, _ in after.memory.found] == [0.0, 1 / 3]
    (face,), (same,) = before.memory.found[1][1], after.memory.found[1][1]
    assert_array_equal(face.box, same.box)
    assert_array_equal(face.landmarks, same.landmarks)
    assert (face.confidence, face.look) == (same.confidence, same.look)
    assert after.memory.faces.keys() == {3}
    assert_array_equal(after.memory.faces[3].logits, before.memory.faces[3].logits)
    assert_array_equal(after.memory.faces[3].brightness, before.memory.faces[3].brightness)
    assert not after.picture(3).exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"no tensors", None])
def test_damaged_memory_begins_anew(tmp_path: Path, content: bytes | None) -> None:
    begin(tmp_path)
    path = tmp_path / "0000.safetensors"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    parts = Parts(tmp_path, "key", overlay=False)
    assert (parts.count, parts.memory.found, list(parts.frames.iterdir())) == (0, [], [])


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "film").mkdir()
    begin(tmp_path / "film")
    victim = tmp_path / "victim"
    victim.write_text("years of work")
    for link in ("0001.nut", "0001.json", "frames/000003.png"):
        (tmp_path / "film" / link).unlink(missing_ok=True)
        (tmp_path / "film" / link).symlink_to(victim)
    parts = Parts(tmp_path / "film", "key", overlay=False)
    assert parts.count == 1
    assert not parts.film(1).is_symlink()
    assert not parts.picture(3).is_symlink()
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt])
def test_parts_stay_after_an_interrupt_alone(tmp_path: Path, fault: type[BaseException] | None) -> None:
    def work() -> None:
        with parts_of(tmp_path, "a/film", ["a key"], overlay=False) as parts:
            parts.picture(1).touch()
            parts.add((48, 64), [{"frame": 1, "faces": []}], {0})
            if fault:
                raise fault

    if fault:
        with pytest.raises(fault):
            work()
    else:
        work()
    assert len(list(tmp_path.iterdir())) == bool(fault)
