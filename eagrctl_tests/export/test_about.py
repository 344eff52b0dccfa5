import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eagrctl import __version__
from eagrctl.checkpoint import load_checkpoint
from eagrctl.data.align import align_matrix
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.export.exported import TorchNetwork
from eagrctl.export.network import about_export
from eagrctl_tests.export.exports import noise, plainly


def test_it_says_what_the_file_takes_and_gives(tiny_checkpoint: Path, exported_torch: Path) -> None:
    loaded = load_checkpoint(tiny_checkpoint)
    about = about_export(loaded, tiny_checkpoint, loaded.recipe.input)
    assert about["eagrctl"] == __version__
    assert about["classes"] == list(CELEBAMASK_HQ.names)
    assert about["colours"] == [list(colour) for colour in CELEBAMASK_HQ.colours]
    assert about["checkpoint_sha256"] == hashlib.sha256(tiny_checkpoint.read_bytes()).hexdigest()
    assert about["scores_on_validation"] == {"mean_f1": 0.5}
    labels, logits = TorchNetwork(exported_torch)(noise(2, 49))
    for name, found in (("labels", labels), ("logits", logits)):
        assert about["outputs"][name]["shape"] == ["batch", *found.shape[1:]]
        assert about["outputs"][name]["type"] == str(found.dtype)
    assert json.loads(json.dumps(about)) == about


@pytest.mark.parametrize("size", [33, 48, 49, 50, 51, 66])
def test_the_grid_of_the_logits_is_known_for_every_size(tiny_checkpoint: Path, size: int) -> None:
    loaded = load_checkpoint(tiny_checkpoint)
    about = about_export(loaded, tiny_checkpoint, replace(loaded.recipe.input, size=size))
    _, logits = plainly(tiny_checkpoint, noise(1, size), size)
    assert about["outputs"]["logits"]["shape"][1:] == list(logits.shape[1:])
    assert about["input"]["trained_size"] == 49


def test_what_is_unknown_is_left_out(tiny_checkpoint: Path) -> None:
    loaded = load_checkpoint(tiny_checkpoint)
    bare = about_export(replace(loaded, card="", scores={}), tiny_checkpoint, loaded.recipe.input)
    assert not {"card", "origin", "scores_on_validation"} & set(bare)
    names = tuple(f"part {number}" for number in range(19))
    mine = about_export(replace(loaded, dataset="mine", classes=names), tiny_checkpoint, loaded.recipe.input)
    assert mine["classes"] == list(names)
    assert len({tuple(colour) for colour in mine["colours"]}) == 19


def test_the_alignment_can_be_repeated_from_what_it_says(tiny_checkpoint: Path) -> None:
    loaded = load_checkpoint(tiny_checkpoint)
    alignment = about_export(loaded, tiny_checkpoint, loaded.recipe.input)["alignment"]
    template, weights = np.array(alignment["template"]), np.array(alignment["weights"])
    assert len(alignment["landmarks"]) == len(template) == len(weights) == 5
    points = np.array([[30.0, 40], [62, 44], [47, 60], [33, 75], [60, 78]])
    # Weighted least squares over a, b, x, y of [[a, -b, x], [b, a, y]], from corner to corner.
    rows, wanted = [], []
    for (x, y), (u, v), weight in zip(points + 0.5, template * 49, np.sqrt(weights), strict=True):
        rows += [weight * np.array([x, -y, 1, 0]), weight * np.array([y, x, 0, 1])]
        wanted += [weight * u, weight * v]
    a, b, x, y = np.linalg.lstsq(np.array(rows), np.array(wanted))[0]
    corner = np.array([[a, -b, x], [b, a, y]])
    centre = corner + np.array([[0, 0, 0.5 * (a - b) - 0.5], [0, 0, 0.5 * (a + b) - 0.5]])
    np.testing.assert_allclose(centre, align_matrix(points, 49), atol=1e-9)
