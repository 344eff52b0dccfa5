from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from eagrctl.checkpoint import build_network
from eagrctl.errors import EagrctlError
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.network.eagrnet import EAGRNet
from eagrctl.recipe import Recipe

PAIRS = ((1, 2), (3, 4))


@pytest.fixture
def network(tiny_recipe: Callable[..., Recipe]) -> EAGRNet:
    return build_network(tiny_recipe(), 5).eval()


def swapped(logits: torch.Tensor) -> torch.Tensor:
    return torch.stack([logits[:, number] for number in (0, 2, 1, 4, 3)], dim=1)


@torch.inference_mode()
def test_without_views_it_is_the_network_alone(network: EAGRNet) -> None:
    images = torch.randn(2, 3, 49, 49)
    views = TestTimeAugmentation.named(None, PAIRS)
    assert torch.equal(views.logits(network, images), network(images).parsing)
    assert str(views) == ""


@torch.inference_mode()
def test_mirroring_averages_what_the_network_says_of_the_mirrored_face(network: EAGRNet) -> None:
    images = torch.randn(2, 3, 49, 49)
    mirrored = swapped(network(torch.flip(images, (3,))).parsing.flip(3))
    expected = (network(images).parsing.softmax(1) + mirrored.softmax(1)) / 2
    found = TestTimeAugmentation.named("mirror", PAIRS).logits(network, images)
    assert torch.allclose(found.exp(), expected, atol=1e-6)


@torch.inference_mode()
def test_a_mirrored_face_gets_the_mirrored_labels(network: EAGRNet) -> None:
    views = TestTimeAugmentation.named("mirror", PAIRS)
    images = torch.randn(2, 3, 49, 49)
    one, other = views.logits(network, images), views.logits(network, images.flip(3))
    assert torch.allclose(one, swapped(other.flip(3)), atol=1e-4)


@torch.inference_mode()
def test_scales_average_three_sizes_and_mirroring_all_of_them(network: EAGRNet) -> None:
    images = torch.randn(1, 3, 65, 65)
    expected = torch.zeros(1, 5, 17, 17)
    for side in (65, 49, 81):
        resized = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=True)
        for flip in (False, True):
            logits = network(resized.flip(3) if flip else resized).parsing
            logits = swapped(logits.flip(3)) if flip else logits
            expected += F.interpolate(logits, size=(17, 17), mode="bilinear", align_corners=True).softmax(1) / 6
    views = TestTimeAugmentation.named("mirror, scales", PAIRS)
    assert torch.allclose(views.logits(network, images).exp(), expected, atol=1e-5)
    assert str(views) == "mirror, scales 0.75 and 1.25"


def test_an_unknown_view_is_named() -> None:
    with pytest.raises(EagrctlError, match=r"no test-time augmentation is called 'miror' .did you mean 'mirror'"):
        TestTimeAugmentation.named("miror", ())
