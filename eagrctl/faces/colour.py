"""The colours of a decoded picture, of any mode that Pillow knows, as RGB."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from eagrctl.errors import SourceError

# Modes with a counterpart among the colour spaces of profiles; all others become RGB first.
PROFILED = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def rgb_converter(picture: Image.Image, name: str) -> Callable[[Image.Image], Image.Image]:
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
    # The mode without alpha, palette or depth in which the colours are complete.
    mode = "L" if deep or picture.mode in ("1", "LA", "La") else picture.mode if picture.mode in PROFILED else "RGB"
    transform = _to_srgb(picture, mode)

    def convert(part: Image.Image) -> Image.Image:
        if deep:
            part = Image.fromarray((np.asarray(part) >> shift).astype(np.uint8))
        if part.mode == "La":
            part = part.convert("LA")
        alpha = part.convert("RGBA").getchannel("A") if transparent else None
        if part.mode in ("P", "PA"):  # what is transparent in a palette must not turn into one of its colours
            part = part.convert("RGBA")
        colours = part if part.mode == mode else part.convert(mode)
        colours = transform.apply(colours) if transform else colours.convert("RGB")
        if alpha is not None:
            ground = Image.new("RGB", part.size, "white")
            ground.paste(colours, mask=alpha)
            colours = ground
        return colours

    return convert


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
        named_srgb = "srgb" in (profile.profile.profile_description or "").lower()
        if named_srgb or profile.profile.xcolor_space.strip() != PROFILED[mode]:
            return None
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(profile, srgb, mode, "RGB", flags=ImageCms.Flags.BLACKPOINTCOMPENSATION)
    except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
        return None
