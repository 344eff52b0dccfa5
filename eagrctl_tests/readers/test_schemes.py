import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet, distinct_colours
from eagrctl.errors import SourceError
from eagrctl.readers.celebamask_hq import open_celebamask_hq
from eagrctl.readers.lapa import open_lapa
from eagrctl.readers.schemes import OFFICIAL, SCHEMES, Scheme, find_scheme, read_scheme, refuse_scheme, scheme_of
from eagrctl_tests.conftest import write_merged

OWN = LabelSet(("background", "skin", "left eye"), distinct_colours(3))


def meanings(scheme: Scheme, labels: LabelSet) -> list[str | None]:
    """What each id up to the highest of the scheme means."""
    ids = range(int(np.flatnonzero(scheme.known).max()) + 1)
    return [labels.names[scheme.lookup[number]] if scheme.known[number] else None for number in ids]


@pytest.mark.parametrize("name", ["zllrunning", "farl"])
def test_a_scheme_of_celebamask_hq_has_each_of_its_classes_once(name: str) -> None:
    scheme = find_scheme(name, CELEBAMASK_HQ)
    assert sorted(scheme.lookup[scheme.known]) == list(range(19))
    assert (scheme.unmatched, scheme.missing) == ((), ())
    assert not scheme.known[19:].any()


def test_ids_by_hand() -> None:
    # From the published code of each: zllrunning's 13 is the lower lip, FaRL's the upper one.
    zllrunning, farl = find_scheme("zllrunning", CELEBAMASK_HQ), find_scheme("farl", CELEBAMASK_HQ)
    for number, name in {1: "skin", 2: "l_brow", 5: "r_eye", 10: "nose", 13: "l_lip", 17: "hair", 18: "hat"}.items():
        assert zllrunning.lookup[number] == CELEBAMASK_HQ.id(name)
    for number, name in {1: "neck", 2: "skin", 3: "cloth", 8: "l_eye", 13: "u_lip", 14: "hair", 18: "neck_l"}.items():
        assert farl.lookup[number] == CELEBAMASK_HQ.id(name)


@pytest.mark.parametrize("labels", [HELEN, CELEBAMASK_HQ, OWN], ids=["Helen", "CelebAMask-HQ", "own"])
def test_official_ids_stay_as_they_are(labels: LabelSet) -> None:
    scheme = find_scheme("official", labels)
    ids = np.arange(len(labels), dtype=np.uint8)
    assert np.array_equal(scheme.translate(ids), ids)
    assert scheme.stranger(ids) is None
    assert scheme.stranger(np.array([[0, 255, len(labels)]], np.uint8)) == len(labels)


@pytest.mark.parametrize("name", ["helen", "lapa"])
def test_sides_change_their_names_between_helen_and_celebamask_hq(name: str) -> None:
    scheme = find_scheme(name, CELEBAMASK_HQ)
    assert meanings(scheme, CELEBAMASK_HQ) == [
        *("background", "skin", "r_brow", "l_brow", "r_eye", "l_eye", "nose", "u_lip", "mouth", "l_lip", "hair")
    ]
    assert scheme.unmatched == ()
    assert scheme.missing == ("eye_g", "l_ear", "r_ear", "hat", "ear_r", "neck_l", "neck", "cloth")


@pytest.mark.parametrize("name", ["celebamask-hq", "zllrunning", "farl"])
def test_what_helen_has_not_becomes_background_and_is_named(name: str) -> None:
    scheme = find_scheme(name, HELEN)
    assert scheme.missing == ()
    assert set(scheme.unmatched) == {"eye_g", "l_ear", "r_ear", "hat", "ear_r", "neck_l", "neck", "cloth"}
    names = dict(zip(SCHEMES[name], meanings(scheme, HELEN), strict=True))
    assert all(names[lost] == "background" for lost in scheme.unmatched)
    assert (names["l_eye"], names["r_brow"], names["mouth"], names["l_lip"]) == (
        *("right eye", "left brow", "inner mouth", "lower lip"),
    )


def test_there_and_back_gives_every_class_of_helen_its_own_name() -> None:
    there, back = find_scheme("helen", CELEBAMASK_HQ), find_scheme("celebamask-hq", HELEN)
    ids = np.arange(11, dtype=np.uint8)
    assert np.array_equal(back.translate(there.translate(ids)), ids)


def test_a_network_of_another_scheme_is_recognised_by_its_classes() -> None:
    for name in ("zllrunning", "farl", "helen"):
        found = scheme_of(SCHEMES[name], CELEBAMASK_HQ)
        assert found is not None
        assert found.name == name
    turned = scheme_of(tuple(reversed(CELEBAMASK_HQ.names)), CELEBAMASK_HQ)
    assert turned is not None
    assert (turned.name, turned.missing) == ("MAP.toml", ())
    assert turned.translate(np.arange(19, dtype=np.uint8)).tolist() == list(range(18, -1, -1))
    assert scheme_of(("background", "road"), HELEN) is None


def test_classes_of_ones_own_are_matched_by_name_alone() -> None:
    found = scheme_of(HELEN.names, OWN)
    assert found is not None
    assert (found.name, found.missing) == ("MAP.toml", ())
    assert set(found.unmatched) == set(HELEN.names) - set(OWN.names)


def test_a_map_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[ids]\n0 = "background"\n3 = "left eye"\n7 = "left eye"\n200 = "skin"\n255 = "ignore"\n')
    scheme = read_scheme(path, OWN)
    assert scheme.translate(np.array([[0, 3, 7, 200, 255]], np.uint8)).tolist() == [[0, 2, 2, 1, 255]]
    assert scheme.stranger(np.array([[0, 3, 8, 4, 255]], np.uint8)) == 4
    assert scheme.missing == ()
    path.write_text('[ids]\n1 = "skin"\n')
    assert read_scheme(path, OWN).missing == ("background", "left eye")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[ids]\n1 = "skni"', r"id 1 is 'skni', which is not a class of the dataset \(did you mean 'skin'\?\)"),
        ('[ids]\n1 = "ingore"', r"did you mean 'ignore'"),
        ("[ids]\n1 = 2", r"'ids\.1' must be a string, not 2"),
        ('[ids]\n256 = "skin"', r"'ids\.256' is not an id from 0 to 255"),
        ('[ids]\n-1 = "skin"', r"'ids\.-1' is not an id"),
        ('[ids]\n07 = "skin"', r"'ids\.07' is not an id"),
        ('[ids]\nskin = "1"', r"'ids\.skin' is not an id"),
        ('[id]\n1 = "skin"', r"unknown key 'id' \(did you mean 'ids'\?\)"),
        ("", "missing key 'ids'; write .ids."),
        ("[ids]", "'ids' is too short"),
        ("ids = 3", "'ids' must be a table of keys, not 3"),
        ("[ids", "is not TOML"),
    ],
)
def test_a_malformed_map_is_an_error_that_names_it(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"map\.toml.*{complaint}") as caught:
        read_scheme(path, OWN)
    assert "\n" not in str(caught.value).rstrip()


def test_a_scheme_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'zlrunning' \(did you mean 'zllrunning'\?\); there are official, "):
        find_scheme("zlrunning", CELEBAMASK_HQ)
    with pytest.raises(SourceError, match=r"no id scheme at gone\.toml; write one"):
        find_scheme("gone.toml", CELEBAMASK_HQ)
    with pytest.raises(SourceError, match=r"scheme farl has no classes of this dataset.*TOML"):
        find_scheme("farl", OWN)


def test_a_dataset_is_remapped_when_it_is_prepared(tmp_path: Path) -> None:
    root = write_merged(tmp_path / "merged", {"train": ["1", "2"], "val": ["3"], "test": []})
    lookup = np.array([SCHEMES["farl"].index(name) for name in CELEBAMASK_HQ.names], np.uint8)
    official = {path.stem: np.array(Image.open(path)) for path in (root / "labels").iterdir()}
    for name, labels in official.items():
        Image.fromarray(lookup[labels]).save(root / "labels" / f"{name}.png")
    source = open_celebamask_hq(root, scheme="farl")
    assert source.provenance.settings["label scheme"] == "farl"
    for name in ("1", "2"):
        assert np.array_equal(source.read("train", name).labels, official[name])


def test_classes_without_counterpart_are_ignored_and_named(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for folder in ("images", "labels"):
            (tmp_path / split / folder).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / split / "images" / "one.jpg")
        Image.fromarray(np.full((9, 9), SCHEMES["farl"].index("cloth"), np.uint8)).save(
            tmp_path / split / "labels" / "one.png"
        )
    source = open_lapa(tmp_path, partial=True, scheme="farl")
    assert (source.read("train", "one").labels == 255).all()
    assert any("whose pixels are ignored: neck, clothes" in remark for remark in source.remarks)


def test_a_file_of_ids_is_told_with_its_hash_and_a_stranger_refused(tmp_path: Path) -> None:
    root = write_merged(tmp_path / "merged", {"train": ["1"], "val": [], "test": []})
    (tmp_path / "map.toml").write_text('[ids]\n0 = "skin"\n')
    source = open_celebamask_hq(root, scheme=str(tmp_path / "map.toml"))
    assert re.fullmatch(r"map\.toml \([0-9a-f]{12}\)", source.provenance.settings["label scheme"])
    with pytest.raises(SourceError, match=r"1\.png holds id \d+, which scheme .*map\.toml has not"):
        source.read("train", "1")


def test_masks_of_single_parts_have_no_scheme(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has a mask for each part, and no ids .*: leave out --scheme"):
        refuse_scheme("farl", tmp_path)


@pytest.mark.parametrize("name", [OFFICIAL, *SCHEMES])
@pytest.mark.parametrize("labels", [CELEBAMASK_HQ, HELEN], ids=["celebamask-hq", "helen"])
def test_what_is_written_in_a_schemes_ids_reads_back_the_same_on_the_classes_both_have(
    name: str, labels: LabelSet
) -> None:
    scheme = find_scheme(name, labels)
    written = scheme.written(labels)
    ours = np.arange(len(labels), dtype=np.uint8)
    theirs = written.table[ours]
    assert scheme.stranger(theirs) is None
    shared = np.array([each not in written.without for each in labels.names])
    assert np.array_equal(scheme.translate(theirs)[shared], ours[shared])
    assert (scheme.translate(theirs)[~shared] == 0).all()
    assert {labels.names[number] for number in ours[~shared]} == set(scheme.missing)
    shown = written.label_set(labels)
    for each, key in written.ids.items():
        assert (shown.names[key], shown.colours[key]) == (each, labels.colours[labels.id(each)])


def test_sides_change_places_where_they_must() -> None:
    written = find_scheme("lapa", CELEBAMASK_HQ).written(CELEBAMASK_HQ)
    assert written.ids["r_eye"] == HELEN.id("left eye")
    assert "hat" in written.without


def test_of_several_ids_for_one_class_the_lowest_is_written(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[ids]\n0 = "background"\n17 = "hair"\n10 = "hair"\n255 = "ignore"\n')
    scheme = find_scheme(str(tmp_path / "map.toml"), CELEBAMASK_HQ)
    assert scheme.written(CELEBAMASK_HQ).ids == {"background": 0, "hair": 10}
    (tmp_path / "none.toml").write_text('[ids]\n0 = "background"\n')
    with pytest.raises(SourceError, match="has none of the network's classes"):
        find_scheme(str(tmp_path / "none.toml"), CELEBAMASK_HQ).written(CELEBAMASK_HQ)
