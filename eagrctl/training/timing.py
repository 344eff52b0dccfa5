"""How fast training takes its steps: the loop's own steps on its own data, timed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from eagrctl.checkpoint import build_network
from eagrctl.data.index import ShardIndex
from eagrctl.events import Listener, Progress, ignore
from eagrctl.inference.clock import wait_for
from eagrctl.recipe import Recipe
from eagrctl.training.batches import Batches, read_batches, steps_of
from eagrctl.training.loop import READ_EVERY
from eagrctl.training.progression import peak_memory
from eagrctl.training.step import Stepper
from eagrctl.training.world import World

WARM_UP = 5  # steps find memory, choose algorithms, and fill the queue of read samples


@dataclass(frozen=True)
class Timing:
    """What one process measured.

    Attributes:
        images: taken in the timed steps, by this process.
        seconds: that these steps took together.
        waited: seconds of them in which the process waited for data.
        memory: the most bytes it has had: of its GPU, or of the machine.
        threads: that torch computes with on the CPU.
    """

    images: int
    seconds: float
    waited: float
    memory: int
    threads: int


def time_steps(
    recipe: Recipe,
    index: ShardIndex,
    world: World,
    steps: int,
    workers: int = 0,
    micro_batch: int | None = None,
    warm_up: int = WARM_UP,
    plain: bool = False,
    meet: Callable[[], None] = lambda: None,
    task: str = "timing",
    listener: Listener = ignore,
) -> Timing:
    """Train a fresh network for some steps, after a few that do not count, and time them.

    A step is what it is in `eagrctl.training.loop`: a batch is read, augmented and learned from, and the losses are
    summed over processes. Pretrained weights, which change no time, are left out.

    Args:
        recipe: what is trained.
        index: a prepared dataset with the split train.
        world: this process's place.
        steps: that are timed.
        workers: processes that read samples.
        micro_batch: the most images at once.
        warm_up: steps that do not count.
        plain: keep the network's memory contiguous; else its channels are last, as in training.
        meet: called when warm; returns when all who are to be timed at once are.
        task: what the progress is called.
        listener: hears of progress.

    Raises:
        TrainingError: there are too few samples, or there is too little memory.
        RecipeError: the recipe describes no network.
        ShardError: a shard cannot be read.
    """
    steps_of(recipe, index)
    settings, device, total = recipe.train, world.device, warm_up + steps
    count = index.split("train").count
    epochs = math.ceil(total / (count // settings.batch))
    batches = Batches(count, settings.batch, epochs, settings.seed, share=world.share)
    torch.manual_seed(settings.seed)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    network = build_network(recipe, len(index.classes)).to(device)
    if plain:
        # The stepper's batches have their channels last, and convolutions would follow them.
        network.register_forward_pre_hook(lambda module, inputs: (inputs[0].contiguous(),))
    else:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    stepper = Stepper(recipe, network, index, world, total, micro_batch)
    loader = iter(read_batches(recipe, index, batches, world, workers))
    read_every = READ_EVERY if device.type == "cuda" else 1
    unread: list[torch.Tensor] = []
    images, waited, began = 0, 0.0, 0.0
    listener(Progress(task, 0, total))
    for step in range(total):
        if step == warm_up:
            wait_for(device)
            meet()
            images, waited, began = 0, 0.0, time.perf_counter()
        asked = time.perf_counter()
        pixels, labels, positions = next(loader)
        waited += time.perf_counter() - asked
        images += len(pixels)
        unread.append(stepper.take(pixels, labels, positions.tolist(), step, step // batches.per_epoch))
        if len(unread) == read_every:
            world.sum(torch.stack(unread).double().sum(dim=0)).cpu()
            unread.clear()
        listener(Progress(task, step + 1, total))
    wait_for(device)
    seconds = time.perf_counter() - began
    return Timing(images, seconds, waited, peak_memory(device), torch.get_num_threads())
