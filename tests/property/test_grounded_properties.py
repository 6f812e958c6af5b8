"""Properties of generated items, whatever the seed: unique, balanced, answerable, without shortcuts."""

import re
from collections import defaultdict
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import LEVELS, SPLITS, Answer, Item, Level, Split
from tutelage.tasks.grounded import Grounded
from tutelage.tasks.grounded.key import AnswerKey
from tutelage.tasks.grounded.world import load_world

TASK = Grounded()
CELLS = [(split, level) for split in SPLITS for level in LEVELS]
seeds = st.integers(min_value=0, max_value=2**31 - 1)


def scores(item: Item, text: str) -> tuple[float | None, float | None]:
    answer = Answer(request_id=item.id, text=text)
    return TASK.check([item], [answer])[0].score, TASK.audit([item], [answer])[0].score


@settings(max_examples=10, deadline=None)
@given(split=st.sampled_from(SPLITS), level=st.sampled_from(LEVELS), seed=seeds)
def test_equal_arguments_give_equal_items_and_fewer_are_the_first_ones(split: Split, level: Level, seed: int) -> None:
    items = TASK.items(split, level, 40, seed)
    assert items == TASK.items(split, level, 40, seed)
    assert items[:13] == TASK.items(split, level, 13, seed)
    assert len({item.id for item in items}) == len({item.prompt for item in items}) == 40
    assert sum(item.facet == "stated" for item in items) == 26


@settings(max_examples=12, deadline=None)
@given(split=st.sampled_from(SPLITS), level=st.sampled_from(LEVELS), seed=seeds)
def test_the_reference_passes_and_every_rival_and_denial_fails(split: Split, level: Level, seed: int) -> None:
    for item in TASK.items(split, level, 20, seed):
        key = AnswerKey.model_validate(item.spec)
        assert item.reference is not None
        assert scores(item, item.reference) == (1.0, 1.0), item
        for rival in key.rivals:
            assert scores(item, rival.value)[0] == 0.0, (item, rival)
        if key.gold is None:
            assert scores(item, "Forty-two, I am sure of it.")[0] == 0.0
            for value in [rival.value for rival in key.rivals] or list(key.candidates):
                assert scores(item, f"{value}. The passage does not state it.")[0] == 0.0, (item, value)
        else:
            assert scores(item, "The passage does not state it.")[0] == 0.0
            assert scores(item, f"It is {key.gold}.")[0] == 1.0
            for rival in key.rivals:
                assert scores(item, f"{key.gold} or {rival.value}")[0] == 0.0
                assert scores(item, f"{key.gold}, not {rival.value}.")[0] == 1.0


@settings(max_examples=10, deadline=None)
@given(level=st.sampled_from(LEVELS), seed=seeds)
def test_a_stated_answer_stands_in_the_passage_once_and_a_rival_is_another_value(level: Level, seed: int) -> None:
    for item in TASK.items("test", level, 20, seed):
        key = AnswerKey.model_validate(item.spec)
        assert item.passage is not None
        assert item.passage in item.prompt
        if key.gold is not None:
            assert key.gold.lower() in item.passage.lower()
            assert key.gold not in [rival.value for rival in key.rivals]


@given(split=st.sampled_from(SPLITS), level=st.sampled_from(LEVELS), text=st.text(max_size=200), seed=seeds)
@settings(max_examples=30, deadline=None)
def test_any_text_gets_a_verdict_with_a_reason(split: Split, level: Level, text: str, seed: int) -> None:
    item = TASK.items(split, level, 1, seed)[0]
    answer = Answer(request_id=item.id, text=text)
    for verdict in (*TASK.check([item], [answer]), *TASK.audit([item], [answer])):
        assert verdict.score in (0.0, 1.0)
        assert verdict.reason


def question_templates(item: Item) -> list[str]:
    """The question templates of the item's topic and holder that fit its prompt."""
    world = load_world(item.split)
    topic = next(topic for topic in world.topics if topic.key == item.group.split("/")[1])
    asked = item.prompt.replace(item.passage or "", " ")
    patterns = [ask for fact in (*topic.facts, *world.holder(topic.holder).facts) for ask in fact.ask]
    patterns += [*world.comparisons_year, *world.comparisons_number]
    return [p for p in patterns if re.search(re.sub(r"\\{\w+\\}", ".+", re.escape(p)), asked)]


@pytest.mark.parametrize("split", SPLITS)
def test_no_question_template_genre_or_length_gives_the_facet_away(split: Split) -> None:
    by_question: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    by_group: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for level in LEVELS:
        lengths: defaultdict[bool, list[int]] = defaultdict(list)
        for item in TASK.items(split, level, 800, 7):
            absent = item.facet == "absent"
            templates = question_templates(item)
            assert templates, item.prompt
            for template in templates:
                by_question[item.kinds[0], template].append(absent)
            by_group[level, item.group].append(absent)
            lengths[absent].append(len((item.passage or "").split()))
        assert abs(mean(lengths[True]) - mean(lengths[False])) < 1.5
    common = {key: facets for key, facets in by_question.items() if len(facets) >= 15}
    assert len(common) > 50
    for key, facets in common.items():
        assert 0.0 < mean(facets) < 0.9, key
    for key, facets in by_group.items():
        assert 0.05 < mean(facets) < 0.75, key


@pytest.mark.parametrize(("split", "level"), CELLS)
def test_lengths_types_and_clusters_of_a_cell(split: Split, level: Level) -> None:
    items = TASK.items(split, level, 600, 3)
    assert max(len(item.prompt.split()) for item in items) <= (85 if level == "basic" else 130)
    assert len({item.group for item in items}) == 24
    transfer = mean(item.transfer for item in items)
    assert transfer == pytest.approx(1 / 6) if split == "test" else transfer == 0
    assert all(item.transfer == (item.kinds == ("comparison",)) for item in items)


def test_a_thousand_items_are_a_thousand() -> None:
    assert len({item.id for item in TASK.items("test", "expert", 1000, 0)}) == 1000
