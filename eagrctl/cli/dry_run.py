"""`eagrctl ablate --dry-run`: what would be trained, and for how long."""

from typing import TYPE_CHECKING

from eagrctl.cli import console
from eagrctl.cli.work import Work

if TYPE_CHECKING:
    from eagrctl.paper.ablation import Ablation
    from eagrctl.paper.estimate import StepTime
    from eagrctl.paper.variants import Training
    from eagrctl.training.launch import Places


def show_plan(ablation: "Ablation", work: Work, places: "Places", timed_steps: int) -> None:
    """Print the trainings, what each changes, the steps that are left, and an estimate of their time.

    Args:
        ablation: what is planned.
        work: where it is to be done.
        places: in which processes.
        timed_steps: steps of the first network to time; 0 makes no estimate.
    """
    from eagrctl.paper.estimate import in_words

    plan, index = ablation.plan, ablation.index
    finished = all(ablation.scores(training) is not None for training in plan.trainings)
    step_time = _time(ablation, work, places, timed_steps) if timed_steps and not finished else None
    headings = ["run", "rows", "changes", "steps left", *(["GFLOPs", "time"] if step_time else [])]
    rows, total = [], 0.0
    for training in plan.trainings:
        left = ablation.steps_left(training)
        whose = "; ".join(f"{study.name} {variant.model}" for study, variant in training.rows if study in plan.studies)
        changes = ", ".join(plan.changes(training)) or "nothing"
        row = [training.name, whose, changes, f"{left:,}"]
        if step_time:
            flops, seconds = _cost(ablation, training, step_time)
            total += seconds
            row += [f"{flops / 1e9:,.4g}", in_words(seconds)]
        rows.append(row)
    title = f"{ablation.folder}: {len(rows)} trainings on {index.root}, scored on its split {ablation.split}"
    if console.table_fits(headings, rows):
        console.table(headings, rows, title)
    else:
        console.result(title)
        for name, *facts in rows:
            named = zip(headings[1:], facts, strict=True)
            console.result(f"{name}: " + "; ".join(f"{heading} {fact}" for heading, fact in named))
    if step_time:
        console.result(f"Estimated: {in_words(total)} in all. {step_time.how[0].upper()}{step_time.how[1:]}.")
    elif finished:
        console.result("Nothing is left to train or to score.")
    else:
        console.result("No time is estimated: --timed-steps times some steps.")


def _time(ablation: "Ablation", work: Work, places: "Places", steps: int) -> "StepTime":
    import torch

    from eagrctl.paper.estimate import time_steps

    first = ablation.plan.trainings[0]
    with console.progress(work.quiet) as listener:
        return time_steps(
            first.name,
            first.recipe,
            ablation.index,
            torch.device("cuda" if work.gpus else "cpu"),
            steps,
            places.processes if work.gpus else 1,
            work.micro_batch,
            listener,
        )


def _cost(ablation: "Ablation", training: "Training", step_time: "StepTime") -> tuple[int, float]:
    """FLOPs of a training's network, and the seconds it still takes; none where it is done."""
    from eagrctl.paper.estimate import flops_of

    flops = flops_of(training.recipe, ablation.index)
    if ablation.scores(training) is not None:
        return flops, 0.0
    return flops, step_time.of(training.recipe, flops, ablation.steps_left(training), ablation.index, ablation.split)
