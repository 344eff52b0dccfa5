"""The colours of a decoded picture, of any mode that Pillow knows, as RGB."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from eagrctl.errors import SourceError

GROUND = 255
# Modes with a counterpart among the colour spaces of profiles; all others become RGB first.
PROFILED = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}

Convert = Callable[[Image.Image], Image.Image]


def rgb_converter(picture: Image.Image, name: str) -> Convert:
    """How any part of a picture becomes RGB of 8 bits: transparency on white, the colours of its profile as sRGB.

    Args:
        picture: decoded; parts of it, as `crop` gives them, are what the converter takes.
        name: the picture's, for messages.

    Raises:
        SourceError: pixels whose range is not known.
    """
    if picture.mode == "F":
        raise SourceError(
            f"{name} has floating-point pixels, and nothing says which value is white: save it with 8 or 16 bits"
        )
    deep = picture.mode.startswith("I")
    shift = _depth(picture, name) - 8
    transparent = picture.has_transparency_data and not deep
    mode = _colour_mode(picture.mode)
    transform = _to_srgb(picture, mode)

    def convert(part: Image.Image) -> Image.Image:
        if deep:
            part = Image.fromarray((np.asarray(part) >> shift).astype(np.uint8))
        if part.mode == "La":
            part = part.convert("LA")
        alpha = part.convert("RGBA").getchannel("A") if transparent else None
        colours = _without_alpha(part, mode)
        colours = transform.apply(colours) if transform else colours.convert("RGB")
        if alpha is not None:
            ground = Image.new("RGB", part.size, (GROUND,) * 3)
            ground.paste(colours, mask=alpha)
            colours = ground
        return colours

    return convert


def _colour_mode(mode: str) -> str:
    """The mode without alpha, palette or depth in which a picture's colours are complete."""
    if mode in ("1", "L", "LA", "La") or mode.startswith("I"):
        return "L"
    return mode if mode in PROFILED else "RGB"


def _without_alpha(part: Image.Image, mode: str) -> Image.Image:
    if part.mode == mode:
        return part
    # What is transparent in a palette must not turn into one of its colours.
    return part.convert("RGBA").convert(mode) if part.mode in ("P", "PA") else part.convert(mode)


def _depth(picture: Image.Image, name: str) -> int:
    """How many bits a picture's grey values take; of 32-bit ones, as many as they need."""
    if picture.mode != "I":
        return 16
    low, high = (int(value) for value in picture.getextrema())  # type: ignore[arg-type]
    if low < 0 or high > 65535:
        raise SourceError(
            f"{name} has grey values from {low} to {high}, and nothing says which is white: save it with 8 or 16 bits"
        )
    return 16 if high > 255 else 8


def _to_srgb(picture: Image.Image, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What takes a picture's colours to sRGB; None where it has no profile, sRGB's own, or one that does not fit."""
    data = picture.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if profile.profile.xcolor_space.strip() != PROFILED[mode] or _is_srgb(profile):
            return None
        return ImageCms.buildTransform(profile, _srgb(), mode, "RGB", flags=ImageCms.Flags.BLACKPOINTCOMPENSATION)
    except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "srgb" in (profile.profile.profile_description or "").lower()


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
