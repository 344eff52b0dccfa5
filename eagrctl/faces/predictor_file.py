"""A landmark predictor's file is checked before dlib reads it: dlib believes it, and an index beyond a list is a crash.

dlib writes a `shape_predictor` as: a version; the mean shape, as a column of x and y; forests, each a list of trees;
for each forest the pixels that it compares, which lie beside points of the shape: the number of the point, then x and y
of the distance. A tree has splits (two pixels and a threshold) and leaves, one more than splits and each as tall as the
shape. A list begins with its length, a matrix with rows and columns, both negative.

A whole number is a byte (its sign, and how many bytes follow) and its bytes, lowest first; a fraction is two of those,
mantissa and exponent. Only what dlib writes of finite float32 below 256 passes, which all that it trains are.
"""

import re

from eagrctl.errors import AlignmentError

POINTS = 1000  # at most; no published predictor has 200

_WHOLE = rb"(?:\x01.|\x02..|\x03...|\x04....)"
_FRACTION = rb"(?:(?:[\x03\x83]...|[\x02\x82]..|[\x01\x81].)(?:\x81.|\x01\x00)|\x01\x00\x01\x28)"  # the last is 0


class _WrongError(Exception):
    """What is wrong."""


def check_predictor(content: bytes, name: object) -> None:
    """Refuse what is not a whole landmark predictor of dlib, or would have it read beyond one of its lists.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        AlignmentError: it is not one.
    """
    try:
        _check(_Reader(content))
    except (_WrongError, OverflowError) as wrong:  # more of something than a pattern can say
        raise AlignmentError(
            f"{name} is not dlib's landmark predictor ({wrong}): name another with --predictor or EAGRCTL_PREDICTOR"
        ) from None


class _Reader:
    """Takes one thing after another off the content of a file."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, pattern: bytes, times: int = 1) -> bytes:
        """What fits a pattern so many times."""
        found = re.compile(rb"(?:%b){%d}+" % (pattern, times), re.DOTALL).match(self.content, self.at)
        if found is None:
            raise _WrongError(f"not what belongs there, at byte {self.at:,}")
        self.at = found.end()
        return found[0]

    def count(self) -> int:
        """A number that is not negative."""
        return _number(self.take(_WHOLE))

    def counts(self, what: str, times: int) -> None:
        """A list's length, which has to be so many."""
        if (found := self.count()) != times:
            raise _WrongError(f"{found:,} {what} in place of {times:,}, before byte {self.at:,}")


def _number(token: bytes) -> int:
    return int.from_bytes(token[1:], "little")


def _check(file: _Reader) -> None:
    file.counts("as its version", 1)
    shape = file.take(rb"\x81.|\x82..")
    points, odd = divmod(_number(shape), 2)
    if odd or not 2 <= points <= POINTS:
        raise _WrongError(f"a shape of {_number(shape):,} coordinates")
    matrix = re.escape(shape + b"\x81\x01") + rb"(?:%b){%d}+" % (_FRACTION, 2 * points)
    file.at -= len(shape)
    file.take(matrix)
    forests = file.count()
    pixels = []  # that each forest asks for: one more than the highest number
    for _ in range(forests):
        highest = -1
        for _ in range(file.count()):
            splits = file.count()
            found = file.take(_WHOLE + _WHOLE + _FRACTION, splits)
            highest = max(highest, *map(_number, _compared(found)), -1)
            file.counts("leaves", splits + 1)
            file.take(matrix, splits + 1)
        pixels.append(highest + 1)
    file.counts("lists of points", forests)
    listed = []
    for _ in range(forests):
        listed.append(file.count())
        anchors = re.findall(_WHOLE, file.take(_WHOLE, listed[-1]), re.DOTALL)
        if max(map(_number, anchors), default=0) >= points:
            raise _WrongError(f"a pixel beside point {max(map(_number, anchors)):,} of {points}")
    file.counts("lists of distances", forests)
    for asked, there in zip(pixels, listed, strict=True):
        file.counts("distances", there)
        file.take(_FRACTION * 2, there)
        if asked > there:
            raise _WrongError(f"pixel {asked - 1:,} of {there:,}")
    if file.at != len(file.content):
        raise _WrongError("more behind its end")


def _compared(splits: bytes) -> list[bytes]:
    """The numbers of the pixels that splits compare."""
    pairs = re.findall(rb"(%b)(%b)%b" % (_WHOLE, _WHOLE, _FRACTION), splits, re.DOTALL)
    return [token for pair in pairs for token in pair]
