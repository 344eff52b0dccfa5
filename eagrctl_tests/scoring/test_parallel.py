from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from eagrctl.arrays import Pixels
from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.index import ShardIndex
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.data.source import AlignedSample
from eagrctl.events import Notice, Progress
from eagrctl.inference.predict import Segmenter
from eagrctl.inference.tta import TestTimeAugmentation
from eagrctl.recipe import Recipe
from eagrctl.scoring.evaluate import evaluate
from eagrctl.scoring.parallel import Share, evaluate_in_processes


@pytest.fixture
def checkpoint(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> Checkpoint:
    recipe = tiny_recipe()
    network = build_network(recipe, 19)
    made = Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict())
    save_checkpoint(made, tmp_path / "a.pt")
    return made


@pytest.mark.parametrize("processes", [1, 2])
def test_any_number_of_processes_gives_the_counts_of_one(
    processes: int, checkpoint: Checkpoint, tiny_data: ShardIndex, tmp_path: Path
) -> None:
    views = TestTimeAugmentation.named("mirror", CELEBAMASK_HQ.mirrored)
    seen: dict[str, list[tuple[str, Pixels]]] = {"one": [], "many": []}

    def keep(name: str) -> Callable[[AlignedSample, Pixels], None]:
        return lambda face, prediction: seen[name].append((face.name, prediction))

    one = evaluate(Segmenter.of(checkpoint, torch.device("cpu"), views), tiny_data, "train", batch=5, each=keep("one"))
    share = Share(tmp_path / "a.pt", tiny_data.root, "train", views, 5, 0, torch.get_num_threads(), predictions=True)
    events: list[Progress | Notice] = []
    many = evaluate_in_processes(share, tiny_data, processes, events.append, keep("many"))
    assert np.array_equal(one.counts, many.counts)
    assert (one.images, one.resolutions, one.split) == (many.images, many.resolutions, many.split)
    assert [name for name, _ in seen["one"]] == [name for name, _ in seen["many"]]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(seen["one"], seen["many"], strict=True))
    assert [event.done for event in events if isinstance(event, Progress)] == [0, 5, 10, 12]
