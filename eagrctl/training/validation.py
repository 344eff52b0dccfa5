"""Scores on the validation split while training, in as many processes as train."""

import threading

import torch

from eagrctl.data.index import ShardIndex
from eagrctl.events import Listener
from eagrctl.inference.predict import Segmenter
from eagrctl.scoring.evaluate import evaluate
from eagrctl.scoring.scores import Scores, score
from eagrctl.training.interrupts import StoppedError, until
from eagrctl.training.world import World


def validate(
    predictor: Segmenter, index: ShardIndex, world: World, interrupted: threading.Event, listener: Listener
) -> Scores | None:
    """Score the split val; each process predicts its share of it, and all of them learn the scores.

    Args:
        predictor: the network.
        index: the prepared dataset.
        world: the processes.
        interrupted: set where this process is to stop.
        listener: hears of progress.

    Returns:
        The scores; None where any process was interrupted.

    Raises:
        ShardError: a shard cannot be read.
    """
    own = world.share(range(index.split("val").count))
    counts = torch.zeros(len(index.classes), len(index.classes), dtype=torch.int64)
    stopped = torch.zeros(1)
    try:
        counted = evaluate(predictor, index, "val", positions=own, listener=until(interrupted, listener))
        counts = torch.from_numpy(counted.counts)
    except StoppedError:
        stopped += 1
    # All processes come here, interrupted or not, and leave together.
    if float(world.sum(stopped)) > 0:
        return None
    return score(world.sum(counts).cpu().numpy(), index.labels)
