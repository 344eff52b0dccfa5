"""The files that come with eagrctl, so that photos can be parsed without fetching anything.

Both were made with eagrctl's own commands from the training faces of CelebAMask-HQ, whose licence, non-commercial
research only, covers them; README says how.
"""

from pathlib import Path

# A checkpoint in half precision. The landmark predictor beside it is found by `eagrctl.faces.landmarks`.
NETWORK = Path(__file__).parent / "shipped" / "face-parser.safetensors"

# What commands call the network in place of a path.
NAME = "shipped"


def meant(path: Path) -> Path:
    """The network's own path where `path` is its name and nothing is called so; else `path`."""
    return NETWORK if path == Path(NAME) and not path.exists() else path
