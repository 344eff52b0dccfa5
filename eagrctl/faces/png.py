"""A PNG without what may be wrong with its metadata."""

import zlib
from collections.abc import Collection

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# Of an animation the first picture counts, which stands where that of any PNG does.
ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


def sound_png(data: bytes, keep: Collection[bytes] = ()) -> bytes:
    """A PNG's pixels, and its metadata that are whole: with a wrong checksum they are left out.

    Args:
        data: of the file.
        keep: the chunks beside those of the pixels that are wanted; all unless given.

    Raises:
        ValueError: a chunk of pixels has a wrong checksum. Pillow does not look at these.
    """
    parts: list[bytes | memoryview] = [SIGNATURE]
    place = len(SIGNATURE)
    view = memoryview(data)
    while place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        end = place + 12 + length
        optional = name not in PIXELS
        if end > len(data):
            if not optional:  # Pillow tells whether a row is missing
                parts.append(view[place:])
            break
        whole = zlib.crc32(view[place + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
        if not whole and not optional:
            raise ValueError(f"wrong checksum in {name.decode()}")
        if not optional or (whole and name not in ANIMATION and (not keep or name in keep)):
            parts.append(view[place:end])
        place = end
        if name == b"IEND":
            break
    return b"".join(parts)
