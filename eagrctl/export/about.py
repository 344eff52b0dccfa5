"""What an exported network says about itself, for those who have the file and nothing else."""

from pathlib import Path
from typing import Any

from eagrctl import __version__
from eagrctl.checkpoint import Checkpoint
from eagrctl.data.align import TEMPLATE, WEIGHTS
from eagrctl.data.labels import label_set_of
from eagrctl.files import sha256_of
from eagrctl.recipe import InputRecipe

# Where a program of torch's keeps it.
METADATA_FILE = "metadata.json"

LANDMARKS = (
    "centre of the eye on the viewer's left",
    "centre of the eye on the viewer's right",
    "tip of the nose",
    "corner of the mouth on the viewer's left",
    "corner of the mouth on the viewer's right",
)


def about_export(checkpoint: Checkpoint, source: Path, recipe: InputRecipe) -> dict[str, Any]:
    """The metadata of a network that comes from the file `source` and is exported for the input `recipe`, as JSON."""
    size, grid = recipe.size, -(-recipe.size // 4)
    about = {
        "description": "Face parsing: EAGRNet (Te et al., ECCV 2020), exported by eagrctl",
        "eagrctl": __version__,
        "checkpoint": source.name,
        "checkpoint_sha256": sha256_of(source),
        "dataset": checkpoint.dataset,
        "classes": list(checkpoint.classes),
        "colours": [list(colour) for colour in label_set_of(checkpoint.dataset, checkpoint.classes).colours],
        "input": {
            "name": "image",
            "shape": ["batch", size, size, 3],
            "type": "uint8",
            "channels": "RGB",
            "range": [0, 255],
            "resize": "stretch the face's square to the input with every pixel weighed in where it shrinks, as "
            "Pillow's Image.resize does (bicubic)",
            "inside": {"scale": 1 / 255, "mean": list(recipe.mean), "std": list(recipe.std)},
            "trained_size": checkpoint.recipe.input.size,
        },
        "outputs": {
            "labels": {"shape": ["batch", size, size], "type": "uint8", "values": "ids, positions in classes"},
            "logits": {
                "shape": ["batch", len(checkpoint.classes), grid, grid],
                "type": "float32",
                "resize": "bilinear, corners aligned with the image's; then the largest of a pixel is its class",
            },
        },
        "alignment": {
            "landmarks": list(LANDMARKS),
            "template": TEMPLATE.tolist(),
            "weights": WEIGHTS.tolist(),
            "how": "where the landmarks are to lie, as x and y in fractions of the input's side; a similarity (turn, "
            "scale, shift) takes a face there, by least squares with these weights; frames begin at the corner of "
            "their first pixel; without landmarks, show a face framed as in CelebAMask-HQ",
        },
        "scores_on_validation": dict(checkpoint.scores),
        "origin": checkpoint.origin,
        "card": checkpoint.card,
    }
    return {key: value for key, value in about.items() if value not in ("", {})}
