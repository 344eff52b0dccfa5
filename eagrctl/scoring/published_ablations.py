"""The paper's Tables 1 and 2 (section 4.3), as printed: ablations on Helen's test split, in percent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AblationRow:
    """A model of an ablation; a column of Table 2, whose models stand side by side.

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
