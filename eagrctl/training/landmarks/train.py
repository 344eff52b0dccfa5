"""dlib's landmark predictor, trained on the landmarks of labelled faces.

It learns where, in the box that dlib's own detector gives, the eyes, the nose and the corners of the mouth are
(`eagrctl.training.landmarks.label_landmarks`). Its five points are the landmarks in our order, unlike those of dlib's
5-point file.

dlib trains in one call that ignores interrupts. So it runs in a separate process, which is stopped from outside and
reports its progress.
"""

import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from eagrctl.data.index import ShardIndex
from eagrctl.errors import AlignmentError, DataError
from eagrctl.events import Listener, Progress, ignore
from eagrctl.faces.landmarks import DlibLandmarks
from eagrctl.files import replacing
from eagrctl.training.landmarks.examples import LandmarkExample, examples

# Pixels are compared within the landmarks' bounding box, and this share of it around: the box alone excludes the outer
# halves of the eyes. On the same faces 0 was worse (4.6 % of the eyes' distance instead of 3.9), and so was 0.4 (4.3).
PADDING = 0.2

# How close together the two pixels of a comparison are; dlib's own 0.1 was slightly worse.
CLOSENESS = 0.05


@dataclass(frozen=True)
class PredictorOptions:
    """How a predictor is trained; dlib's own words are in brackets."""

    depth: int = 4  # of each tree: twice as many leaves, twice the size of the file (tree_depth)
    cascades: int = 20  # corrections that follow each other, each a forest (cascade_depth)
    trees: int = 200  # in each forest (num_trees_per_cascade_level)
    rate: float = 0.1  # how much of its error a tree corrects (nu)
    tests: int = 60  # splits that are tried for each node of a tree (num_test_splits)
    pixels: int = 800  # from which a forest picks the pairs that it compares (feature_pool_size)
    starts: int = 3  # shapes that each face is approached from (oversampling_amount)
    copies: int = 1  # of each face, in another light and another box
    mirror: bool = True  # whether each face and its copies are also shown mirrored
    threads: int = 1  # of dlib
    seed: int = 0  # of all that is random


def fit(faces: list[LandmarkExample], options: PredictorOptions) -> Any:
    """Train on faces held in memory; a dlib.shape_predictor."""
    import dlib

    asked = dlib.shape_predictor_training_options()
    asked.tree_depth, asked.cascade_depth = options.depth, options.cascades
    asked.num_trees_per_cascade_level, asked.nu = options.trees, options.rate
    asked.num_test_splits, asked.feature_pool_size = options.tests, options.pixels
    asked.oversampling_amount, asked.num_threads = options.starts, options.threads
    asked.random_seed, asked.be_verbose = str(options.seed), True
    asked.feature_pool_region_padding, asked.lambda_param = PADDING, CLOSENESS
    if options.mirror:
        faces = [*faces, *(face.mirrored() for face in faces)]
    random = np.random.default_rng(options.seed)
    faces = [*faces, *(face.varied(random) for _ in range(options.copies) for face in faces)]
    shown = [
        dlib.full_object_detection(
            dlib.rectangle(*(round(float(edge)) for edge in face.box)),
            dlib.points([dlib.point(round(float(x)), round(float(y))) for x, y in face.landmarks]),
        )
        for face in faces
    ]
    return dlib.train_shape_predictor([face.image for face in faces], [[detection] for detection in shown], asked)


def train_predictor(
    root: Path, split: str, output: Path, options: PredictorOptions | None = None, listener: Listener = ignore
) -> Path:
    """Train a predictor on the faces of a prepared dataset's split, and write it; whole or not at all.

    Raises:
        DataError: the dataset is unfit, has no face that shows all landmarks, or the process that trained was killed.
    """
    with replacing(output) as temporary:
        context = get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        options = options or PredictorOptions()
        process = context.Process(target=_train_alone, args=(root, split, temporary, options, sender), daemon=True)
        process.start()
        sender.close()
        try:
            last = _listen(receiver, listener, options.cascades * options.trees)
            process.join()
        finally:
            process.kill()
            process.join()
        if process.exitcode not in (0, _UNWRITTEN):
            raise DataError(
                f"the process that trained ended early (exit code {process.exitcode}{last and f': {last}'}): "
                "if memory ran short, ask for fewer --starts"
            )
        with suppress(AlignmentError):  # of a file that was cut short
            if process.exitcode == 0:
                DlibLandmarks(temporary)
                return output
        raise DataError(f"{output} could not be written whole: is the disk full?")


_FITTING = "fitting"  # What the process that trains sends last, before dlib's own lines take the pipe over.
_UNWRITTEN = 74  # Its exit code where it had a predictor and could not write it.


def _train_alone(root: Path, split: str, path: Path, options: PredictorOptions, sender: Connection) -> None:
    # An interrupt is the parent's to handle, and when it is gone, the next line that dlib writes ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        faces = list(examples(ShardIndex.load(root), split, sender.send))
        if not faces:
            raise DataError(f"no face of {root}, split {split}, shows both eyes, nose and mouth: give other data")
        sender.send(_FITTING)
        for standard in (1, 2):
            os.dup2(sender.fileno(), standard)
    except DataError as error:
        sender.send(error)
        return
    predictor = fit(faces, options)
    try:
        predictor.save(str(path))
    except RuntimeError:
        sys.exit(_UNWRITTEN)


def _listen(receiver: Connection, listener: Listener, trees: int) -> str:
    """Hear the process out: its events, then the lines in which dlib counts the trees that it has fitted.

    Gives the last line, which says what went wrong if anything did.
    """
    try:
        while (event := receiver.recv()) != _FITTING:
            if isinstance(event, DataError):
                raise event
            listener(event)
    except EOFError:
        return ""
    rest, task = b"", "fitting trees"
    listener(Progress(task, 0, trees))
    while piece := os.read(receiver.fileno(), 4096):
        rest = (rest + piece)[-1000:]
        counts = re.findall(rb"Progress: (\d+)/", rest)
        if counts:
            listener(Progress(task, int(counts[-1]), trees))
    listener(Progress(task, trees, trees))
    return rest.decode(errors="replace").strip().rpartition("\n")[2]
