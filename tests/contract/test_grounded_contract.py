"""The contract of the grounded task: a Task, disjoint splits, an independent audit, demonstrations that pass both."""

import ast
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest

from tutelage.records import LEVELS, SPLITS, Answer, Demonstration
from tutelage.tasks import grounded
from tutelage.tasks.grounded import Grounded
from tutelage.tasks.grounded.key import AnswerKey
from tutelage.tasks.grounded.world import Fact, World, load_world
from tutelage.tasks.protocol import Task
from tutelage.text.words import normalize

TASK = Grounded()
DEMONSTRATIONS = [
    Demonstration.from_json(line)
    for line in files("tutelage.tasks").joinpath("demonstrations", "grounded.jsonl").read_text("utf-8").splitlines()
]


def facts(world: World) -> list[Fact]:
    return [fact for owner in (*world.topics, *world.holders) for fact in owner.facts]


PARTS: dict[str, Callable[[World], list[str]]] = {
    "layouts": lambda world: list(world.layouts),
    "corrections": lambda world: list(world.corrections),
    "joins": lambda world: list(world.joins),
    "frames": lambda world: [*world.frames, *world.frames.values()],
    "topics": lambda world: [text for topic in world.topics for text in (topic.key, topic.name, topic.link, topic.via)],
    "holders": lambda world: [text for holder in world.holders for text in (holder.key, holder.name)],
    "statements": lambda world: [say for fact in facts(world) for say in fact.say],
    "questions": lambda world: [ask for fact in facts(world) for ask in fact.ask],
    "things": lambda world: [choice for fact in facts(world) for choice in fact.domain.choices],
    "first names": lambda world: list(world.names.first),
    "last names": lambda world: world.names.all_last(),
    "stems": lambda world: world.names.all_stems(),
}


def test_it_is_a_task() -> None:
    assert isinstance(TASK, Task)
    assert (TASK.name, TASK.dimension, TASK.levels) == ("grounded", "faithfulness", LEVELS)


@pytest.mark.parametrize("part", PARTS)
def test_worlds_share_nothing_and_repeat_nothing(part: str) -> None:
    written = {split: [normalize(text) or text for text in PARTS[part](load_world(split))] for split in SPLITS}
    for split, texts in written.items():
        assert texts, split
        assert [text for text, count in Counter(texts).items() if count > 1] == [], split
    for left, right in combinations(SPLITS, 2):
        assert set(written[left]) & set(written[right]) == set(), (left, right)


def test_items_of_splits_share_no_group_prompt_passage_or_name() -> None:
    seen: dict[str, dict[str, set[str]]] = {}
    for split in SPLITS:
        items = [item for level in LEVELS for item in TASK.items(split, level, 250, 5)]
        keys = [AnswerKey.model_validate(item.spec) for item in items]
        entities = {name for key in keys for name in (key.subject, *(rival.owner for rival in key.rivals))}
        people = {word for key in keys if key.kind == "person" and key.gold for word in key.gold.split()}
        seen[split] = {
            "group": {item.group for item in items},
            "passage": {item.passage or "" for item in items},
            "prompt": {item.prompt for item in items},
            "entity": entities,
            "person": people,
        }
    for left, right in combinations(SPLITS, 2):
        for what in seen[left]:
            assert seen[left][what], (left, what)
            assert seen[left][what] & seen[right][what] == set(), (left, right, what)


def test_comparisons_exist_in_test_alone() -> None:
    for split in SPLITS:
        world = load_world(split)
        assert bool(world.comparisons_year and world.comparisons_number) is (split == "test")


def test_only_the_audit_imports_the_shared_audits() -> None:
    importing = []
    for path in Path(grounded.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "tutelage.tasks.audits":
                importing.append(path.name)
            if path.name == "audit.py" and isinstance(node, ast.ImportFrom):
                assert node.module not in {
                    f"tutelage.tasks.grounded.{name}" for name in ("check", "matching", "absence", "key")
                }
    assert importing == ["audit.py"]


def test_demonstrations_are_enough_balanced_and_varied() -> None:
    by_level = Counter(demo.item.level for demo in DEMONSTRATIONS)
    assert all(by_level[level] >= 14 for level in LEVELS)
    absent = [demo for demo in DEMONSTRATIONS if demo.item.facet == "absent"]
    assert 0.33 <= len(absent) / len(DEMONSTRATIONS) <= 0.42
    assert len({demo.answer for demo in absent}) == len(absent)
    assert len({demo.item.id for demo in DEMONSTRATIONS}) == len(DEMONSTRATIONS)
    assert {demo.item.kinds[0] for demo in DEMONSTRATIONS} == {
        "lookup", "among", "telling_apart", "two_hop", "corrected"
    }  # fmt: skip


@pytest.mark.parametrize("demo", DEMONSTRATIONS, ids=lambda demo: demo.item.id)
def test_demonstrations_pass_check_and_audit(demo: Demonstration) -> None:
    assert (demo.item.split, demo.item.task, demo.author) == ("train", "grounded", "project")
    answer = Answer(request_id=demo.item.id, text=demo.answer)
    for verdict in (*TASK.check([demo.item], [answer]), *TASK.audit([demo.item], [answer])):
        assert verdict.passed, verdict.reason


def test_demonstrations_are_items_of_the_task() -> None:
    for level in LEVELS:
        own = [demo.item for demo in DEMONSTRATIONS if demo.item.level == level]
        assert own == TASK.items("train", level, len(own), 20261)
