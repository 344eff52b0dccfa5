"""The paper's tables, as printed, in percent; None where the paper prints a dash."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column's heading in the paper, and the class, region or mean of ours that it shows."""

    heading: str
    score: str


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper.

    Attributes:
        number: in the paper.
        dataset: what its figures were measured on, in words.
        lines: the columns; a table too wide for the page has two lines.
        rows: (method, values in the order of the columns, line after line).
    """

    number: int
    dataset: str
    lines: tuple[tuple[Column, ...], ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]


MEAN = "mean"  # the score of a column that shows the mean F1 over all classes but the background


def _table(number: int, dataset: str, text: str) -> PublishedTable:
    """A table from its text: a block for each of its lines, with our names of the scores under the headings."""
    blocks = [[re.split(" {2,}", row) for row in block.splitlines()] for block in text.strip().split("\n\n")]
    lines = tuple(tuple(map(Column, headings[1:], scores[1:])) for headings, scores, *_ in blocks)
    rows = tuple(
        (parts[0][0], tuple(None if cell == "-" else float(cell) for part in parts for cell in part[1:]))
        for parts in zip(*(block[2:] for block in blocks), strict=True)
    )
    return PublishedTable(number, dataset, lines, rows)


TABLE_3 = _table(
    3,
    "Helen's test split of 100 images",
    """
Methods          Skin  Nose      U-lip      I-mouth      L-lip  Eyes  Brows  Mouth  Overall
Scores           skin  nose  upper lip  inner mouth  lower lip  eyes  brows  mouth  overall
Liu et al. [6]   92.1  93.0       74.3         79.2       81.7  86.8   77.0   89.1     88.6
Lin et al. [4]   94.5  95.6       79.6         86.7       89.8  89.6   83.1   95.0     92.4
Wei et al. [38]  95.6  95.2       80.0         86.7       86.4  89.0   82.6   93.6     91.7
Yin et al. [5]      -  96.3       82.4         85.6       86.6  89.5   84.8   92.8     91.0
Liu et al. [33]  94.9  95.8       83.7         89.1       91.4  89.8   83.5   96.1     93.1
EAGRNet (paper)  94.6  96.1       83.6         89.8       91.0  90.2   84.9   95.5     93.2
""",
)

TABLE_4 = _table(
    4,
    "CelebAMask-HQ's test split of 2,824 images",
    """
Methods           Face  Nose  Glasses  L-Eye  R-Eye  L-Brow  R-Brow  L-Ear  R-Ear  Mean
Scores            skin  nose    eye_g  l_eye  r_eye  l_brow  r_brow  l_ear  r_ear  mean
Zhao et al. [35]  94.8  90.3     75.8   79.9   80.1    77.3    78.0   75.6   73.1  76.2
Lee et al. [1]    95.5  85.6     92.9   84.3   85.2    81.4    81.2   84.9   83.1  80.3
EAGRNet (paper)   96.2  94.0     92.3   88.6   88.7    85.7    85.2   88.0   85.7  85.1

Methods           I-Mouth  U-Lip  L-Lip  Hair   Hat  Earring  Necklace  Neck  Cloth
Scores              mouth  u_lip  l_lip  hair   hat    ear_r    neck_l  neck  cloth
Zhao et al. [35]     89.8   87.1   88.8  90.4  58.2     65.7      19.4  82.7   64.2
Lee et al. [1]       63.4   88.9   90.1  86.6  91.3     63.2      26.1  92.8   68.3
EAGRNet (paper)      95.0   88.9   91.2  94.9  87.6     68.3      27.6  89.4   85.3
""",
)

TABLE_5 = _table(
    5,
    "LaPa's test split of 2,000 images",
    """
Methods           Skin  Hair     L-Eye      R-Eye      U-lip      I-mouth      L-lip  Nose     L-Brow      R-Brow  Mean
Scores            skin  hair  left eye  right eye  upper lip  inner mouth  lower lip  nose  left brow  right brow  mean
Zhao et al. [35]  93.5  94.1      86.3       86.0       83.6         86.9       84.7  94.8       86.8        86.9  88.4
Liu et al. [33]   97.2  96.3      88.1       88.0       84.4         87.6       85.7  95.5       87.7        87.6  89.8
EAGRNet (paper)   97.3  96.2      89.5       90.0       88.1         90.0       89.0  97.1       86.5        87.0  91.1
""",
)

# The table that a dataset's scores are laid beside. Synthetic faces have Helen's labels, hence its table.
TABLE_OF = {"helen": TABLE_3, "synthetic": TABLE_3, "celebamask-hq": TABLE_4, "lapa": TABLE_5}

# The datasets whose published figures were measured on the same faces as ours.
COMPARABLE = {"helen", "celebamask-hq", "lapa"}


@dataclass(frozen=True)
class AblationRow:
    """A model of Table 1 or 2, the ablations on Helen's test split (section 4.3); Table 2 has models as columns.

    Attributes:
        model: as the table names it.
        miou: mean IoU over all classes, the background included.
        f1: Helen's overall F1.
        accuracy: printed as "Accuracy"; almost certainly the mean class accuracy, since it lies below F1, where the
            share of pixels that are right would be about 95.
        components: those that are ticked.
    """

    model: str
    miou: float
    f1: float
    accuracy: float
    components: frozenset[str] = frozenset()


BASELINE, EDGE, GRAPH, REASONING, BA_LOSS = "Baseline", "Edge", "Graph", "Reasoning", "BA-loss"
COMPONENTS = (BASELINE, EDGE, GRAPH, REASONING, BA_LOSS)  # the columns of ticks of Table 1

TABLE_1 = (
    AblationRow("1", 76.5, 91.4, 85.9, frozenset({BASELINE})),
    AblationRow("2", 77.5, 92.0, 86.2, frozenset({BASELINE, EDGE})),
    AblationRow("3", 77.3, 92.3, 85.8, frozenset({BASELINE, GRAPH, REASONING})),
    AblationRow("4", 77.8, 92.4, 84.6, frozenset({BASELINE, EDGE, GRAPH, REASONING})),
    AblationRow("5", 77.3, 92.3, 86.7, frozenset({BASELINE, EDGE, GRAPH, BA_LOSS})),
    AblationRow("6", 78.2, 92.8, 87.3, frozenset({BASELINE, EDGE, GRAPH, REASONING, BA_LOSS})),
)

TABLE_2_DEPLOYMENT = (
    AblationRow("0-module", 77.6, 92.0, 85.5),
    AblationRow("1-module", 77.6, 92.5, 86.0),
    AblationRow("2-modules", 78.2, 92.8, 87.3),
    AblationRow("3-modules", 77.4, 92.3, 85.4),
)

TABLE_2_POOLING = (
    AblationRow("4 x 4", 77.0, 92.1, 87.4),
    AblationRow("6 x 6", 78.2, 92.8, 87.3),
    AblationRow("8 x 8", 78.0, 92.6, 87.0),
)
