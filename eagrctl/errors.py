"""Everything eagrctl raises on purpose.

A message says what was wrong, where, and what to do about it, in one line. The command line prints
that line and exits with status 1; anything else that escapes is a bug and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class EagrctlError(Exception):
    """Base of every error that a user can mend."""


class RecipeError(EagrctlError):
    """A recipe cannot be found, read or built, or a key of it is unknown, missing or mistyped."""


class DataError(EagrctlError):
    """Something is wrong with a dataset."""


class SourceError(DataError):
    """A raw dataset, or one of its files, is missing or not what its format promises."""


class AlignmentError(DataError):
    """Landmarks cannot be found, or determine no alignment."""


class NoFaceError(AlignmentError):
    """A face has no landmarks, and is to be left out, as the user asked."""


class ShardError(DataError):
    """A prepared dataset is missing, damaged, or changed since it was indexed."""


class CheckpointError(EagrctlError):
    """A checkpoint is missing, malformed, or does not fit."""


class FollowedError(EagrctlError):
    """The first of several processes has failed, and tells the user why; this one ends with it and says nothing."""


class TrainingError(EagrctlError):
    """Training cannot start or cannot go on."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """For a message about an unknown word: the candidate that was probably meant, in brackets, or nothing."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
