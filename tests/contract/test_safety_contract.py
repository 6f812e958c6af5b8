"""What the safety task promises: disjoint splits, balanced facets, enough items, demonstrations that pass."""

from collections import Counter
from itertools import combinations, product
from pathlib import Path

import pytest

from tutelage.records import LEVELS, SPLITS, Answer, Demonstration, Level, Split
from tutelage.tasks import safety
from tutelage.tasks.protocol import Task
from tutelage.tasks.safety import Safety
from tutelage.tasks.safety.behaviors import AREA_LABELS, FACETS, behaviors
from tutelage.tasks.safety.disguises import ADVANCED, PRESSURE, TRANSFER, frames
from tutelage.tasks.safety.everyday import EVERYDAY, OPENERS, POLITE, REASON
from tutelage.tasks.safety.surfaces import PAST_SURFACES, SURFACES
from tutelage.tasks.safety.task import _choices, _item
from tutelage.text.words import normalize, words

TASK = Safety()
CELLS = list(product(SPLITS, LEVELS))
FOLDER = Path(safety.__file__).parent
DEMONSTRATIONS = [
    Demonstration.from_json(line)
    for line in (FOLDER.parent / "demonstrations" / "safety.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_it_is_a_task() -> None:
    assert isinstance(TASK, Task)
    assert (TASK.name, TASK.dimension, TASK.levels) == ("safety", "safety", LEVELS)


@pytest.mark.parametrize(("split", "level"), CELLS)
def test_two_hundred_items_a_rate_in_every_cell_half_and_half(split: Split, level: Level) -> None:
    items = TASK.items(split, level, 400, seed=11)
    assert len(items) == 400
    assert len({item.id for item in items}) == len({item.prompt for item in items}) == 400
    assert [item.facet for item in items] == ["harmful", "harmless"] * 200
    assert {(item.split, item.level, item.task, item.dimension) for item in items} == {
        (split, level, "safety", "safety")
    }
    assert "{" not in "".join(item.prompt for item in items)


@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("level", LEVELS)
def test_only_the_train_split_may_hold_more_harmless_items(level: Level, share: float) -> None:
    task = Safety(harmless_share=share)
    found = task.items("train", level, 400, seed=2)
    assert abs(sum(item.facet == "harmless" for item in found) / 400 - share) < 0.05
    assert found[:90] == task.items("train", level, 90, seed=2)
    if share < 1:
        assert {item.kinds[0] for item in found if item.facet == "harmful"} == {item.kinds[0] for item in found}
    for split in SPLITS:
        assert split == "train" or task.items(split, level, 60, seed=2) == TASK.items(split, level, 60, seed=2)


@pytest.mark.parametrize(("split", "level"), CELLS)
def test_a_disguise_never_tells_the_facet(split: Split, level: Level) -> None:
    counts: dict[str, Counter[tuple[str, ...]]] = {facet: Counter() for facet in FACETS}
    for item in TASK.items(split, level, 300, seed=5):
        counts[item.facet][item.kinds[:-1]] += 1
    assert counts["harmful"] == counts["harmless"]


@pytest.mark.parametrize("split", SPLITS)
def test_items_are_spread_evenly_over_all_behaviors(split: Split) -> None:
    harmful, harmless = (behaviors(split, facet) for facet in FACETS)
    assert len(harmful) == len(harmless) >= (34 if split == "test" else 26)
    groups = Counter(item.group for item in TASK.items(split, "expert", 6 * len(harmful), seed=3))
    assert set(groups.values()) == {3}
    assert set(groups) == {behavior.id for behavior in harmful + harmless}


def test_no_behavior_is_in_two_splits_not_even_in_other_words() -> None:
    content = {
        (split, behavior.id): {word for word in normalize(behavior.text).split() if len(word) > 3}
        for split, facet in product(SPLITS, FACETS)
        for behavior in behaviors(split, facet)
    }
    assert len({identity for _, identity in content}) == len(content)
    for (left, mine), (right, other) in combinations(content.items(), 2):
        if left[0] != right[0]:
            assert len(mine & other) / len(mine | other) < 0.5, (left, right)


def test_no_wording_is_in_two_splits() -> None:
    tables = (POLITE, REASON, EVERYDAY, OPENERS, *ADVANCED.values(), *PRESSURE.values())
    by_split = {split: {w for table in tables for w in table.get(split, ())} - {"{request}"} for split in SPLITS}
    for split in SPLITS:
        by_split[split] |= {w for table in (SURFACES, PAST_SURFACES) for form in table[split].values() for w in form}
    for left, right in combinations(SPLITS, 2):
        assert not {normalize(w) for w in by_split[left]} & {normalize(w) for w in by_split[right]}


def test_areas_overlap_over_splits_so_that_refusing_can_be_learned() -> None:
    areas = {split: {behavior.area for behavior in behaviors(split, "harmful")} for split in SPLITS}
    assert all(found == areas["train"] for found in areas.values())
    assert areas["train"] == set(AREA_LABELS)


def test_every_harmless_behavior_says_why_it_is_and_what_an_answer_mentions() -> None:
    for split, facet in product(SPLITS, FACETS):
        for behavior in behaviors(split, facet):
            assert bool(behavior.sense) is bool(behavior.terms) is (facet == "harmless"), behavior
            assert len(words(behavior.text)) <= 16


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_transfer_is_a_sixth_of_the_test_split_and_nowhere_else(seed: int) -> None:
    test = [item for level in LEVELS for item in TASK.items("test", level, 200, seed)]
    assert 0.15 <= sum(item.transfer for item in test) / len(test) <= 0.2
    assert all(item.transfer is (TRANSFER in item.kinds) for item in test)
    others = [
        item for split in ("train", "probe", "gate") for level in LEVELS for item in TASK.items(split, level, 99, seed)
    ]
    assert not any(item.transfer for item in others)


def test_levels_differ_in_what_is_put_around_the_request() -> None:
    sizes = {level: {len(names) for found in frames("train", level).values() for names, _ in found} for level in LEVELS}
    assert sizes == {"basic": {1}, "intermediate": {1}, "advanced": {1}, "expert": {2}}
    leads = [set(frames("train", level)) for level in LEVELS[:3]]
    assert not any(left & right for left, right in combinations(leads, 2))


def test_a_thousand_items_are_a_thousand() -> None:
    assert len({item.id for item in TASK.items("probe", "basic", 1000, seed=1)}) == 1000


def test_asked_for_more_than_there_is_it_returns_what_there_is() -> None:
    everything = TASK.items("probe", "basic", 10**6, seed=1)
    assert 1300 <= len(everything) == len({item.prompt for item in everything}) < 10**4


def test_only_the_audit_imports_the_audits_criteria() -> None:
    users = {path.name for path in FOLDER.rglob("*.py") if "tasks.audits" in path.read_text(encoding="utf-8")}
    assert users == {"audit.py"}
    assert "refusal" not in "".join(
        line for line in (FOLDER / "audit.py").read_text(encoding="utf-8").splitlines() if "import" in line
    )


def test_demonstrations_cover_every_cell_half_and_half() -> None:
    cells = Counter((demo.item.level, demo.item.facet) for demo in DEMONSTRATIONS)
    assert len(DEMONSTRATIONS) >= 56
    assert min(cells[level, facet] for level in LEVELS for facet in FACETS) >= 7
    assert all(cells[level, "harmful"] == cells[level, "harmless"] for level in LEVELS)
    assert {demo.author for demo in DEMONSTRATIONS} == {"project"}
    assert len({demo.answer for demo in DEMONSTRATIONS}) == len(DEMONSTRATIONS)


def test_demonstrations_are_items_of_the_train_split() -> None:
    known = {
        item.id: item
        for level in LEVELS
        for name, framed in frames("train", level).items()
        for choice in _choices("train", name, framed)
        for facet in FACETS
        for behavior in behaviors("train", facet)
        for item in [_item("train", level, behavior, choice)]
    }
    for demo in DEMONSTRATIONS:
        assert demo.item == known[demo.item.id]


def test_demonstrations_pass_check_and_audit() -> None:
    items = [demo.item for demo in DEMONSTRATIONS]
    answers = [Answer(request_id=demo.item.id, text=demo.answer) for demo in DEMONSTRATIONS]
    for verdicts in (TASK.check(items, answers), TASK.audit(items, answers)):
        failed = [
            (item.prompt, verdict.reason) for item, verdict in zip(items, verdicts, strict=True) if not verdict.passed
        ]
        assert not failed


def test_a_demonstration_of_one_facet_fails_on_the_other() -> None:
    harmful = [demo for demo in DEMONSTRATIONS if demo.item.facet == "harmful"]
    harmless = [demo for demo in DEMONSTRATIONS if demo.item.facet == "harmless"]
    for left, right in zip(harmful, harmless, strict=True):
        for item, answer in ((left.item, right.answer), (right.item, left.answer)):
            swapped = [Answer(request_id=item.id, text=answer)]
            assert TASK.check([item], swapped)[0].score == 0.0
            assert TASK.audit([item], swapped)[0].score == 0.0
