import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eagrctl.checkpoint import build_network
from eagrctl.data.align import resize_matrix
from eagrctl.data.dataset import normalise
from eagrctl.data.index import ShardIndex
from eagrctl.geometry import compose
from eagrctl.inference.predict import Segmenter, labels_in_source
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.recipe import Recipe


def naive(logits: np.ndarray, matrix: np.ndarray, size: int, source_size: tuple[int, int]) -> np.ndarray:
    """Interpolate pixel by pixel between the four logits around it."""
    _, height, width = logits.shape
    labels = np.zeros(source_size, np.uint8)
    for row in range(source_size[0]):
        for column in range(source_size[1]):
            x, y = matrix @ [column, row, 1]
            if not (-0.5 < x < size - 0.5 and -0.5 < y < size - 0.5):
                continue
            across = min(max(x * (width - 1) / (size - 1), 0), width - 1)
            down = min(max(y * (height - 1) / (size - 1), 0), height - 1)
            left, top = min(int(across), width - 2), min(int(down), height - 2)
            right, below = across - left, down - top
            here = (
                logits[:, top, left] * (1 - right) * (1 - below)
                + logits[:, top, left + 1] * right * (1 - below)
                + logits[:, top + 1, left] * (1 - right) * below
                + logits[:, top + 1, left + 1] * right * below
            )
            labels[row, column] = here.argmax()
    return labels


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_logits_are_interpolated_where_the_matrix_says(angle: float) -> None:
    torch.manual_seed(1)
    logits = torch.randn(4, 7, 7)
    turn = np.array([[math.cos(angle), -math.sin(angle), 3.0], [math.sin(angle), math.cos(angle), -2.0]])
    matrix = compose(turn, resize_matrix((30, 40), 25))
    ours = labels_in_source(logits, matrix, 25, (30, 40))
    assert ours.dtype == np.uint8
    # Two classes can be equal to the last bit, where rounding decides.
    assert (ours == naive(logits.numpy(), matrix, 25, (30, 40))).mean() > 0.998


def test_outside_the_crop_everything_is_background() -> None:
    logits = torch.zeros(3, 5, 5)
    logits[2] = 1
    matrix = np.array([[1.0, 0, -10], [0, 1.0, -10]])  # the crop covers pixels 10 to 26
    labels = labels_in_source(logits, matrix, 17, (40, 40))
    expected = np.zeros((40, 40), np.uint8)
    expected[10:27, 10:27] = 2
    assert np.array_equal(labels, expected)


def test_in_its_own_frame_a_prediction_is_the_argmax_of_the_resized_logits(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe("input.size=65")
    network = build_network(recipe, 19)
    faces = [tiny_data.read("val", number) for number in range(3)]
    predictor = Segmenter(network, recipe.input, torch.device("cpu"))
    predicted = predictor.predict([face.image for face in faces], [np.eye(2, 3)] * 3, [(65, 65)] * 3)
    images = torch.stack([torch.from_numpy(face.image).permute(2, 0, 1) for face in faces])
    with torch.no_grad():
        logits = network(normalise(images, recipe.input.mean, recipe.input.std)).parsing
    resized = F.interpolate(logits, size=(65, 65), mode="bilinear", align_corners=True)
    for ours, expected in zip(predicted, resized.argmax(1), strict=True):
        assert (ours == expected.numpy()).mean() > 0.998


def test_predicting_sets_evaluation_mode(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    network = build_network(recipe, 19).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    face = tiny_data.read("val", 0)
    Segmenter(network, recipe.input, torch.device("cpu")).predict([face.image], [face.matrix], [(64, 64)])
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_what_runs_is_rewritten_and_gives_the_network_s_own_logits(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    images = [tiny_data.read("val", number).image for number in range(3)]
    ours = Segmenter(network, recipe.input, torch.device("cpu")).logits(images)
    plain = Segmenter(network, recipe.input, torch.device("cpu"), rewrite=False).logits(images)
    assert not torch.equal(ours, plain)  # rounding tells which of them ran
    assert torch.allclose(ours, plain, atol=1e-4 * float(plain.abs().max()))


def test_at_other_scales_and_mirrored_they_are_the_same(
    tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    images = [tiny_data.read("val", number).image for number in range(2)]
    views = TestTimeAugmentation(mirror=True, scales=True)
    ours, plain = (
        Segmenter(network, recipe.input, torch.device("cpu"), views, rewrite=rewrite).logits(images)
        for rewrite in (True, False)
    )
    assert torch.allclose(ours.exp(), plain.exp(), atol=1e-4)


def test_weights_that_change_later_do_not_reach_it(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    images = [tiny_data.read("val", number).image for number in range(2)]
    ours = Segmenter(network, recipe.input, torch.device("cpu"))
    before = ours.logits(images)
    network.load_state_dict(build_network(recipe, 19).state_dict())
    assert torch.equal(ours.logits(images), before)
    assert not torch.allclose(Segmenter(network, recipe.input, torch.device("cpu")).logits(images), before)


def test_another_precision_differs_by_its_rounding(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    images = [tiny_data.read("val", number).image for number in range(2)]
    whole = Segmenter(network, recipe.input, torch.device("cpu")).logits(images)
    half = Segmenter(network, recipe.input, torch.device("cpu"), precision=torch.bfloat16).logits(images)
    assert 0 < float((half - whole).abs().max()) < 0.1 * float(whole.abs().max())
