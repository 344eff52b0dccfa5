"""An ablation from its beginning to its end: every variant trained and scored, tables written, pictures drawn."""

import traceback
from dataclasses import replace
from pathlib import Path

from eagrctl.drawing.chart import save_chart
from eagrctl.errors import EagrctlError
from eagrctl.paper.ablation import Ablation
from eagrctl.paper.ablation_tables import tables_of, write_tables
from eagrctl.paper.variants import Training
from eagrctl.training.launch import Places
from eagrctl.training.start import Work, start_training
from eagrctl.training.world import world_in_environment


def check_ablation(ablation: Ablation, work: Work, places: Places) -> None:
    """Find out what cannot work before anything is trained.

    Raises:
        EagrctlError: something cannot.
    """
    if world_in_environment():
        raise EagrctlError("ablate starts its processes itself: give it --gpus N, without torchrun or srun")
    ablation.index.split(ablation.split)
    work.check(places.processes)
    ablation.check()


def train_and_score(ablation: Ablation, work: Work, places: Places) -> dict[str, str]:
    """Bring every training to its end, and its scores into the tables. What is finished is left as it is.

    `work` says where it is done; each training has a recipe and a folder of its own.

    Returns:
        Why some failed, by name; the others have been trained all the same.

    Raises:
        KeyboardInterrupt: the user wants to stop.
    """
    failed: dict[str, str] = {}
    trainings = ablation.plan.trainings
    for number, training in enumerate(trainings, start=1):
        if ablation.scores(training) is not None:
            continue
        changes = ", ".join(ablation.plan.changes(training)) or "the recipe's own network"
        work.tell(f"{number} of {len(trainings)}, {training.name}: {changes}")
        try:
            _train(ablation, training, work, places)
            with work.drawing() as listener:
                ablation.evaluate(training, work.device, listener)
        except EagrctlError as error:
            failed[training.name] = str(error)
        except Exception as error:  # a bug in one variant, or a library's error, does not lose the others
            work.tell(traceback.format_exc(), warning=True)
            failed[training.name] = f"{type(error).__name__}: {error}"
        else:
            write_tables(ablation, tables_of(ablation))
            continue
        work.tell(f"{training.name} failed ({failed[training.name]}); going on with the others")
    return failed


def write_results(ablation: Ablation, work: Work, faces: int) -> list[Path]:
    """Write the tables of what is finished, and pictures of so many faces unless 0; nothing where nothing is.

    Returns:
        The files.
    """
    tables = tables_of(ablation)
    if all(table["miou"].isna().all() for table in tables.values()):
        return []
    written = write_tables(ablation, tables)
    for study in ablation.plan.studies if faces else ():
        with work.drawing() as listener:
            picture = ablation.picture(study, faces, work.device, listener)
        if picture is not None:
            save_chart(picture, ablation.folder / study.picture)
            written.append(ablation.folder / study.picture)
    return written


def _train(ablation: Ablation, training: Training, work: Work, places: Places) -> None:
    if ablation.run(training).finished():
        return
    resume = ablation.begin(training)
    own = replace(work, recipe=training.recipe, folder=ablation.run(training).folder, resume=resume)
    own.announce(places.processes)
    if not start_training(own, places):
        raise KeyboardInterrupt
