"""What of a recipe cannot act in the run at hand, told before hours are spent on it."""

from eagrctl.recipe import Recipe
from eagrctl.training.batches import rate_at

LOOKED_AT = 1000  # steps, spread evenly over the run
LEAST_RATE = 1e-7  # about float32's resolution: a smaller step leaves weights as they are


def doubts(recipe: Recipe, steps: int, gpu: bool) -> list[str]:
    """Sentences on what has no effect, or an effect that nobody wants; none where all is well.

    Args:
        recipe: of the run.
        steps: of the whole run.
        gpu: whether it is trained on one.
    """
    settings, found = recipe.train, []
    looked_at = range(0, steps, max(1, steps // LOOKED_AT))
    rates = [rate_at(step, steps, settings.rate, settings.power, settings.warm_up) for step in looked_at]
    small = sum(rate < settings.rate / 100 for rate in rates) / len(rates)
    if settings.warm_up >= steps:
        found.append(
            f"train.warm_up is {settings.warm_up:,} steps, and the run has {steps:,}: the learning rate never gets "
            f"above {max(rates):.1e}, where train.rate is {settings.rate:.1e}"
        )
    elif small > 0.5:
        found.append(
            f"for {small:.0%} of the run, train.power and train.warm_up keep the learning rate below a hundredth of "
            "train.rate"
        )
    if max(rates) < LEAST_RATE:
        found.append(f"the learning rate never gets above {max(rates):.1e}, at which weights stay as they are")
    if settings.precision != "float32" and not gpu:
        found.append(f'train.precision is "{settings.precision}", which acts on GPUs only: this trains in float32')
    return found
