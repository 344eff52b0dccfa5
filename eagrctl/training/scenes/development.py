"""How a camera, the light and a file spoil a photo: dark, over-exposed, grey, blurred, noisy, JPEG."""

import io

import numpy as np
from PIL import Image, ImageFilter

from eagrctl.arrays import Pixels


def developed(image: Pixels, random: np.random.Generator) -> Pixels:
    """Spoil a photo, (H, W, 3) uint8; two in three lightly or not at all."""
    picture = _lit(Image.fromarray(image), random)
    if random.random() < 0.15:
        picture = picture.convert("L").convert("RGB")
    if random.random() < 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.4, 2.2))))
    if random.random() < 0.08:
        factor, size = random.uniform(0.35, 0.8), picture.size
        smaller = max(8, round(factor * size[0])), max(8, round(factor * size[1]))
        small = picture.resize(smaller, Image.Resampling.BILINEAR)
        picture = small.resize(size, Image.Resampling.BILINEAR)
    if random.random() < 0.22:
        picture = Image.fromarray(_noisy(np.asarray(picture), random))
    if random.random() < 0.4:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(random.integers(15, 92)))
        picture = Image.open(buffer).convert("RGB")
    return np.asarray(picture)


def _lit(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Another exposure, contrast, gamma and tint, all in one table for each colour."""
    kind = random.random()
    low, high = (0.2, 0.5) if kind < 0.1 else (1.3, 2.0) if kind < 0.18 else (0.75, 1.25)
    gain = random.uniform(low, high)
    gamma, contrast = np.exp(random.normal(0, 0.2)), random.uniform(0.7, 1.25)
    tints = random.uniform(0.85, 1.15, 3) if random.random() < 0.4 else np.ones(3)
    levels = (np.arange(256) / 255) ** gamma
    table = [gain * tint * (0.45 + contrast * (levels - 0.45)) for tint in tints]
    return picture.point([int(level) for level in np.clip(255 * np.concatenate(table), 0, 255)])


def _noisy(image: Pixels, random: np.random.Generator) -> Pixels:
    spread = random.uniform(3, 22)
    # A tile of noise, shifted: drawing it for every pixel would take longer than all the rest.
    tile = random.normal(0, spread, (96, 101, 3))
    height, width = image.shape[:2]
    tiled = np.tile(tile, (height // 96 + 1, width // 101 + 1, 1))[:height, :width]
    noisy: Pixels = np.clip(image + tiled, 0, 255).astype(np.uint8)
    return noisy
