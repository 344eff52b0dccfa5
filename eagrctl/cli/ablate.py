"""`eagrctl ablate`: the paper's ablations -> trained variants, scored, in the tables of its section 4.3."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, RUNS, ScoredSplit, argument, count_gpus, flag, option, spread
from eagrctl.cli.train import Options
from eagrctl.events import Notice

if TYPE_CHECKING:
    from eagrctl.paper.ablation import Ablation
    from eagrctl.paper.estimate import Left

Studied = Literal["components", "deployment", "pooling", "complexity", "all"]


@spread
def ablate(
    study: Annotated[Studied, argument("STUDY", "Which of the ablations, or all.")],
    options: Options,
    output: Annotated[
        Path | None, option("--output -o", "DIR", "Folder of runs and tables. Default: runs/ablation-RECIPE.")
    ] = None,
    split: ScoredSplit = None,
    faces: Annotated[int, option("--faces", "N", "Faces in the picture, always the same; 0 for none.", min=0)] = 4,
    dry_run: Annotated[bool, flag("--dry-run", "Print the plan and its estimated time; write nothing.")] = False,
    timed_steps: Annotated[
        int, option("--timed-steps", "N", "Steps that --dry-run times for its estimate; 0 makes none.", min=0)
    ] = 3,
) -> None:
    """Train and score the variants of the paper's ablations, and write its tables with our figures.

    *components* is Table 1 and Figure 3: what edges, graph, reasoning and BA loss add to the baseline. *deployment* is
    the first half of Table 2: no EAGR module, one, two or three. *pooling* is its second half: pooling sizes of 4 x 4,
    6 x 6 and 8 x 8. *complexity* scores the models of Figure 4: Baseline, Without sampling, Without graph and EAGRNet.

    Trains each variant as train would, from the same seed and the same pretrained weights, and scores its best
    checkpoint. What was interrupted or failed goes on when the same command is given again, and what is finished is not
    trained again. Variants that are the same network are trained once, by other studies into the same folder too.

    ```text
    eagrctl ablate components --gpus 4
    eagrctl ablate pooling --recipe celebamask-hq-small --gpus 0
    eagrctl ablate all --set train.epochs=20 --dry-run
    ```
    """
    from eagrctl.paper.ablate import check_ablation, train_and_score, write_results
    from eagrctl.paper.estimate import what_is_left
    from eagrctl.training.launch import Places
    from eagrctl.training.start import Work

    on_gpus, processes = count_gpus(options.gpus, options.cpu_processes)
    ablation, places = _planned(study, options, output, split), Places(processes)
    work = Work(ablation.plan.base, ablation.index.root, ablation.folder, **options.work(on_gpus, processes))
    check_ablation(ablation, work, places)
    if dry_run:
        _show_plan(ablation, *what_is_left(ablation, work, places, timed_steps))
        return
    with ablation.taken(lambda event: console.message(event.text) if isinstance(event, Notice) else None):
        try:
            failed = train_and_score(ablation, work, places)
        except KeyboardInterrupt:
            console.message("Interrupted. The same command goes on from here.", warning=True)
            raise typer.Exit(130) from None
        written = write_results(ablation, work, faces)
    _show(ablation)
    console.written(written)
    for training, reason in failed.items():
        console.error(f"{training}: {reason}")
    if failed:
        console.message("The same command tries these again, and leaves the others as they are.")
        raise typer.Exit(1)


def _planned(name: str, options: Options, output: Path | None, split: str | None) -> "Ablation":
    from eagrctl.paper.ablation import Ablation
    from eagrctl.paper.variants import STUDIES, plan_ablation
    from eagrctl.recipe import find_recipe
    from eagrctl.scoring.evaluate import default_split
    from eagrctl.training.start import recipe_and_data

    chosen, _, index = recipe_and_data(options.recipe, options.data, options.overrides, DATA)
    plan = plan_ablation(find_recipe(chosen), options.overrides, list(STUDIES) if name == "all" else [name])
    return Ablation(plan, output or RUNS / f"ablation-{Path(chosen).stem}", index, split or default_split(index))


def _show(ablation: "Ablation") -> None:
    """Print the tables of the studies asked for."""
    from eagrctl.paper.ablation_tables import cells, conditions, headings, tables_of

    tables, dataset = tables_of(ablation), ablation.index.provenance.dataset
    for study in ablation.plan.studies:
        console.table(headings(study, dataset), cells(study, tables[study.name]), study.title)
        if study.note:
            console.result(study.note)
    for line in conditions(ablation, {study.name: tables[study.name] for study in ablation.plan.studies}):
        console.result(line)


def _show_plan(ablation: "Ablation", left: "list[Left]", how: str) -> None:
    """Print the trainings, what each changes, the steps that are left, and an estimate of their time."""
    from eagrctl.paper.estimate import in_words

    plan = ablation.plan
    headings = ["run", "rows", "changes", "steps left", *(["GFLOPs", "time"] if how else [])]
    rows = []
    for each in left:
        training = each.training
        whose = "; ".join(f"{study.name} {variant.model}" for study, variant in training.rows if study in plan.studies)
        row = [training.name, whose, ", ".join(plan.changes(training)) or "nothing", f"{each.steps:,}"]
        if each.seconds is not None:
            row += [f"{each.flops / 1e9:,.4g}", in_words(each.seconds)]
        rows.append(row)
    title = f"{ablation.folder}: {len(rows)} trainings on {ablation.index.root}, scored on its split {ablation.split}"
    console.table(headings, rows, title)
    if how:
        total = sum(each.seconds or 0.0 for each in left)
        console.result(f"Estimated: {in_words(total)} in all. {how[0].upper()}{how[1:]}.")
    elif all(ablation.scores(each.training) is not None for each in left):
        console.result("Nothing is left to train or to score.")
    else:
        console.result("No time is estimated: --timed-steps times some steps.")
