"""Reports of made-up figures, and the golden files they are written to.

After a change of a format that is meant, `python -m eagrctl_tests.scoring.samples` writes the golden files anew: read
what git says of them before committing.
"""

import re
from pathlib import Path

import numpy as np

from eagrctl.data.labels import CELEBAMASK_HQ, HELEN, LabelSet
from eagrctl.drawing.curves import Curve, Plot
from eagrctl.scoring.boundary import Boundary
from eagrctl.scoring.examples import Example
from eagrctl.scoring.origin import Difference, Origin, RecipeComparison
from eagrctl.scoring.report import Report
from eagrctl.scoring.report.build import WRITERS

GOLDEN = Path(__file__).parent / "golden"


def counts_of(classes: int, absent: tuple[int, ...] = (), only_predicted: tuple[int, ...] = ()) -> np.ndarray:
    """A confusion matrix without any randomness: mostly right, a few pixels everywhere else."""
    rows, columns = np.mgrid[:classes, :classes]
    counts = (7 * rows + 3 * columns) % 11 + np.diag(100 * np.arange(1, classes + 1))
    counts[list(absent + only_predicted)] = 0
    counts[:, list(absent)] = 0
    return counts.astype(np.int64)


def origin_of(dataset: str) -> Origin:
    return Origin(
        dataset=dataset,
        variant="merged",
        split="test",
        split_rule="the paper's numbers",
        images=1234,
        skipped=2,
        centred=0,
        resolutions=((512, 512),),
        alignment="none: the whole frame, resized",
        settings={"paint order": "official"},
        checkpoint="a_b/best.pt (step 5,000, SHA-256 0123abcd)",
        version="0.0.0",
    )


def table_report(dataset: str, labels: LabelSet, **more: object) -> Report:
    """A report as far as tables need it."""
    return Report("eagrctl", counts_of(len(labels)), labels, origin_of(dataset), **more)  # type: ignore[arg-type]


def unpadded(text: str) -> str:
    """Markdown without what makes the columns of its tables equally wide."""
    lines = (" | ".join(cell.strip() for cell in line.strip("|").split(" | ")) for line in text.splitlines())
    return "\n".join(lines)


def maps(side: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo and two label maps, drawn with a ruler."""
    rows, columns = np.mgrid[:side, :side]
    photo = (np.stack([rows, columns, (rows + columns) / 2], axis=-1) * 250 / side).astype(np.uint8)
    unit = side // 24
    small = np.zeros((24, 24), np.uint8)
    small[4:20, 6:18], small[9:15, 11:13], small[0:4] = 1, 2, 13
    small[:, -1] = 255
    truth = np.pad(small.repeat(unit, axis=0).repeat(unit, axis=1), (0, side - 24 * unit), mode="edge")
    prediction = np.roll(truth, unit, axis=0)
    prediction[prediction == 255] = 0
    return photo, truth, prediction


def full_report() -> Report:
    """A report of CelebAMask-HQ with all there is: hats appear nowhere, necklaces are only predicted."""
    labels = CELEBAMASK_HQ
    counts = counts_of(len(labels), absent=(labels.id("hat"),), only_predicted=(labels.id("neck_l"),))
    photo, truth, prediction = maps()
    boundary = Boundary(len(labels))
    boundary.add(truth, prediction)
    epochs = (1, 2, 3)
    return Report(
        method="eagrctl",
        counts=counts,
        labels=labels,
        origin=origin_of("celebamask-hq"),
        boundary=boundary,
        examples=tuple(
            Example(kind, f"{kind} face", 0.5, photo, truth, prediction) for kind in ("best", "median", "worst")
        ),
        curves=(
            Plot("Loss, mean over the epoch", "epoch", epochs, (Curve("total", (3.0, 2.0, 1.5)),)),
            Plot("Scores", "epoch", epochs, (Curve("mean F1", (40.0, float("nan"), 60.0)),)),
        ),
        training=RecipeComparison(
            {"dataset": "celebamask-hq", "train": {"rate": 0.05}},
            "celebamask-hq",
            (Difference("train.rate", "0.05", "0.001"), Difference("train.new", "1", None)),
        ),
    )


def golden_texts() -> dict[str, str]:
    """Every golden file's name and what has to stand in it."""
    reports = {"celebamask-hq": full_report(), "helen": table_report("helen", HELEN)}
    return {
        f"{name}{ending}": without_embedded(write(report))
        for name, report in reports.items()
        for ending, write in WRITERS.items()
        if name == "celebamask-hq" or ending != ".html"
    }


def without_embedded(text: str) -> str:
    """A page without its pictures, whose bytes differ between versions of Pillow, and without style and script."""
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,...", text)
    return re.sub(r"<(style|script)>.*?</\1>", r"<\1>...</\1>", text, flags=re.DOTALL)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file, content in golden_texts().items():
        (GOLDEN / file).write_text(content, encoding="utf-8", newline="")
