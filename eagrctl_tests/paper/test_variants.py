import tomllib

import pytest
import torch

from eagrctl.checkpoint import build_network
from eagrctl.errors import RecipeError
from eagrctl.paper.variants import STUDIES, plan_ablation
from eagrctl.recipe import changed, find_recipe, load_recipe
from eagrctl_tests.conftest import TINY

HELEN = find_recipe("helen")


def test_every_variant_has_the_switches_of_its_row() -> None:
    switched = {
        study.name: [load_recipe(HELEN, variant.overrides) for variant in study.variants] for study in STUDIES.values()
    }
    # Edge, Graph, Reasoning, BA-loss, read off the paper's Table 1.
    assert [
        (each.model.edge, each.model.graph, each.model.reasoning, each.loss.ba_loss) for each in switched["components"]
    ] == [
        (False, False, False, 0.0),
        (True, False, False, 0.0),
        (False, True, True, 0.0),
        (True, True, True, 0.0),
        (True, True, False, 1.0),
        (True, True, True, 1.0),
    ]
    assert [each.model.deployment for each in switched["deployment"]] == [0, 1, 2, 3]
    assert [each.model.pooling for each in switched["pooling"]] == [4, 6, 8]
    whole = load_recipe(HELEN)
    four = {
        "Baseline": changed(whole, model={"edge": False, "graph": False}),
        "Without sampling": changed(whole, model={"sampling": False}),
        "Without graph": changed(whole, model={"reasoning": False}),
        "EAGRNet": whole,
    }
    assert switched["complexity"] == list(four.values())
    assert [variant.name for variant in STUDIES["complexity"].variants] == list(four)


def test_a_variant_changes_what_its_table_compares_and_nothing_else() -> None:
    known = {"model": {"edge", "graph", "reasoning", "sampling", "deployment", "pooling"}, "loss": {"ba_loss"}}
    for study in STUDIES.values():
        for variant in study.variants:
            for override in variant.overrides:
                ((section, keys),) = tomllib.loads(override).items()
                assert set(keys) <= known[section]


def test_what_is_the_same_network_is_trained_once() -> None:
    plan = plan_ablation(HELEN, [], list(STUDIES))
    rows = {each.name: [f"{study.name} {variant.model}" for study, variant in each.rows] for each in plan.trainings}
    assert len(rows) == 13
    assert rows["components-eagrnet"] == ["components 6", "deployment 2-modules", "pooling 6 x 6", "complexity EAGRNet"]
    assert rows["components-edge-graph-ba-loss"] == ["components 5", "complexity Without graph"]
    # Trained without the BA loss, and with it.
    assert rows["components-baseline"] == ["components 1"]
    assert rows["complexity-baseline"] == ["complexity Baseline"]
    assert sum(map(len, rows.values())) == 17
    assert plan.base == next(each.recipe for each in plan.trainings if each.name == "components-eagrnet")


def test_a_training_has_one_name_whichever_table_it_is_for() -> None:
    plan = plan_ablation(HELEN, [], ["pooling"])
    assert [each.name for each in plan.trainings] == ["pooling-4x4", "components-eagrnet", "pooling-8x8"]
    assert [plan.changes(each) for each in plan.trainings] == [("model.pooling=4",), (), ("model.pooling=8",)]


def test_no_two_variants_share_a_name_for_their_folders() -> None:
    names = [study.folder(variant) for study in STUDIES.values() for variant in study.variants]
    assert len(set(names)) == len(names) == 17
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_settings_hold_in_every_variant() -> None:
    plan = plan_ablation(HELEN, ["train.seed=5", "model.pooling=8", "loss.ba_loss=0.5"], ["components", "pooling"])
    assert {each.recipe.train.seed for each in plan.trainings} == {5}
    rows = {variant.model: plan.training(study, variant).recipe for study in plan.studies for variant in study.variants}
    assert [rows[row].model.pooling for row in ("1", "6", "4 x 4", "6 x 6", "8 x 8")] == [8, 8, 4, 6, 8]
    assert [rows[row].loss.ba_loss for row in ("4", "5", "6", "4 x 4")] == [0, 0.5, 0.5, 0.5]
    assert rows["6"] == rows["8 x 8"] != rows["6 x 6"]


@pytest.mark.parametrize(
    ("settings", "study", "alike"),
    [
        (["loss.ba_loss=0.0"], "components", "'Edge, Graph, Reasoning' and 'EAGRNet'"),
        (["model.deployment=0"], "components", "'Baseline' and 'Graph, Reasoning'"),
        (["model.graph=false"], "pooling", "'4 x 4' and '6 x 6'"),
        (["model.sampling=false"], "pooling", "'4 x 4' and '6 x 6'"),
        (["model.graph=false"], "deployment", "'0-module' and '1-module'"),
    ],
)
def test_a_recipe_that_leaves_rows_nothing_to_differ_in_is_refused(settings: list[str], study: str, alike: str) -> None:
    with pytest.raises(RecipeError, match=f"{alike} of .* are the same network"):
        plan_ablation(HELEN, settings, [study])


def test_a_study_that_nobody_asked_for_may_have_nothing_to_compare() -> None:
    plan = plan_ablation(HELEN, ["loss.ba_loss=0.0"], ["pooling"])
    assert len(plan.trainings) == 3


def test_all_variants_start_from_the_same_backbone_and_pyramid() -> None:
    plan = plan_ablation(find_recipe("celebamask-hq-small"), TINY, list(STUDIES))
    starts = []
    for training in plan.trainings:
        torch.manual_seed(training.recipe.train.seed)
        network = build_network(training.recipe, 19)
        shared = ("backbone", "pyramid", "decoder")
        starts.append({name: tensor for name, tensor in network.state_dict().items() if name.startswith(shared)})
    for start in starts[1:]:
        assert start.keys() == starts[0].keys()
        assert all(torch.equal(start[key], starts[0][key]) for key in start)
