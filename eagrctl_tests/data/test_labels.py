import pytest

from eagrctl.data import labels
from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.network import loss


@pytest.mark.parametrize("classes", [HELEN, CELEBAMASK_HQ], ids=["Helen", "CelebAMask-HQ"])
def test_a_label_set_is_whole(classes: LabelSet) -> None:
    assert len(classes.names) == len(classes.colours) == len(set(classes.names)) == len(set(classes.colours))
    assert classes.names[0] == "background"
    mirrored = [one for pair in classes.mirrored for one in pair]
    assert len(mirrored) == len(set(mirrored))
    assert all(0 < one < len(classes) for one in [*mirrored, *(one for ids in classes.regions.values() for one in ids)])


def test_mirrored_pairs_are_left_and_right_of_the_same_part() -> None:
    for classes in (HELEN, CELEBAMASK_HQ):
        for one, other in classes.mirrored:
            assert classes.names[other] in {
                classes.names[one].replace("left", "right"),
                classes.names[one].replace("l_", "r_", 1),
            }


def test_overall_merges_every_part_of_the_face_but_skin_and_hair() -> None:
    left_out = set(range(len(labels.HELEN))) - set(labels.HELEN.regions["overall"])
    assert {labels.HELEN.names[one] for one in left_out} == {"background", "skin", "hair"}


def test_official_ids_of_celebamask_hq() -> None:
    names = labels.CELEBAMASK_HQ.names
    assert (names.index("skin"), names.index("l_eye"), names.index("hair"), names.index("cloth")) == (1, 4, 13, 18)


def test_both_rooms_ignore_the_same_label() -> None:
    assert loss.IGNORE == labels.IGNORE
