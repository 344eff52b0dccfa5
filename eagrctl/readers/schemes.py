"""Id schemes: which number means which class in label maps that other tools write.

The paper's datasets are coded in several ways. A scheme by name is one of `SCHEMES`, or `official`, which is the
dataset's own. Any other is a TOML file of ids and the dataset's class names::

    [ids]
    0 = "background"
    1 = "skin"
    10 = "hair"
    17 = "hair"       # several ids may mean one class
    255 = "ignore"    # left out of the scores

An id that a scheme does not list may not occur.

Helen and LaPa name sides as the viewer sees them, CelebAMask-HQ as the subject does: a `left eye` is an `r_eye`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND, CELEBAMASK_HQ, HELEN, IGNORE, LabelSet, in_words
from eagrctl.documents import Written, read_toml
from eagrctl.errors import SourceError, did_you_mean
from eagrctl.files import printable, sha256_of

OFFICIAL = "official"
IGNORED = "ignore"
EXAMPLE = '[ids] and below it lines such as 7 = "nose" or 255 = "ignore"'

# The class names of each scheme in id order.
SCHEMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # zllrunning/face-parsing.PyTorch, and after it yakhyo/face-parsing and facexlib.
        "zllrunning": (
            *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r"),
            *("nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat"),
        ),
        # FaRL, and after it facer and SegFace.
        "farl": (
            *("background", "neck", "skin", "cloth", "l_ear", "r_ear", "l_brow", "r_brow", "l_eye", "r_eye"),
            *("nose", "mouth", "l_lip", "u_lip", "hair", "eye_g", "hat", "ear_r", "neck_l"),
        ),
        "celebamask-hq": CELEBAMASK_HQ.names,
        "helen": HELEN.names,
        "lapa": HELEN.names,
    }
)

# The classes of CelebAMask-HQ that mean the same as Helen's and LaPa's, in their order: sides change their names.
_SAME = ("background", "skin", "r_brow", "l_brow", "r_eye", "l_eye", "nose", "u_lip", "mouth", "l_lip", "hair")
# In both directions, by the names of the classes that are the target.
COUNTERPARTS = {
    CELEBAMASK_HQ.names: dict(zip(HELEN.names, _SAME, strict=True)),
    HELEN.names: dict(zip(_SAME, HELEN.names, strict=True)),
}


def _id(key: str) -> str:
    # Not 07, which would be 7 a second time.
    if not (key.isascii() and key.isdecimal() and len(key) <= 3 and key == str(int(key)) and int(key) <= IGNORE):
        raise ValueError("is not an id from 0 to 255")
    return key


@dataclass(frozen=True)
class _Ids(Written):
    """What stands in the TOML file of a scheme."""

    ids: Annotated[dict[Annotated[str, AfterValidator(_id)], str], Field(min_length=1)]


@dataclass(frozen=True, eq=False)
class Scheme:
    """How the ids of label maps become a dataset's.

    Attributes:
        name: as it was asked for.
        lookup: (256,) uint8, the dataset's id for each id of the scheme; 255 where a pixel is left out of the scores.
        known: (256,) bool, which ids the scheme has.
        unmatched: its classes that the dataset has not, which become background or are ignored.
        missing: the dataset's classes that no id of it becomes.
    """

    name: str
    lookup: Pixels
    known: NDArray[np.bool_]
    unmatched: tuple[str, ...]
    missing: tuple[str, ...]

    def stranger(self, labels: Pixels) -> int | None:
        """The lowest id in a map, (H, W) uint8, that the scheme has not; None where it has all."""
        strange = labels[~self.known[labels]]
        return int(strange.min()) if strange.size else None

    def translate(self, labels: Pixels) -> Pixels:
        """Ids of the scheme, (H, W) uint8 -> ids of the dataset; without a meaning where there is a `stranger`."""
        return self.lookup[labels]

    def written(self, labels: LabelSet) -> "WrittenIds":
        """How label maps of the dataset are written in the scheme's ids, the lowest where several mean one class.

        Raises:
            SourceError: no class but the background has one.
        """
        ids = {number: int(key) for key, number in reversed([*enumerate(self.lookup)]) if self.known[key]}
        shared = {name: ids[number] for number, name in enumerate(labels.names) if number in ids}
        if not set(shared) - {labels.names[BACKGROUND]}:
            raise SourceError(f"scheme {printable(self.name)} has none of the network's classes: name another one")
        table = np.full(IGNORE + 1, shared.get(labels.names[BACKGROUND], BACKGROUND), np.uint8)
        for number, key in ids.items():
            table[number] = key
        without = tuple(name for name in labels.names if name not in shared)
        return WrittenIds(self.name, table, shared, without)


@dataclass(frozen=True, eq=False)
class WrittenIds:
    """How label maps are written in another tool's ids.

    Attributes:
        scheme: its name.
        table: (256,) uint8, its id for each id of the dataset; the background's where it has none.
        ids: its id for each class that both have, by the dataset's name for it.
        without: the dataset's classes that it has not.
    """

    scheme: str
    table: Pixels
    ids: Mapping[str, int]
    without: tuple[str, ...]

    def label_set(self, labels: LabelSet) -> LabelSet:
        """The classes by its ids, in the dataset's names and colours."""
        names, colours = (list(each) for each in zip(*[("", (0, 0, 0))] * (max(self.ids.values()) + 1), strict=True))
        for name, key in self.ids.items():
            names[key], colours[key] = name, labels.colours[labels.id(name)]
        return LabelSet(tuple(names), tuple(colours))


def find_scheme(name: str, labels: LabelSet, unmatched: int = BACKGROUND) -> Scheme:
    """The scheme of that name, or in the TOML file of that name, for a dataset of these classes.

    Classes of the scheme that the dataset has not become `unmatched`: background, or 255, which is ignored.

    Raises:
        SourceError: there is none, the dataset's classes are not known to it, or the file is malformed.
    """
    if name == OFFICIAL:
        return _by_names(name, labels.names, labels)
    if name in SCHEMES:
        if labels.names not in COUNTERPARTS:
            raise SourceError(
                f"scheme {name} has no classes of this dataset, which has its own: use {OFFICIAL}, or a TOML file: "
                f"{EXAMPLE}"
            )
        return _by_names(name, SCHEMES[name], labels, unmatched)
    path = Path(name)
    if path.suffix != ".toml" and not path.is_file():
        names = (OFFICIAL, *SCHEMES)
        raise SourceError(
            f"no id scheme is called {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}, "
            "or name a TOML file"
        )
    return read_scheme(path, labels)


@dataclass(frozen=True)
class Remapping:
    """What becomes of label maps that are prepared by a scheme.

    Attributes:
        scheme: whose unmatched classes are ignored; None leaves ids as they are.
        settings: what an index says of it.
        remarks: what is lost, a line each.
    """

    scheme: Scheme | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @classmethod
    def by(cls, name: str | None, labels: LabelSet) -> "Remapping":
        """By the scheme of that name or file, if one is named; errors as in `find_scheme`."""
        if name is None:
            return cls()
        scheme = find_scheme(name, labels, unmatched=IGNORE)
        file = "" if name in (OFFICIAL, *SCHEMES) else f" ({sha256_of(Path(name))[:12]})"
        lost = ", ".join(map(in_words, scheme.unmatched))
        remark = f"scheme {name} has classes without counterpart, whose pixels are ignored: {lost}"
        return cls(scheme, {"label scheme": f"{Path(name).name}{file}"}, (remark,) if lost else ())


def refuse_scheme(name: str | None, root: Path) -> None:
    """Refuse, with SourceError, a scheme for a dataset without label maps of ids."""
    if name is not None:
        raise SourceError(
            f"{printable(root)} has a mask for each part, and no ids that a scheme could mean: leave out --scheme"
        )


def scheme_of(classes: Sequence[str], labels: LabelSet) -> Scheme | None:
    """The scheme in which a network of these classes, in the order of its ids, writes label maps.

    Where no scheme is known by a name, it goes by the names of the classes and is called MAP.toml, for a file that is
    still to be written. None where nothing but the background has a counterpart in the dataset.
    """
    known = (name for name, names in SCHEMES.items() if names == tuple(classes) and labels.names in COUNTERPARTS)
    scheme = _by_names(next(known, "MAP.toml"), classes, labels)
    return None if set(scheme.missing) >= set(labels.names[1:]) else scheme


def read_scheme(path: Path, labels: LabelSet) -> Scheme:
    """Read a scheme from TOML, as the module's docstring shows one; SourceError where it is missing or malformed."""
    ids = read_toml(path, _Ids, SourceError, f"write {EXAMPLE}", f"no id scheme at {path}; write one: {EXAMPLE}").ids
    return _scheme(str(path), {int(key): _class(key, name, labels, path) for key, name in ids.items()}, (), labels)


def _class(key: str, name: str, labels: LabelSet, path: Path) -> int:
    if name == IGNORED:
        return IGNORE
    if name not in labels.names:
        names = (*labels.names, IGNORED)
        raise SourceError(
            f"{path}: id {key} is {name!r}, which is not a class of the dataset{did_you_mean(name, names)}; "
            f"there are {', '.join(names)}"
        )
    return labels.id(name)


def _by_names(scheme: str, classes: Sequence[str], labels: LabelSet, other: int = BACKGROUND) -> Scheme:
    same = COUNTERPARTS.get(labels.names, {})
    targets = [name if name in labels.names else same.get(name) for name in classes]
    ids = {place: other if name is None else labels.id(name) for place, name in enumerate(targets)}
    unmatched = tuple(name for name, target in zip(classes, targets, strict=True) if target is None)
    return _scheme(scheme, ids, unmatched, labels)


def _scheme(name: str, ids: Mapping[int, int], unmatched: tuple[str, ...], labels: LabelSet) -> Scheme:
    lookup, known = np.full(256, IGNORE, np.uint8), np.zeros(256, np.bool_)
    lookup[list(ids)] = list(ids.values())
    known[list(ids)] = True
    reached = set(ids.values())
    missing = tuple(name for number, name in enumerate(labels.names) if number not in reached)
    return Scheme(name, lookup, known, unmatched, missing)
