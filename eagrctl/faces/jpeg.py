"""JPEGs whose pixels are sound while something else in them is not."""

from collections.abc import Callable, Iterator

START, END = b"\xff\xd8", b"\xff\xd9"
APPS = range(0xE0, 0xF0)
JFIF, EXIF, PROFILE, ADOBE, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
SCAN = 0xDA
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
COEFFICIENTS = 64  # of a block
RESTARTS = range(0xD0, 0xD8)
# What no picture goes on with, to see whether a decoder needs anything behind a picture's last byte.
_NOISE = bytes((73 * place + 41) % 251 + 1 for place in range(2048))
_BEHIND = _NOISE + b"".join(bytes([0xFF, restart]) + _NOISE[:64] for restart in RESTARTS)


def plainer(data: bytes) -> Iterator[bytes]:
    """A JPEG with less and less of its metadata, as long as there is something to leave out."""
    for keep in ({b"Exif\0": EXIF, b"ICC_PROFILE\0": PROFILE}, {b"Exif\0": EXIF}, {}):
        parts = [START]
        for marker, start, end in _segments(data):
            content = data[start + 4 : end]
            dispensable = (marker in APPS and marker not in (JFIF, ADOBE)) or marker == COMMENT
            if not dispensable or any(marker == kind and content.startswith(sign) for sign, kind in keep.items()):
                parts.append(data[start:end])
        plain = b"".join(parts)
        if len(plain) < len(data):
            yield plain


def ended(data: bytes) -> bytes | None:
    """A JPEG with its end mark where only that is missing, as far as its scans tell; None where more is, or nothing.

    Whether the last scan is whole, `is_whole` says.
    """
    missing: set[tuple[int, int]] | None = None
    end = len(data)
    for marker, start, stop in _segments(data):
        content = data[start + 4 : min(stop, start + 64)]
        if marker in FRAMES:
            missing = {(part, number) for part in content[6 : 6 + 3 * content[5] : 3] for number in range(COEFFICIENTS)}
        elif marker == SCAN and missing:
            count = content[0]
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            if bits & 15 == 0:  # to the last bit
                missing -= {
                    (part, number)
                    for part in content[1 : 1 + 2 * count : 2]
                    for number in range(first, min(last, COEFFICIENTS - 1) + 1)
                }
        elif marker == END[1]:
            end = start
    return None if missing is None or missing else _stripped(data[:end]) + END


def is_whole(data: bytes, decode: Callable[[bytes], bytes]) -> bool:
    """Whether a JPEG that ends with its end mark has all pixels before it, given what decodes one.

    Decoders take whatever follows for the bits that are missing, and pixels for which there are none become grey.
    """
    return decode(data) == decode(data[: -len(END)] + _BEHIND + END)


def _stripped(data: bytes) -> bytes:
    """Data without half an end mark, and without the zeros of what was never copied."""
    bare = data.rstrip(b"\0")
    if bare.endswith(b"\xff") and len(bare) < len(data):  # bits that are all set are followed by a zero
        return bare + b"\0"
    return bare.rstrip(b"\xff")


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker, the start and the end of each segment; that of a scan has its pixels behind it.

    IndexError where a segment is cut short.
    """
    place = len(START)
    while place + 2 <= len(data):
        if data[place] != 0xFF:
            place = _next_marker(data, place)
            continue
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker == END[1]:
            yield marker, place, place + 2
            return
        elif marker in (0, 1) or marker in RESTARTS:
            place += 2
        else:
            end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
            if end > len(data):
                raise IndexError("a segment is cut short")
            if marker == SCAN:
                behind = _next_marker(data, end)
                yield marker, place, behind
                place = behind
            else:
                yield marker, place, end
                place = end


def _next_marker(data: bytes, place: int) -> int:
    """Where the next marker stands that is none of a scan's own; the end of the data where there is none."""
    while (place := data.find(b"\xff", place)) != -1:
        follower = data[place + 1 : place + 2]
        if follower and follower[0] not in (0, 0xFF, *RESTARTS):
            return place
        place += 1
    return len(data)
