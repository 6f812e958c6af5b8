"""What the task owes its users: determinism, disjoint splits, transfer, independence, demonstrations, speed."""

import ast
import random
import re
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest

from tutelage import tasks
from tutelage.records import LEVELS, SPLITS, Answer, Demonstration, Level, Split, content_id
from tutelage.tasks import constraints
from tutelage.tasks.constraints import FAMILIES, Constraints
from tutelage.tasks.constraints.bases import HEADINGS, TEMPLATES, TOPICS
from tutelage.tasks.constraints.checking import read_constraints
from tutelage.tasks.constraints.constraint import share
from tutelage.tasks.constraints.families import compatible, edges, keywords, openings, shapes
from tutelage.tasks.constraints.items import SEEN, TRANSFER
from tutelage.tasks.protocol import Task
from tutelage.text.words import normalize

TASK = Constraints()
POOLS = {
    "openings": (*edges.OPENINGS, *edges.LONG_OPENINGS),
    "closings": (*edges.CLOSINGS, *edges.LONG_CLOSINGS),
    "generic keywords": keywords.GENERIC,
    "tempting words": keywords.TEMPTING,
    "json keys": shapes.JSON_KEYS,
    "section headers": shapes.SECTION_HEADERS,
    "options": openings.OPTIONS,
}
DEMONSTRATIONS = [
    Demonstration.from_json(line)
    for line in (files(tasks) / "demonstrations" / "constraints.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_it_is_a_task() -> None:
    assert isinstance(TASK, Task)
    assert (TASK.name, TASK.dimension, TASK.levels) == ("constraints", "instruction_following", LEVELS)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", LEVELS)
def test_items_are_determined_different_and_a_prefix_of_more(split: Split, level: Level) -> None:
    many = TASK.items(split, level, 120, 5)
    assert TASK.items(split, level, 30, 5) == many[:30]
    assert len({item.id for item in many}) == len({item.prompt for item in many}) == 120
    assert TASK.items(split, level, 30, 6) != many[:30]
    assert all(
        (item.split, item.level, item.task, item.dimension) == (split, level, TASK.name, TASK.dimension)
        for item in many
    )
    assert {item.group for item in many} <= {template.id for template in TEMPLATES[split]}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_stack_compatible_families(level: Level) -> None:
    number = {"basic": {1}, "intermediate": {1, 2}, "advanced": {3}, "expert": {4}}[level]
    items = TASK.items("test", level, 200, 0)
    assert {len(item.kinds) for item in items} == number
    for item in items:
        assert all(compatible(one, other) for one, other in combinations(item.kinds, 2))
        assert tuple(constraint.name for constraint in read_constraints(item)) == item.kinds


def test_transfer_families_occur_in_a_fifth_of_the_test_split_and_nowhere_else() -> None:
    assert len(SEEN) >= 12
    assert len(TRANSFER) >= 4
    for level in LEVELS:
        for split in ("train", "probe", "gate"):
            for item in TASK.items(split, level, 100, 1):
                assert not item.transfer
                assert not set(item.kinds) & set(TRANSFER)
        items = TASK.items("test", level, 200, 1)
        assert sum(item.transfer for item in items) in range(36, 45)
        for item in items:
            assert item.transfer == bool(set(item.kinds) & set(TRANSFER)) == (item.facet == "transfer")


def test_every_family_of_a_split_occurs_at_every_level() -> None:
    for level in LEVELS:
        assert {kind for item in TASK.items("train", level, 200, 2) for kind in item.kinds} == set(SEEN)
        assert {kind for item in TASK.items("test", level, 400, 2) for kind in item.kinds} == set(FAMILIES)


@pytest.mark.parametrize(("left", "right"), list(combinations(SPLITS, 2)))
def test_splits_share_no_template_topic_heading_or_wording(left: Split, right: Split) -> None:
    assert not {t.id for t in TEMPLATES[left]} & {t.id for t in TEMPLATES[right]}
    assert not {normalize(t.text) for t in TEMPLATES[left]} & {normalize(t.text) for t in TEMPLATES[right]}
    names = [(f" {normalize(a.name)} ", f" {normalize(b.name)} ") for a in TOPICS[left] for b in TOPICS[right]]
    assert not [pair for pair in names if pair[0] in pair[1] or pair[1] in pair[0]]
    assert not set(HEADINGS[left]) & set(HEADINGS[right])
    for name, pool in POOLS.items():
        assert len(set(pool)) == len(pool), name
        assert not set(share(pool, left)) & set(share(pool, right)), name


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_broad(split: Split) -> None:
    assert len(TEMPLATES[split]) >= 24
    assert len({topic.name for topic in TOPICS[split]}) >= 60
    assert len({topic.domain for topic in TOPICS[split]}) >= 12
    assert all(len(topic.cues) >= 3 and topic.words for topic in TOPICS[split])
    assert all(len(re.findall(r"[.?!]", template.text)) == 1 for template in TEMPLATES[split])


def test_phrasings_of_a_family_are_disjoint_over_splits() -> None:
    seen = {
        (type(c), c.sentences(), c.clauses())
        for item in TASK.items("train", "expert", 300, 3)
        for c in read_constraints(item)
    }
    seen |= {
        (type(c), c.sentences(), c.clauses())
        for item in TASK.items("train", "basic", 300, 3)
        for c in read_constraints(item)
    }
    assert {family.name for family, _, _ in seen} == set(SEEN)
    for _, sentences, clauses in seen:
        for pool in (sentences, clauses):
            assert len(set(pool)) == len(pool)
            assert not pool or all(share(pool, split) for split in SPLITS)
            assert sum(len(share(pool, split)) for split in SPLITS) == len(pool)


def test_an_empty_answer_fulfills_nothing() -> None:
    for level in LEVELS:
        items = TASK.items("test", level, 60, 4)
        for verdict in TASK.check(items, [Answer(request_id="", text=" \n")] * 60):
            assert verdict.score == 0
            assert not any(part.passed for part in verdict.parts)


def test_only_the_audit_and_the_task_see_the_audit() -> None:
    root = Path(constraints.__file__).parent
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if path.name != "audit.py":
            assert "tutelage.tasks.audits" not in imported, path.name
        if path.name != "task.py":
            assert "tutelage.tasks.constraints.audit" not in imported, path.name


@pytest.mark.parametrize("row", DEMONSTRATIONS, ids=lambda row: row.item.id)
def test_a_demonstration_passes_check_and_audit(row: Demonstration) -> None:
    answers = [Answer(request_id=row.item.id, text=row.answer)]
    check, audit = TASK.check([row.item], answers)[0], TASK.audit([row.item], answers)[0]
    assert check.passed, check.reason
    assert audit.passed, audit.reason
    assert row.item.split == "train"
    assert row.author == "project"
    assert len(row.answer.split()) <= 90
    assert row.item.id == content_id(TASK.name, "train", row.item.level, row.item.prompt, row.item.spec)


def test_demonstrations_cover_every_level_and_family() -> None:
    levels = [row.item.level for row in DEMONSTRATIONS]
    assert all(levels.count(level) >= 15 for level in LEVELS)
    assert {kind for row in DEMONSTRATIONS for kind in row.item.kinds} == set(SEEN)
    assert (
        len({row.item.id for row in DEMONSTRATIONS})
        == len({row.answer for row in DEMONSTRATIONS})
        == len(DEMONSTRATIONS)
    )


def test_a_thousand_items_are_all_checked() -> None:
    items = TASK.items("test", "expert", 1000, 9)
    assert len({item.id for item in items}) == 1000
    plain = [item for item in items if "language" not in item.kinds]
    answers = [Answer(request_id="", text="A plain answer, of one sentence. " * 10)] * len(plain)
    assert None not in [verdict.score for verdict in TASK.check(plain, answers)]


@pytest.mark.parametrize("level", LEVELS)
def test_other_words_make_the_same_demands(level: Level) -> None:
    for item in TASK.items("train", level, 40, seed=5):
        others = TASK.reword(item, 3, seed=1)
        assert len({item.id, *(other.id for other in others)}) == len(others) + 1 > 1
        assert others == TASK.reword(item, 3, seed=1)
        for other in others:
            assert other.spec == item.spec
            assert other.prompt != item.prompt
            assert (other.level, other.group, other.kinds) == (item.level, item.group, item.kinds)
            known = [c.say(random.Random(n), "train") for c in read_constraints(item) for n in range(40)]
            said = sum(sentence in other.prompt for sentence in set(known))
            assert said >= len(item.kinds) - 1, "each demand is said in words of the train split, one maybe as a clause"
