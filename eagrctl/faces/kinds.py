"""What a file is by its first bytes, whatever it is called; and whether it is whole where its kind tells."""

from typing import BinaryIO

from PIL import Image

# What people keep photos in. Pillow knows more, some of which (EPS) runs other programs on the file.
PHOTOS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "TGA", "QOI", "PSD")
# What class ids survive in. The others blend neighbours, which makes new ids.
LABEL_MAPS = ("PNG", "TIFF", "GIF", "BMP", "PPM")
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEAD = 400  # bytes that tell a kind

# How files begin, by what they are: kinds of PHOTOS, and what people take for photos.
_PICTURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    b"8BPS": "PSD",
    b"qoif": "QOI",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
}
_VIDEOS = (b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"FLV\x01", b"OggS", b"0&\xb2u\x8ef\xcf\x11")
_OTHERS = {
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"<svg": "an SVG drawing",
    b"<?xml": "XML",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a rar archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
}


def kind_of(head: bytes) -> str:
    """The kind among PHOTOS that a file begins like; empty where it is none of these."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = {head[place : place + 4] for place in range(8, min(int.from_bytes(head[:4]), len(head)), 4)}
        return "HEIF" if head[8:12] in HEIF_BRANDS else "AVIF" if brands & AVIF_BRANDS else ""
    return next((kind for start, kind in _PICTURES.items() if head.startswith(start)), "")


def is_video(head: bytes) -> bool:
    """Whether a file begins like a video."""
    if head[4:8] == b"ftyp":
        return not kind_of(head)
    # The packets of a transport stream, and on discs and cameras with four bytes before each.
    if head[:1] == head[188:189] == head[376:377] == b"G" or head[4:5] == head[196:197] == head[388:389] == b"G":
        return True
    return head.startswith(_VIDEOS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def other_kind(head: bytes) -> str:
    """What a file is that begins like none of PHOTOS, in words; empty where that is not known."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for sign, kind in _OTHERS.items():
        if start[: len(sign)].lower() == sign.lower():
            return kind
    Image.init()
    for name, (_, accept) in Image.OPEN.items():
        if name not in PHOTOS and accept is not None and accept(head[:16].ljust(16, b"\0")) is True:
            return f"a picture of the kind {name}"
    return ""


def cut_short(file: BinaryIO, size: int) -> bool:
    """Whether a box of a file that is made of boxes (HEIC, AVIF, JPEG 2000) ends behind its end."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length, name = int.from_bytes(head[:4]), head[4:8]
        if not name.isascii() or not name.decode().isprintable():
            return False  # what a camera has put behind the boxes
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length == 0:  # to the end
            return False
        if length < 8 or place + length > size:
            return True
        place += length
    return False
