"""One part of a face, or several, as a mask: what an editor or a diffusion model takes.

A mask is soft where the network is unsure. At each point of its output, the log-odds that a pixel belongs to the wanted
classes are what their logits say together, less what the others' do; these are interpolated to the photo's pixels, and
become a probability there. Of several faces, each has its say but where a neighbour's class won (see
`eagrctl.parsing.merging`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter
from scipy.special import expit, logsumexp

from eagrctl.arrays import Pixels
from eagrctl.data.labels import BACKGROUND, in_words
from eagrctl.documents import Written, read_toml
from eagrctl.errors import EagrctlError, did_you_mean
from eagrctl.parsing.merging import lost_to_neighbours
from eagrctl.parsing.parsed import ParsedFace, ParsedPhoto

# What several classes are called together, in words that name classes of any dataset; those that a dataset has not are
# left out. "everything" is every class but the background.
_LIPS = ("upper lip", "lower lip")
_FEATURES = (
    *("nose", "left eye", "right eye", "left brow", "right brow", "mouth", "inner mouth"),
    *_LIPS,
)
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "eyes": ("left eye", "right eye"),
        "brows": ("left brow", "right brow"),
        "ears": ("left ear", "right ear"),
        "lips": _LIPS,
        "whole mouth": (*_LIPS, "mouth", "inner mouth"),
        "face": ("skin", *_FEATURES, "glasses"),
        "head": (
            *("skin", *_FEATURES, "glasses"),
            *("left ear", "right ear", "earring", "hair", "hat", "beard", "headwear", "facewear"),
        ),
    }
)
EVERYTHING = "everything"
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}"  # of a mask: it becomes part of a file's name
_TAKEN = ("overlay",)  # what other pictures beside a mask's are called
_MOST = 1000.0  # pixels that a mask is feathered or grown by

Mask = NDArray[np.float32]


@dataclass(frozen=True)
class MaskRequest:
    """A mask that is wanted.

    Attributes:
        name: in its file's name.
        classes: ids.
    """

    name: str
    classes: frozenset[int]


@dataclass(frozen=True)
class MaskSettings:
    """Which masks are written of a photo, and how.

    Attributes:
        requests: the masks.
        feather, grow: as for `mask_of`.
        cutout: whether the photo, where the mask is, is written besides.

    Raises:
        EagrctlError: a width that no photo needs.
    """

    requests: tuple[MaskRequest, ...] = ()
    feather: float = 0.0
    grow: float = 0.0
    cutout: bool = False

    def __post_init__(self) -> None:
        check_widths(self.feather, self.grow)

    def endings(self) -> list[str]:
        """What the names of the files end in, faces' own left out."""
        kinds = ("", ".cutout") if self.cutout else ("",)
        return [f".{request.name}{kind}.png" for request in self.requests for kind in kinds]

    def record(self, classes: Sequence[str], per_face: bool) -> dict[str, dict[str, Any]]:
        """What a photo's JSON says of its masks."""
        how = {"feather": self.feather, "grow": self.grow, "cutout": self.cutout, "per_face": per_face}
        return {
            request.name: {"classes": [classes[number] for number in sorted(request.classes)], **how}
            for request in self.requests
        }

    def are_in(self, found: Mapping[str, Mapping[str, Any]], classes: Sequence[str], per_face: bool) -> bool:
        """Whether a photo's JSON tells of all these masks, made so."""
        wanted = self.record(classes, per_face)
        return all(found.get(name) == mask for name, mask in wanted.items())


def _words(text: str) -> str:
    return text.replace("-", " ").replace("_", " ").strip().casefold()


def classes_of(
    text: str, classes: Sequence[str], groups: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> set[int]:
    """The ids of the classes that a name means: a class, as the dataset or as people call it, or a group.

    Args:
        text: such as "hair", "l_lip", "lower-lip" or "lips".
        classes: the network's, by id.
        groups: others than `GROUPS`, which go first.

    Raises:
        EagrctlError: there is none.
    """
    by_name = {_words(name): number for number, name in enumerate(classes)}
    by_name |= {in_words(name): number for number, name in enumerate(classes)}
    wanted = _words(text)
    for known in (groups, GROUPS):
        if wanted in (named := {_words(name): parts for name, parts in known.items()}) and wanted not in by_name:
            found = {by_name[_words(part)] for part in named[wanted] if _words(part) in by_name}
            if found:
                return found
    if wanted in by_name:
        return {by_name[wanted]}
    if wanted == EVERYTHING:
        return set(range(len(classes))) - {BACKGROUND}
    names = [*(in_words(name).replace(" ", "-") for name in classes), *groups, *GROUPS, EVERYTHING]
    raise EagrctlError(
        f"no class or group is called {text!r}{did_you_mean(text, names)}; there are "
        f"{', '.join(dict.fromkeys(name.replace(' ', '-') for name in names))}"
    )


def mask_request(
    text: str, classes: Sequence[str], groups: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> MaskRequest:
    """What `NAME` or `NAME=PART+PART+...` asks for; the arguments and the error are as in `classes_of`."""
    name, given, parts = text.partition("=")
    if not re.fullmatch(NAME, name) or name.casefold() in _TAKEN:
        raise EagrctlError(
            f"a mask cannot be called {name!r}: take letters, digits, - and _, such as lips=upper-lip+lower-lip"
        )
    ids: set[int] = set()
    for part in parts.split("+") if given else [name]:
        ids |= classes_of(part, classes, groups)
    return MaskRequest(name, frozenset(ids))


@dataclass(frozen=True)
class _Groups(Written):
    """What stands in a TOML file of groups."""

    groups: Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)]


def read_groups(path: Path) -> dict[str, tuple[str, ...]]:
    """Groups out of a TOML file, `[groups]` and below it lines such as `lips = ["upper-lip", "lower-lip"]`.

    Raises:
        EagrctlError: it is missing or malformed.
    """
    how = 'write [groups] and below it lines such as lips = ["upper-lip", "lower-lip"]'
    return read_toml(path, _Groups, EagrctlError, how, f"no groups at {path}: {how}").groups


def mask_of(
    faces: Sequence[ParsedFace],
    wanted: frozenset[int],
    photo_size: tuple[int, int],
    feather: float = 0,
    grow: float = 0,
) -> Mask:
    """How far each pixel of a photo belongs to the wanted classes, (H, W) float32, 0..1.

    Args:
        faces: of the photo.
        wanted: ids of classes; with the background among them, the mask is that of all else, inverted.
        photo_size: height and width.
        feather: deviation of the Gaussian that softens the mask's edge, in pixels.
        grow: how far the mask grows beyond its edge, in pixels; below 0, it shrinks.

    Raises:
        EagrctlError: a width that no photo needs.
    """
    check_widths(feather, grow)
    if BACKGROUND in wanted:
        others = frozenset(range(256)) - wanted
        return np.subtract(1, mask_of(faces, others, photo_size, feather, -grow), dtype=np.float32)
    mask = np.zeros(photo_size, np.float32)
    for face, lost in zip(faces, lost_to_neighbours(faces), strict=True):
        top, left, bottom, right = face.window
        part = mask[top:bottom, left:right]
        np.maximum(part, np.where(lost, 0, face_mask(face, wanted)), out=part)
    if grow:
        mask = _grown(mask, grow) if grow > 0 else 1 - _grown(1 - mask, -grow)
    return gaussian_filter(mask, feather, mode="nearest") if feather else mask


def _grown(mask: Mask, width: float) -> Mask:
    """A mask that reaches further by so many pixels, from where it is more than half; as quick for many as for few."""
    if mask.max(initial=0) <= 0.5:
        return mask
    reach = np.clip(width + 1 - distance_transform_edt(mask <= 0.5), 0, 1)
    grown: Mask = np.maximum(mask, reach).astype(np.float32)
    return grown


def check_widths(feather: float, grow: float) -> None:
    """Refuse, with EagrctlError, a width that no photo needs."""
    for word, value in (("feather", feather), ("grow", abs(grow))):
        if not 0 <= value <= _MOST:
            raise EagrctlError(f"{word} is {value:g} pixels: give one from 0 to {_MOST:g}")


NO_MASKS = MaskSettings()


def face_mask(face: ParsedFace, wanted: frozenset[int]) -> Mask:
    """The same of one face, over its window, (bottom - top, right - left) float32."""
    top, left, bottom, right = face.window
    size = bottom - top, right - left
    if face.logits is None:
        return np.isin(face.labels, list(wanted)).astype(np.float32)
    inside = [label for label in range(len(face.logits)) if label in wanted]
    outside = [label for label in range(len(face.logits)) if label not in wanted]
    if not inside or 0 in size:
        return np.zeros(size, np.float32)
    odds = logsumexp(face.logits[inside], axis=0) - logsumexp(face.logits[outside], axis=0)
    matrix = face.matrices[-1]
    steps = (np.array(odds.shape[::-1]) - 1) / (face.size - 1)  # of the network's input -> of its output
    # SciPy counts rows first.
    to_grid = (steps[:, None] * matrix[:, :2])[::-1, ::-1]
    corner = (steps * (matrix @ [left, top, 1]))[::-1]
    sampled = affine_transform(odds.astype(np.float32), to_grid, corner, size, order=1, mode="nearest")
    rows, columns = np.arange(top, bottom)[:, None], np.arange(left, right)[None]
    seen = np.ones(size, np.bool_)
    for line in matrix:
        place = line[0] * columns + line[1] * rows + line[2]
        seen &= (place > -0.5) & (place < face.size - 0.5)
    return np.where(seen, expit(sampled), 0).astype(np.float32)


def as_picture(mask: Mask) -> Pixels:
    """A mask as (H, W) uint8, 0..255."""
    return (mask * 255 + 0.5).astype(np.uint8)


def cutout_of(image: Pixels, mask: Mask) -> Pixels:
    """A photo, (H, W, 3), with a mask as its opacity: (H, W, 4) uint8."""
    return np.dstack([image, as_picture(mask)])


def masks_of(parsed: ParsedPhoto, wanted: MaskSettings, per_face: bool = False) -> Iterator[tuple[str, Pixels]]:
    """The masks of a photo, and their cutouts, each with what its file's name ends in; with `per_face`, each face's."""
    height, width = parsed.labels.shape
    groups = [("", parsed.faces)]
    if per_face:
        groups += [(f".face-{number}", (face,)) for number, face in enumerate(parsed.faces, 1)]
    for request in wanted.requests:
        for start, faces in groups:
            mask = mask_of(faces, request.classes, (height, width), wanted.feather, wanted.grow)
            yield f"{start}.{request.name}.png", as_picture(mask)
            if wanted.cutout:
                yield f"{start}.{request.name}.cutout.png", cutout_of(parsed.image, mask)
