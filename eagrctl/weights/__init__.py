"""Other people's weights: recognised, converted exactly or refused, fetched; and the network that eagrctl ships.

That network, in half precision, and the detector in `eagrctl.faces` were made with eagrctl's own commands. The data
that they learnt from is for non-commercial research only, and so are they.
"""

from pathlib import Path

from eagrctl.errors import CheckpointError

SHIPPED = "shipped"  # what commands call the network in place of a path
NETWORK = Path(__file__).parent / "shipped" / "face-parser.safetensors"


def meant(given: Path | None) -> Path:
    """The shipped network where nothing is given, or its name and no file has that name; else what is given.

    Raises:
        CheckpointError: eagrctl was installed without it.
    """
    if given is not None and (given != Path(SHIPPED) or given.exists()):
        return given
    if not NETWORK.is_file():
        raise CheckpointError("this eagrctl comes without its network: name a checkpoint, or install it again")
    return NETWORK
