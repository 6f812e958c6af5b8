"""The prompts of the few-shot control, and of the teacher as one."""

from pathlib import Path

import pytest

from tutelage.construct.expert import nearest_context
from tutelage.events import silent
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.items import final_items
from tutelage.pipeline.shop import FEW_SHOTS, Shop
from tutelage.recipe import parse_recipe
from tutelage.runs import RunDirectory
from tutelage.seeds import derive_seed
from tutelage.tasks.build import build_tasks, demonstrations_of


@pytest.mark.parametrize(("distill", "shots"), [("{shots: 2}", 2), ("{shots: 0}", FEW_SHOTS), ("null", FEW_SHOTS)])
def test_the_control_has_shots_even_where_the_teacher_has_none(tmp_path: Path, distill: str, shots: int) -> None:
    text = f"name: x\nmodel: {{id: tiny}}\ntasks: [{{kind: safety}}]\nconstruct: {{distill: {distill}}}\n"
    recipe = parse_recipe(text + "evaluate: {test: 2}\n")
    tasks = build_tasks(recipe.tasks, recipe.folder)
    with RunDirectory.create(tmp_path / "run", recipe) as run, Engines(recipe, offline=True) as engines:
        shop = Shop(recipe, run, tasks, demonstrations_of(list(tasks.values())), engines, silent)
        contexts = shop.few_shot(final_items(recipe, tasks))
    assert {len(turns) for turns in contexts.values()} == {2 * shots}, "a question and an answer each"


def test_the_teacher_sees_as_a_control_what_it_sees_when_it_teaches(tmp_path: Path) -> None:
    text = "name: x\nmodel: {id: tiny}\ntasks: [{kind: safety}, {kind: constraints}]\nevaluate: {test: 3}\n"
    recipe = parse_recipe(text)
    tasks = build_tasks(recipe.tasks, recipe.folder)
    experts = demonstrations_of(list(tasks.values()))
    with RunDirectory.create(tmp_path / "run", recipe) as run, Engines(recipe, offline=True) as engines:
        shop = Shop(recipe, run, tasks, experts, engines, silent)
        items = final_items(recipe, tasks)
        found = shop.taught(items, 4)
        assert shop.taught(items, 0) == {}
    seed = derive_seed(recipe.seed, "construct", 1)  # of Sampler in the first round
    assert found == {item.id: nearest_context(experts, item, shots=4, seed=seed) for item in items}
    assert len(set(found.values())) > len({item.task for item in items}), "some see what is nearest to them"
