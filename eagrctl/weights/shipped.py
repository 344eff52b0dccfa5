"""The files that come with eagrctl, so that photos can be parsed without fetching anything.

Both were made with eagrctl's own commands from the training faces of CelebAMask-HQ, whose licence, non-commercial
research only, covers them; README says how.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent / "shipped"

# A checkpoint in half precision.
NETWORK = _FOLDER / "face-parser.safetensors"

# dlib's point predictor with five points.
POINTS = _FOLDER / "five-points.dat"

# What commands call the network in place of a path.
NAME = "shipped"
