"""`eagrctl ablate`: the paper's ablations -> trained variants, scored, in the tables of its section 4.3."""

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.device import count_gpus
from eagrctl.cli.dry_run import show_plan
from eagrctl.cli.options import RUNS, Data, Quiet
from eagrctl.cli.work import Work, announce, chosen_recipe, readers_for, start_training
from eagrctl.errors import EagrctlError

if TYPE_CHECKING:
    import torch

    from eagrctl.paper.ablation import Ablation
    from eagrctl.paper.variants import Training
    from eagrctl.training.launch import Places

ABOUT = {
    "components": "Table 1 and Figure 3: what edges, graph, reasoning and BA loss add to the baseline.",
    "deployment": "Table 2, first half: no EAGR module, one, two or three.",
    "pooling": "Table 2, second half: pooling sizes of 4 x 4, 6 x 6 and 8 x 8.",
    "complexity": "The models of Figure 4 (Baseline, Without sampling, Without graph, EAGRNet), and what they score.",
    "all": "All of these ablations; variants that they have in common are trained once.",
}

HELP = """{about}

Trains each variant as train would, from the same seed and the same pretrained weights, and scores its best checkpoint.
What was interrupted or failed goes on when the same command is given again, and what is finished is not trained again.
Variants that are the same network are trained once, by other ablations into the same folder too.

```text
eagrctl ablate {name} --gpus 4
eagrctl ablate {name} --recipe celebamask-hq-small --gpus 0
eagrctl ablate {name} --set train.epochs=20 --dry-run
```"""

app = typer.Typer(
    no_args_is_help=True,
    help="""Train and score the variants of the paper's ablations, and write its tables with our figures.

```text
eagrctl ablate components --gpus 4
eagrctl ablate all --recipe celebamask-hq-small --dry-run
```""",
    short_help="Train and score the variants of the paper's ablations.",
)


def _command(name: str) -> Callable[..., None]:
    """The command of one study, or of all."""

    def command(
        recipe: Annotated[
            str | None,
            typer.Option(
                "--recipe", "-r", metavar="NAME|PATH", help="Recipe that variants change. Default: named as the data."
            ),
        ] = None,
        data: Data = None,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output", "-o", metavar="DIR", help="Folder of runs and tables. Default: runs/ablation-RECIPE."
            ),
        ] = None,
        settings: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="Override a key of the recipe in all variants. May be repeated."
            ),
        ] = None,
        seed: Annotated[
            int | None, typer.Option("--seed", metavar="N", min=0, help="Short for --set train.seed=N.")
        ] = None,
        split: Annotated[
            str | None,
            typer.Option("--split", metavar="NAME", help="Split to score. Default: test, or val where there is none."),
        ] = None,
        faces: Annotated[
            int,
            typer.Option("--faces", metavar="N", min=0, help="Faces in the picture, always the same; 0 draws none."),
        ] = 4,
        gpus: Annotated[
            str | None,
            typer.Option("--gpus", metavar="N|all", help="GPUs to train on; 0 is the CPU. Default: one if there is."),
        ] = None,
        cpu_processes: Annotated[
            int | None,
            typer.Option("--cpu-processes", metavar="N", min=1, help="Train on the CPU, in N processes."),
        ] = None,
        micro_batch: Annotated[
            int | None,
            typer.Option(
                "--micro-batch", metavar="N", min=1, help="Images in a process's memory at once, as in train."
            ),
        ] = None,
        workers: Annotated[
            int | None,
            typer.Option("--workers", metavar="N", min=0, help="Processes that read samples, for each that trains."),
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Print the plan and its estimated time; write nothing.")
        ] = False,
        timed_steps: Annotated[
            int,
            typer.Option(
                "--timed-steps", metavar="N", min=0, help="Steps that --dry-run times for its estimate; 0 makes none."
            ),
        ] = 3,
        quiet: Quiet = False,
    ) -> None:
        from eagrctl.training.launch import Places

        overrides = [*(settings or []), *([] if seed is None else [f"train.seed={seed}"])]
        on_gpus, processes = count_gpus(gpus, cpu_processes, own=True)
        ablation = _planned(name, recipe, overrides, data, output, split)
        work = Work(
            recipe=ablation.plan.base,
            data=ablation.index.root,
            folder=ablation.folder,
            gpus=on_gpus,
            workers=readers_for(workers, on_gpus, processes),
            micro_batch=micro_batch,
            resume=False,
            quiet=quiet,
        )
        places = Places(processes)
        _check(ablation, work, places)
        if dry_run:
            show_plan(ablation, work, places, timed_steps)
            return
        try:
            failed = _train_and_score(ablation, work, places)
        except KeyboardInterrupt:
            console.message("Interrupted. The same command goes on from here.")
            raise typer.Exit(130) from None
        _show(ablation, faces, work)
        for training, reason in failed.items():
            console.error(f"{training}: {reason}")
        if failed:
            console.message("The same command tries these again, and leaves the others as they are.")
            raise typer.Exit(1)

    command.__doc__ = HELP.format(name=name, about=ABOUT[name])
    return command


for _name in ABOUT:
    app.command(_name)(_command(_name))


def _planned(
    name: str, recipe: str | None, overrides: list[str], data: Path | None, output: Path | None, split: str | None
) -> "Ablation":
    from eagrctl.paper.ablation import Ablation, default_split
    from eagrctl.paper.variants import STUDIES, plan_ablation
    from eagrctl.recipe import find_recipe

    chosen, _, index = chosen_recipe(recipe, overrides, data)
    plan = plan_ablation(find_recipe(chosen), overrides, list(STUDIES) if name == "all" else [name])
    return Ablation(plan, output or RUNS / f"ablation-{Path(chosen).stem}", index, split or default_split(index))


def _check(ablation: "Ablation", work: Work, places: "Places") -> None:
    """Find out what cannot work before anything is trained."""
    from eagrctl.training.batches import steps_of
    from eagrctl.training.step import pieces_needed
    from eagrctl.training.world import world_in_environment

    if world_in_environment():
        raise EagrctlError("ablate starts its processes itself: give it --gpus N, without torchrun or srun")
    ablation.index.split(ablation.split)
    pieces_needed(work.recipe.train.batch, places.processes, work.micro_batch)
    steps_of(work.recipe, ablation.index)
    ablation.check()


def _train_and_score(ablation: "Ablation", work: Work, places: "Places") -> dict[str, str]:
    """Bring every training to its end, and its scores into the tables.

    Returns:
        Why some failed, by name.

    Raises:
        KeyboardInterrupt: the user wants to stop.
    """
    from eagrctl.paper.ablation_rows import tables_of
    from eagrctl.paper.ablation_tables import write_tables

    failed: dict[str, str] = {}
    trainings = ablation.plan.trainings
    for number, training in enumerate(trainings, start=1):
        if ablation.scores(training) is not None:
            continue
        if not work.quiet:
            changes = ", ".join(ablation.plan.changes(training)) or "the recipe's own network"
            console.message(f"{number} of {len(trainings)}, {training.name}: {changes}")
        try:
            _train(ablation, training, work, places)
            with console.progress(work.quiet) as listener:
                ablation.evaluate(training, _device(work), listener)
        except EagrctlError as error:
            failed[training.name] = str(error)
        except Exception as error:  # a bug in one variant, or a library's error, is no reason to lose the others
            console.message(traceback.format_exc())
            failed[training.name] = f"{type(error).__name__}: {error}"
        else:
            write_tables(ablation, tables_of(ablation))
            continue
        if not work.quiet:
            console.message(f"{training.name} failed ({failed[training.name]}); going on with the others")
    return failed


def _train(ablation: "Ablation", training: "Training", work: Work, places: "Places") -> None:
    if ablation.run(training).finished():
        return
    resume = ablation.begin(training)
    own = replace(work, recipe=training.recipe, folder=ablation.run(training).folder, resume=resume)
    if not work.quiet:
        announce(own, places.processes)
    if not start_training(own, places):
        raise KeyboardInterrupt


def _show(ablation: "Ablation", faces: int, work: Work) -> None:
    """Write the tables, draw the pictures, and print what was asked for."""
    from eagrctl.paper.ablation_rows import tables_of
    from eagrctl.paper.ablation_tables import cells, conditions, headings, in_lines, write_tables

    tables = tables_of(ablation)
    written = []
    if any(row.ours for rows in tables.values() for row in rows):
        written = [*write_tables(ablation, tables), *(_draw(ablation, faces, work) if faces else ())]
    asked = {study: tables[study.name] for study in ablation.plan.studies}
    for study, rows in asked.items():
        top = headings(study, ablation.index.provenance.dataset)
        lines = [cells(study, row) for row in rows]
        if console.table_fits(top, lines):
            console.table(top, lines, study.title)
        else:
            for line in (study.title, *in_lines(study, rows, ablation.index.provenance.dataset)):
                console.result(line)
        if study.note:
            console.result(study.note)
    for line in conditions(ablation, [row for rows in asked.values() for row in rows]):
        console.result(line)
    console.written(written)


def _draw(ablation: "Ablation", faces: int, work: Work) -> list[Path]:
    from eagrctl.drawing.pictures import save_picture

    drawn = []
    for study in ablation.plan.studies:
        with console.progress(work.quiet) as listener:
            picture = ablation.picture(study, faces, _device(work), listener)
        if picture is not None:
            save_picture(picture, ablation.folder / study.picture)
            drawn.append(ablation.folder / study.picture)
    return drawn


def _device(work: Work) -> "torch.device":
    import torch

    return torch.device("cuda" if work.gpus else "cpu")
