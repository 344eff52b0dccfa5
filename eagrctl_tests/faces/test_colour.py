import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from eagrctl.errors import SourceError
from eagrctl.faces.colour import rgb_converter
from eagrctl.faces.photo import as_photo, read_any_photo

GREY16 = np.array([[0, 255, 256, 5000], [20000, 40000, 65279, 65535]], np.uint16)
# The primaries of sRGB, adapted to the white of profiles (D50): X, Y, Z of red, green, blue, and of white.
PRIMARIES = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.7141),
    b"wtpt": (0.9642, 1.0, 0.82491),
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def reopened(picture: Image.Image, kind: str, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return Image.open(buffer)


def converted(picture: Image.Image) -> np.ndarray:
    return np.asarray(rgb_converter(picture, "it")(picture))


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha[..., None].astype(float) / 255
    return colours * opacity + 255 * (1 - opacity)


def linear_profile(space: bytes) -> bytes:
    """A profile like sRGB's, but of light itself: a value twice as high is twice as bright."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))

    name = b"linear\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(79)
    tags = {b"desc": description + bytes(-len(description) % 4), b"wtpt": xyz(PRIMARIES[b"wtpt"])}
    if space == b"RGB ":
        tags |= {key: xyz(value) for key, value in PRIMARIES.items()} | dict.fromkeys(
            (b"rTRC", b"gTRC", b"bTRC"), curve
        )
    else:
        tags[b"kTRC"] = curve
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for key, data in tags.items():
        table += key + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def encoded_light(values: np.ndarray) -> np.ndarray:
    """Shares of light, 0..1, as sRGB's values, 0..255."""
    return 255 * np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("mode", "shape"), [("L", (5, 7)), ("RGB", (5, 7, 3))])
def test_grey_and_colour_come_as_they_are(mode: str, shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    read = converted(Image.fromarray(pixels))
    assert read.shape == (5, 7, 3)
    assert np.array_equal(read, pixels if mode == "RGB" else np.repeat(pixels[..., None], 3, axis=2))


def test_black_and_white_come_as_such() -> None:
    assert np.array_equal(converted(Image.fromarray(np.eye(3) > 0)), np.repeat(255 * np.eye(3)[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_of_grey_become_their_upper_eight(kind: str) -> None:
    picture = reopened(Image.fromarray(GREY16), kind)
    assert picture.mode in ("I;16", "I")
    assert np.array_equal(converted(picture), np.repeat((GREY16 // 256)[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_sixteen_bits_are_read_in_either_order(mode: str) -> None:
    picture = Image.frombytes(mode, (4, 2), GREY16.astype(">u2" if mode == "I;16B" else "<u2").tobytes())
    assert np.array_equal(converted(picture)[..., 1], GREY16 // 256)


def test_sixteen_bits_of_colour_become_their_upper_eight(tmp_path: Path) -> None:
    wide = np.stack([GREY16, GREY16[::-1], GREY16[:, ::-1]], axis=2)
    (tmp_path / "wide.ppm").write_bytes(b"P6 4 2 65535\n" + wide.astype(">u2").tobytes())
    read = read_any_photo(tmp_path / "wide.ppm")
    assert np.abs(read - wide / 257).max() <= 1


def test_32_bits_are_taken_for_the_8_or_16_that_they_need() -> None:
    assert converted(Image.fromarray(np.array([[0, 7, 255]], np.int32)))[0, :, 0].tolist() == [0, 7, 255]
    assert converted(Image.fromarray(np.array([[0, 256, 65535]], np.int32)))[0, :, 0].tolist() == [0, 1, 255]
    for values in ([-1, 4], [0, 65536]):
        with pytest.raises(SourceError, match=rf"it has grey values from {values[0]} to {values[1]}, and nothing says"):
            converted(Image.fromarray(np.array([values], np.int32)))


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 4), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(SourceError, match=r"depth\.tif has floating-point pixels, .*: save it with 8 or 16 bits"):
        read_any_photo(tmp_path / "depth.tif")


@given(colours=st.integers(0, 1000), mode=st.sampled_from(["RGBA", "LA", "PA", "RGBa", "La"]))
def test_what_is_transparent_lies_on_white(colours: int, mode: str) -> None:
    pixels, alpha = noise(4, 5, 3, seed=colours), noise(4, 5, seed=colours + 1)
    if mode in ("LA", "La", "PA"):
        pixels = np.repeat(pixels[..., :1], 3, axis=2)  # a new palette is of greys
    if mode in ("RGBa", "La"):
        pixels = (pixels * (alpha[..., None] / 255)).round().astype(np.uint8)
        expected = pixels + 255.0 * (1 - alpha[..., None] / 255)
    else:
        expected = on_white(pixels, alpha)
    layers = np.dstack([pixels if mode.startswith("RGB") else pixels[..., 0], alpha])
    picture = Image.frombytes(mode, (5, 4), layers.tobytes())
    if mode == "PA":
        picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    assert np.abs(converted(picture) - expected).max() <= (1 if mode in ("RGBA", "LA", "PA") else 2)


def test_palettes_give_their_colours() -> None:
    picture = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    picture.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 100])
    assert converted(picture).tolist() == [[[255, 0, 0], [0, 200, 0], [0, 0, 100]]]
    clear = reopened(picture, "PNG", transparency=1)
    assert converted(clear).tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 100]]]
    half = reopened(picture, "PNG", transparency=bytes([255, 0, 51]))
    assert converted(half).tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 224]]]
    assert converted(reopened(picture, "GIF", transparency=2)).tolist() == [[[255, 0, 0], [0, 200, 0], [255, 255, 255]]]


@pytest.mark.parametrize(("mode", "hidden"), [("RGB", (10, 20, 30)), ("L", 40)])
def test_a_colour_that_stands_for_nothing_is_white(mode: str, hidden: int | tuple[int, ...]) -> None:
    picture = Image.new(mode, (2, 1), hidden)
    picture.putpixel((1, 0), 90 if mode == "L" else (90, 90, 90))
    clear = reopened(picture, "PNG", transparency=hidden)
    assert converted(clear).tolist() == [[[255, 255, 255], [90, 90, 90]]]


def naive_rgb(inks: np.ndarray) -> np.ndarray:
    inks = inks.astype(float)
    return (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255


def test_four_inks_are_laid_over_one_another() -> None:
    inks = noise(6, 8, 4)
    picture = reopened(Image.frombytes("CMYK", (8, 6), inks.tobytes()), "TIFF")
    assert picture.mode == "CMYK"
    assert np.abs(converted(picture) - naive_rgb(inks)).max() <= 2


def four_ink_jpeg(inks: tuple[int, int, int, int]) -> bytearray:
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), inks).save(buffer, "JPEG", quality=100)
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (200, 30, 90, 10), (10, 250, 40, 60), (0, 0, 0, 255)])
def test_a_jpeg_of_four_inks_is_no_negative(inks: tuple[int, int, int, int], tmp_path: Path) -> None:
    data = four_ink_jpeg(inks)
    assert b"Adobe" in data  # by whose convention the values are inverted
    (tmp_path / "inks.jpg").write_bytes(data)
    assert np.abs(read_any_photo(tmp_path / "inks.jpg") - naive_rgb(np.array(inks))).max() <= 3


@pytest.mark.parametrize("inks", [(90, 128, 128, 0), (60, 100, 150, 40), (200, 140, 120, 90)])
def test_a_jpeg_of_luma_chroma_and_black_is_understood(inks: tuple[int, int, int, int], tmp_path: Path) -> None:
    data = four_ink_jpeg(inks)
    # The very values, but announced as YCCK: the transform is the last byte of Adobe's marker.
    data[data.index(b"Adobe") + 11] = 2
    (tmp_path / "ycck.jpg").write_bytes(data)
    luma, blue, red, black = (255 - np.array(inks)).astype(float)
    colours = np.array(
        [luma + 1.402 * (red - 128), luma - 0.34414 * (blue - 128) - 0.71414 * (red - 128), luma + 1.772 * (blue - 128)]
    )
    # By Adobe's convention these are the inks, as with the four that are not transformed.
    expected = (255 - colours.clip(0, 255)) * black / 255
    assert np.abs(read_any_photo(tmp_path / "ycck.jpg") - expected).max() <= 3


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBX"])
def test_other_spaces_become_rgb(mode: str) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8) + np.array([180, 120, 90], np.uint8)
    if mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        picture = ImageCms.applyTransform(Image.fromarray(pixels), transform)
        assert picture is not None
    else:
        picture = Image.fromarray(pixels).convert(mode)
    assert picture.mode == mode
    assert np.abs(converted(picture).astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colours_of_another_profile_become_srgb(kind: str) -> None:
    steps = np.repeat(np.repeat(np.linspace(0, 255, 8).round().astype(np.uint8), 16)[None], 16, axis=0)
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    picture = reopened(Image.fromarray(np.dstack([steps] * 3)), kind, icc_profile=linear_profile(b"RGB "), **options)
    expected = encoded_light(steps[..., None] / 255)
    assert np.abs(as_photo(picture) - expected).max() <= (2 if kind != "JPEG" else 6)


def test_a_colour_of_another_profile_is_the_same_colour() -> None:
    light = np.array([[[0.05, 0.4, 0.9], [0.8, 0.1, 0.02]]])
    picture = Image.fromarray((255 * light).round().astype(np.uint8))
    picture.info["icc_profile"] = linear_profile(b"RGB ")
    assert np.abs(converted(picture) - encoded_light((255 * light).round() / 255)).max() <= 2


def test_grey_of_a_profile_becomes_srgb_too() -> None:
    grey = np.arange(0, 256, 5, dtype=np.uint8)[None]
    picture = reopened(Image.fromarray(grey), "PNG", icc_profile=linear_profile(b"GRAY"))
    assert picture.mode == "L"
    error = np.abs(converted(picture) - encoded_light(grey[..., None] / 255))
    assert error[:, 2:].max() <= 2
    assert error.max() <= 8  # where the curve is steepest, the library interpolates coarsely


def test_transparency_and_profile_go_together() -> None:
    pixels, alpha = noise(4, 5, 3), noise(4, 5, seed=1)
    picture = reopened(Image.fromarray(np.dstack([pixels, alpha])), "PNG", icc_profile=linear_profile(b"RGB "))
    expected = on_white(encoded_light(pixels / 255), alpha)
    assert np.abs(converted(picture) - expected).max() <= 3


def test_srgb_itself_changes_nothing() -> None:
    pixels = noise(9, 9, 3)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(converted(reopened(Image.fromarray(pixels), "PNG", icc_profile=srgb)), pixels)


@pytest.mark.parametrize(
    "profile", [b"nonsense", b"", linear_profile(b"GRAY"), linear_profile(b"CMYK"), linear_profile(b"RGB ")[:300]]
)
def test_a_profile_that_does_not_fit_is_ignored(profile: bytes) -> None:
    pixels = noise(9, 9, 3)
    assert np.array_equal(converted(reopened(Image.fromarray(pixels), "TIFF", icc_profile=profile)), pixels)
